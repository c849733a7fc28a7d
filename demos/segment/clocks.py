"""The two clocks: the encoder's runs once for a picture, the decoder's ticks with every answer.

They also carry the answers: what a handler returns for the clocks reaches the stage without the picture travelling.

    yield encoding(asked.name)                                                # the encoder's clock begins to run
    yield answer(asked.name, layers={1: layer(masks, token)}, encoder_ms=embedding.ms, decoder_ms=masks.ms)
    return answer(asked.name, finger=layer(masks, masks.best), decoder_ms=masks.ms)
"""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from demos.shell.arrays import pack
from demos.shell.components.shown import Shown, files

if TYPE_CHECKING:
    from pipelines.segment.masks import Masks

_HERE = Path(__file__).parent
_WORDS = (
    *("clock_encoder", "clock_decoder", "clock_wait", "clock_runs", "clock_once", "clock_stored", "clock_answers"),
    *("clock_none", "clock_rate", "clock_ms"),
)


class Clocks(Shown):
    """Only shown: Python gets nothing from it. Its value is what `answer` or `encoding` made, or None."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        words = [f"segment.{name}" for name in _WORDS]
        super().__init__(value, **files(_HERE, "clocks"), words=words, **kwargs)


def encoding(picture: str) -> dict:
    """The encoder begins with the picture of this name: the page's own clock runs until an answer stops it."""
    return {"picture": picture, "serial": secrets.randbits(50), "running": True, "layers": {}}


def answer(
    picture: str,
    *,
    layers: Mapping[int, dict | None] | None = None,
    finger: dict | None = None,
    encoder_ms: float | None = None,
    decoder_ms: float | None = None,
    stored: bool = False,
    refused: str = "",
) -> dict:
    """An answer for the picture of this name.

    layers: by object's id, what `layer` made, or None to take a layer away; only those that changed. finger: the layer
    under the finger. encoder_ms: what the encoder took for this picture, with every answer or with its first alone.
    decoder_ms: of one decoding; without it the decoder's clock does not tick. stored: computed before this visit.
    refused: why there is none, a sentence that the stage tells.
    """
    return {
        "picture": picture,
        "serial": secrets.randbits(50),
        "running": False,
        "stored": stored,
        "encoder_ms": encoder_ms,
        "decoder_ms": decoder_ms,
        "layers": {str(number): shown for number, shown in (layers or {}).items()},
        "finger": finger,
        "refused": refused,
    }


def layer(masks: "Masks", token: int) -> dict:
    """One mask's logits, packed with what the page needs to enlarge them as `Masks.mask` does.

    {"logits": packed (rows, columns) float16, "side", "square", "input": [h, w], "size": [h, w], "token", "iou"}. One
    more row and column than lie on the picture: the enlarging looks at them.
    """
    side = masks.logits.shape[-1]
    rows, columns = (min(side, count + 1) for count in masks.valid)
    logits = np.clip(masks.logits[token, :rows, :columns], -60_000, 60_000).astype(np.float16)
    return {
        "logits": pack(logits),
        "side": side,
        "square": masks.square,
        "input": list(masks.input_size),
        "size": list(masks.size),
        "token": token,
        "iou": round(float(masks.iou[token]), 4),
    }
