"""What a visitor asks: labels, templates, crop and model, checked on the server whatever the page allowed.

It imports no model library, so that a page can be laid out and a bad input refused before one is loaded.
"""

import math
from dataclasses import dataclass

from pipelines.runtime.errors import Note, UserError
from pipelines.zero_shot.labels import parse_labels
from pipelines.zero_shot.templates import BARE, check_template

CROPS = ("own", "center", "squash")  # besides a box: "x0,y0,x1,y1" in pixels of the picture
MOST_TEMPLATES = 20
MOST_TEXTS = 4_000  # labels times templates
TOPIC = "zero_shot"


@dataclass(frozen=True)
class Question:
    """labels, templates: cleaned. crop: one of CROPS or "box". box: in pixels of the picture. notes: on the labels."""

    labels: tuple[str, ...]
    templates: tuple[str, ...] = (BARE,)
    crop: str = "own"
    box: tuple[float, float, float, float] | None = None
    model: str = ""
    notes: tuple[Note, ...] = ()


def read(labels, templates="", crop="own", model="") -> Question:
    """The question that these texts from outside make.

    labels: separated as `parse_labels` says. templates: one a line, empty for the bare name. crop: see `read_crop`.
    model: an id of the catalogue, empty for the one that the app chose. Raises UserError.
    """
    parsed = parse_labels(labels)
    lines = read_templates(templates)
    if len(parsed.values) * len(lines) > MOST_TEXTS:
        counts = {"labels": len(parsed.values), "templates": len(lines), "texts": len(parsed.values) * len(lines)}
        raise UserError("zero_shot.too_many_texts", most=MOST_TEXTS, **counts)
    kind, box = read_crop(crop)
    if not isinstance(model, str):
        raise UserError("errors.model_unknown", model=str(model)[:60])
    return Question(parsed.values, lines, kind, box, model, parsed.notes)


def read_templates(text) -> tuple[str, ...]:
    """One template a line, each once; none at all means the bare name. Raises UserError."""
    if not isinstance(text, str):
        raise UserError("errors.template_slot", count=0)
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_TEMPLATES:
        raise UserError("zero_shot.too_many_templates", count=len(lines), most=MOST_TEMPLATES)
    return tuple(dict.fromkeys(check_template(line) for line in lines)) or (BARE,)


def read_crop(text) -> tuple[str, tuple[float, float, float, float] | None]:
    """("own" | "center" | "squash", None), or ("box", numbers) for "x0,y0,x1,y1". Raises UserError."""
    if text in CROPS:
        return text, None
    parts = text.split(",") if isinstance(text, str) and len(text) < 200 else []
    try:
        box = tuple(float(part) for part in parts)
    except ValueError:
        box = ()
    if len(box) != 4 or not all(math.isfinite(side) for side in box):
        raise UserError("errors.crop_unknown", crop=str(text)[:40], choices=", ".join((*CROPS, "x0,y0,x1,y1")))
    return "box", box


def place(labels: tuple[str, ...], name) -> int:
    """Where the label stands in the list. Raises UserError for one that is not in it."""
    if not isinstance(name, str) or name not in labels:
        raise UserError("zero_shot.label_unknown", label=str(name)[:40])
    return labels.index(name)
