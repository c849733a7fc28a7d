"""Results made of numbers chosen by the test, in the form that the views take; no model runs."""

import numpy as np

from demos.zero_shot.answer import Answer
from demos.zero_shot.question import Question
from demos.zero_shot.store import Half, Part

HOSTILE = ("<img src=x onerror=pwn()>", "${pwn()}", "{{value}}", '"><script>pwn()</script>', "cat & <b>dog</b>")


def half(labels=("cat", "dog"), cosines=(0.3, 0.2), *, bias=None, scale=10.0, view=None, cut=None) -> Half:
    """A stored classification of these cosines: CLIP's without a bias, SigLIP's with one."""
    cosines = np.array(cosines, np.float32)
    logits = cosines.astype(float) * scale + (bias or 0.0)
    powers = np.exp(logits - logits.max())
    return Half(
        model_id="lucida-clip" if bias is None else "lucida-siglip",
        labels=tuple(labels),
        cosines=cosines,
        logit_scale=scale,
        logit_bias=bias,
        objective="softmax" if bias is None else "sigmoid",
        softmax=(powers / powers.sum()).astype(np.float32),
        sigmoid=None if bias is None else (1 / (1 + np.exp(-logits))).astype(np.float32),
        tokens=tuple(tuple(label) for label in labels),
        kept=tuple(len(label) for label in labels),
        cut=tuple(cut or (False,) * len(labels)),
        view=np.zeros((8, 8, 3), np.uint8) if view is None else view,
        region_xyxy=(0.0, 0.0, 8.0, 8.0),
        blocks=(
            Part("stem", (1, 32, 4, 4), 3.0, 928),
            Part("text_layers_3_3", (2, 32, 224), 1.5, 605_024),
            Part("cosine", (2,), 0.1, 0),
        ),
        ms={"preprocess": 1.0, "image": 3.0, "text": 1.5, "total": 5.5},
        device="cpu",
        dtype="float32",
    )


def answer(labels=("cat", "dog"), **given) -> Answer:
    """Both halves for the same labels, CLIP's chosen."""
    cosines = given.pop("cosines", tuple(0.3 - 0.01 * k for k in range(len(labels))))
    return Answer(Question(tuple(labels), **given), half(labels, cosines), half(labels, cosines, bias=-2.0), "softmax")
