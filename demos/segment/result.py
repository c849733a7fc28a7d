"""An answer -> what every component of the tab shows of it."""

from __future__ import annotations

import json
from typing import Any

from demos.segment import clocks, examples, snippet, views, wanted
from demos.segment.answer import Answer
from demos.segment.parts import Layer
from demos.segment.wanted import Wanted
from demos.shell import results
from demos.shell.words import spans


def layers(objects: tuple[Layer, ...]) -> dict[int, dict | None]:
    """Every object's mask as the stage draws it, by the object's id."""
    return {each.id: None if each.masks is None else clocks.layer(each.masks, each.token) for each in objects}


def refusals(made: Answer) -> str:
    """Why some objects have no mask."""
    lines = []
    for place, error in made.refused.items():
        told = spans(error.key, **error.values)
        lines.append(f"{views.title(made.layers[place])}: {told}" if len(made.layers) > 1 else told)
    return views.notes(lines)


def link_objects(objects: tuple[Wanted, ...], active: int) -> str:
    """The objects as a link holds them: nothing where nothing is marked."""
    if all(each.empty for each in objects):
        return ""
    return json.dumps(wanted.plain(objects, active), ensure_ascii=False, separators=(",", ":"))


def code(steps: tuple, model_id: str, *, name: str, threshold: float) -> str:
    """The lines of "Copy as Python" as HTML. name: of the picture, an example's id or anything else."""
    known = examples.find(name)
    path = f"assets/examples/{known.path.name}" if known else "picture.jpg"
    return results.snippet(snippet.python(steps, model_id, path=path, threshold=threshold))


def plain(layer: Layer) -> dict[str, Any]:
    """An object's numbers as JSON can say them."""
    masks = layer.masks
    tokens = [
        {
            "token": token,
            "predicted_iou": round(float(masks.iou[token]), 6),
            "stability": _number(masks.stability[token]),
            "area": round(float(masks.area[token]), 6),
        }
        for token in range(len(masks.iou))
    ]
    return {"token": layer.token, "tokens": tokens, "milliseconds": round(masks.ms, 2)}


def _number(value) -> float | None:
    return None if value != value else round(float(value), 6)
