"""Marks on a picture: what they are, what a valid one is, and strokes as a mask. All in pixels of the picture.

{"kind": "point", "x": int, "y": int, "label": 0 | 1}            0: does not belong
{"kind": "box" | "crop", "x0": float, "y0": float, "x1": float, "y1": float}
{"kind": "brush", "radius": float, "path": [[x, y], ...]}        a stroke, not a bitmap: exact, a few hundred bytes
"""

import math
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from demos.shell.components.door import in_both
from pipelines.runtime.errors import UserError

LIMITS = {"point": 100, "box": 20, "brush": 100, "crop": 1}
MAX_PATH = 20_000  # places of all strokes together


class _Wrong(Exception):
    """A mark cannot be used; the argument is the sentence's key. Its number is known one level up."""


def checked(marks: Any, width: int, height: int, *, clamp: bool = False) -> list[dict]:
    """The marks, every number a plain one inside a picture of `width` x `height` pixels.

    Boxes are turned so that x0 < x1, and cut at the picture's edge. A point outside is refused; the page sets `clamp`,
    which moves it to the edge instead: there it was the visitor's hand that slipped.
    Raises UserError (keys ``errors.marks_*``) naming the first wrong mark, counted from 1.
    """
    if not isinstance(marks, list | tuple):
        raise UserError("errors.marks_list")
    _count(marks)
    good = []
    for number, mark in enumerate(marks, start=1):
        try:
            good.append(_one(mark, width, height, clamp))
        except _Wrong as wrong:
            raise UserError(str(wrong), number=number, width=width, height=height) from None
    return good


def brush_mask(marks: list[dict], width: int, height: int) -> np.ndarray:
    """The strokes as a boolean mask, (height, width)."""
    image = Image.new("1", (width, height))
    draw = ImageDraw.Draw(image)
    for mark in marks:
        if mark["kind"] != "brush":
            continue
        radius, path = mark["radius"], [(x - 0.5, y - 0.5) for x, y in mark["path"]]
        for x, y in path:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
        if len(path) > 1:
            draw.line(path, fill=1, width=max(1, round(2 * radius)))
    return np.asarray(image)


def crop_box(marks: list[dict]) -> tuple[float, float, float, float] | None:
    """(x0, y0, x1, y1) of the crop among the marks, if there is one."""
    return next(
        (tuple(mark[side] for side in ("x0", "y0", "x1", "y1")) for mark in marks if mark["kind"] == "crop"), None
    )


def _count(marks: list) -> None:
    """Refuse too many marks before looking at any of them."""
    kinds = [mark.get("kind") if isinstance(mark, dict) else None for mark in marks[: 10 * sum(LIMITS.values())]]
    for kind, limit in LIMITS.items():
        if kinds.count(kind) > limit:
            raise UserError(
                "errors.marks_too_many", count=kinds.count(kind), kind=in_both(f"components.many_{kind}"), limit=limit
            )
    if len(marks) > sum(LIMITS.values()):
        raise UserError(
            "errors.marks_too_many", count=len(marks), kind=in_both("components.many_marks"), limit=sum(LIMITS.values())
        )


def _one(mark: Any, width: int, height: int, clamp: bool) -> dict:
    match mark:
        case {"kind": "point", "x": x, "y": y, **rest}:
            return _point(x, y, rest.get("label", 1), width, height, clamp)
        case {"kind": "box" | "crop" as kind, "x0": x0, "y0": y0, "x1": x1, "y1": y1}:
            return {"kind": kind, **_box(_number(x0), _number(y0), _number(x1), _number(y1), width, height)}
        case {"kind": "brush", "radius": radius, "path": [*path]} if 0 < len(path) <= MAX_PATH:
            return _stroke(_number(radius), path, width, height, clamp)
    raise _Wrong("errors.marks_form")


def _point(x: Any, y: Any, label: Any, width: int, height: int, clamp: bool) -> dict:
    if label not in (0, 1):
        raise _Wrong("errors.marks_form")
    x, y = math.floor(_number(x)), math.floor(_number(y))
    if clamp:
        x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    if not (0 <= x < width and 0 <= y < height):
        raise _Wrong("errors.marks_outside")
    return {"kind": "point", "x": x, "y": y, "label": int(label)}


def _box(x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> dict:
    x0, x1 = (min(max(x, 0.0), float(width)) for x in sorted((x0, x1)))
    y0, y1 = (min(max(y, 0.0), float(height)) for y in sorted((y0, y1)))
    if x1 - x0 < 1 or y1 - y0 < 1:
        raise _Wrong("errors.marks_empty_box")
    return {"x0": x0, "y0": y0, "x1": x1, "y1": y1}


def _stroke(radius: float, path: list, width: int, height: int, clamp: bool) -> dict:
    places = []
    for place in path:
        if not isinstance(place, list | tuple) or len(place) != 2:
            raise _Wrong("errors.marks_form")
        x, y = _number(place[0]), _number(place[1])
        if clamp:
            x, y = min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))
        if not (0 <= x <= width and 0 <= y <= height):
            raise _Wrong("errors.marks_outside")
        places.append([x, y])
    if radius <= 0:
        raise _Wrong("errors.marks_form")
    return {"kind": "brush", "radius": min(radius, float(max(width, height))), "path": places}


def _number(value: Any) -> float:
    """A finite number; True, texts and 10**400 are none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9 or math.isnan(value):
        raise _Wrong("errors.marks_form")
    return float(value)
