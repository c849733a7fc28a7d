"""The tab's named functions for the Python client, REST and MCP: same limits and sentences as the page."""

from __future__ import annotations

import gradio as gr

from demos.shell.components.door import uploaded
from demos.shell.words import say
from demos.zero_shot import answer as answers
from demos.zero_shot import evidence_panel, nothing, result
from demos.zero_shot.question import read
from pipelines.runtime.errors import UserError


def zero_shot(
    picture: gr.FileData, labels: str, templates: str = "", model: str = "", crop: str = "own", lang: str = "en"
) -> dict:
    """Compare a picture with labels by CLIP's softmax and by SigLIP's sigmoid.

    Args:
        picture: the picture file, at most 20 MB and 50 megapixels
        labels: up to 1,000 names in English or Chinese, separated by commas, Chinese commas or new lines
        templates: sentences with {} for the label, one a line, averaged; empty for the bare names
        model: an id of the model catalogue such as lucida-clip or clip-vit-b-32; empty for the app's choice
        crop: own (as the model was trained), center, squash, or a box "x0,y0,x1,y1" in pixels of the picture
        lang: en or zh, the language of notes and error sentences
    """
    question = read(labels, templates, crop, model)  # before the picture is decoded: a bad text costs nothing
    opened = uploaded(picture)
    notes = [say(note.key, lang, **note.values) for note in (*opened.notes, *question.notes)]
    return {**result.plain(answers.ask(opened.pixels, question)), "notes": notes}


def zero_shot_evidence(
    picture: gr.FileData, labels: str, label: str, against: str = "", method: str = "gradient", model: str = "",
    crop: str = "own", lang: str = "en",
) -> dict:  # fmt: skip
    """Say where in the picture the evidence for a label lies, or for one label minus another.

    Args:
        picture: the picture file, at most 20 MB and 50 megapixels
        labels: the list of labels, separated by commas or new lines
        label: the label of the list to explain
        against: a second label of the list whose evidence is subtracted; empty for none
        method: gradient (one backward pass) or occlusion (each place covered, the real drop of the score)
        model: an id of the model catalogue; empty for the app's choice
        crop: own, center, squash, or a box "x0,y0,x1,y1" in pixels of the picture
        lang: en or zh, the language of error sentences
    """
    if method not in evidence_panel.METHODS:
        raise UserError("zero_shot.method_unknown", method=str(method)[:40])
    question = read(labels, "", crop, model)
    pixels = uploaded(picture).pixels
    answer = answers.ask(pixels, question)
    target = evidence_panel.target_in(answer, label, against, "api")
    found = evidence_panel.map_of(target, pixels, method)
    return {
        "model": answer.main.model_id,
        "method": method,
        "score": round(found.score, 6),
        "map": [[round(float(value), 6) for value in row] for row in found.values],
        "region_xyxy": [float(side) for side in found.region_xyxy],
    }


def zero_shot_none_of_these(
    picture: gr.FileData, labels: str, threshold: float = -1.0, model: str = "", crop: str = "own", lang: str = "en"
) -> dict:
    """Say whether the best label beats ordinary words, or whether the answer is "none of these".

    Args:
        picture: the picture file, at most 20 MB and 50 megapixels
        labels: up to 1,000 names in English or Chinese, separated by commas or new lines
        threshold: the share of ordinary words that the best label must beat, 0 to 1; -1 for the measured one
        model: an id of the model catalogue; empty for the app's choice
        crop: own, center, squash, or a box "x0,y0,x1,y1" in pixels of the picture
        lang: en or zh, the language of error sentences
    """
    limit = None if threshold == -1 else _share(threshold)
    question = read(labels, "", crop, model)
    main = answers.ask(uploaded(picture).pixels, question).main
    return nothing.plain(main, limit)


def _share(value) -> float:
    """A number of 0..1; NaN is none. Raises UserError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise UserError("zero_shot.threshold_range", value=str(value)[:40])
    return float(value)


API = {
    "zero_shot": zero_shot,
    "zero_shot_evidence": zero_shot_evidence,
    "zero_shot_none_of_these": zero_shot_none_of_these,
}
