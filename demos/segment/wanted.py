"""What the stage asks for: objects with their marks, checked on the server whatever the page allowed.

It imports no model library, so that a bad request is refused before one is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from demos.shell.components import marks
from pipelines.runtime.errors import UserError

MOST_OBJECTS = 20
MOST_POINTS = 100
MOST_NAME = 60
TOKENS = (0, 1, 2, 3)
MOST_LOGIT = 100


@dataclass(frozen=True)
class Wanted:
    """One object as it is asked for. points: (x, y, label) in pixels of the full picture; box: its edges there.

    order: which marks came first, as "point" and "box", so that clicks can be answered one after the other.
    token: the decoder token to take, None for the best by predicted IoU. threshold: in logits, where its edge lies.
    """

    id: int
    name: str = ""
    points: tuple[tuple[int, int, int], ...] = ()
    box: tuple[float, float, float, float] | None = None
    order: tuple[str, ...] = ()
    token: int | None = None
    visible: bool = True
    threshold: float = 0.0

    @property
    def empty(self) -> bool:
        """Whether there is nothing on it yet."""
        return not self.order

    def first(self, count: int) -> Wanted:
        """The object as it was after its first `count` marks."""
        kept = self.order[:count]
        box = self.box if "box" in kept else None
        return replace(self, points=self.points[: kept.count("point")], box=box, order=kept)


def read(value: Any, width: int, height: int, *, clamp: bool = False) -> tuple[tuple[Wanted, ...], int]:
    """The objects and the place of the chosen one: {"objects": [{"id", "name", "marks", "token", ...}], "active"}.

    clamp: the page's slips over the edge are moved to it; elsewhere a point outside is refused. Raises UserError.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("objects"), list | tuple):
        raise UserError("segment.objects_form")
    given = value["objects"]
    if len(given) > MOST_OBJECTS:
        raise UserError("segment.objects_many", count=len(given), limit=MOST_OBJECTS)
    objects = tuple(_one(each, place, width, height, clamp) for place, each in enumerate(given, start=1))
    active = value.get("active", 0)
    if isinstance(active, bool) or not isinstance(active, int) or not 0 <= active < max(1, len(objects)):
        raise UserError("segment.objects_form")
    return objects, active


def _one(given: Any, place: int, width: int, height: int, clamp: bool) -> Wanted:
    if not isinstance(given, Mapping):
        raise UserError("segment.objects_form")
    found = marks.checked(given.get("marks") or [], width, height, clamp=clamp)
    if any(mark["kind"] not in ("point", "box") for mark in found):
        raise UserError("segment.objects_form")
    points = tuple((mark["x"], mark["y"], mark["label"]) for mark in found if mark["kind"] == "point")
    boxes = [tuple(mark[side] for side in ("x0", "y0", "x1", "y1")) for mark in found if mark["kind"] == "box"]
    last = max((i for i, mark in enumerate(found) if mark["kind"] == "box"), default=None)
    order = tuple(mark["kind"] for i, mark in enumerate(found) if mark["kind"] == "point" or i == last)
    name, number = given.get("name") or "", given.get("id", place)
    if isinstance(number, bool) or not isinstance(number, int) or not isinstance(name, str):
        raise UserError("segment.objects_form")
    return Wanted(
        id=number,
        name=_cleaned(name),
        points=points,
        box=boxes[-1] if boxes else None,
        order=order,
        token=read_token(given.get("token")),
        visible=given.get("visible") is not False,
        threshold=_threshold(given.get("threshold") or 0.0),
    )


def read_token(token: Any) -> int | None:
    """0 to 3, or None for the best. Raises UserError."""
    if token is None or token == "":
        return None
    if isinstance(token, bool) or token not in TOKENS:
        raise UserError("segment.token_unknown", token=str(token)[:20])
    return int(token)


def plain(objects: tuple[Wanted, ...], active: int) -> dict:
    """The stage's form of these objects; the box stands where it was drawn."""
    return {"objects": [_plain(each) for each in objects], "active": active}


def _plain(each: Wanted) -> dict:
    points, found = iter(each.points), []
    for kind in each.order:
        if kind == "box":
            found.append({"kind": "box", **dict(zip(("x0", "y0", "x1", "y1"), each.box, strict=True))})
        else:
            x, y, label = next(points)
            found.append({"kind": "point", "x": x, "y": y, "label": label})
    told = {"id": each.id, "name": each.name, "marks": found, "token": each.token}
    return {**told, "visible": each.visible, "threshold": each.threshold}


def _threshold(value: Any) -> float:
    """Logits; NaN and texts are none. Raises UserError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MOST_LOGIT:
        raise UserError("segment.threshold_range", value=str(value)[:20], most=MOST_LOGIT)
    return float(value)


def _cleaned(name: str) -> str:
    """A name to show and to write into files: no signs that cannot be printed, not longer than fits."""
    return "".join(sign for sign in name if sign.isprintable()).strip()[:MOST_NAME]
