"""What a person marks on a picture to name one object: clicks, a box, the logits of an earlier answer; and its check.

Places are pixels of the full picture, counted like an array's indices: a click (x, y) means the middle of pixel
``pixels[y, x]``. The edges of a box are lines between pixels, from 0 to the picture's width and height.
"""

import json
import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from pipelines.runtime.errors import UserError
from pipelines.segment.clicks import Click

MOST_POINTS = 100  # of one object; SAM is trained with about ten
MOST_OBJECTS = 20
LEAST_BOX_PX = 1.0


@dataclass(frozen=True, eq=False)
class Prompt:
    """One object asked for. A call is one object: clicks on two animals ask for the two as one thing.

    points: clicks in pixels of the full picture. box: (x0, y0, x1, y1) float, edges in the full picture. previous:
    (1, side, side) float32, the logits of an earlier answer on the same picture (``Masks.as_prompt``).
    """

    points: tuple[Click, ...] = ()
    box: tuple[float, float, float, float] | None = None
    previous: np.ndarray | None = None

    @property
    def is_one_click(self) -> bool:
        """Whether it is a single positive click and nothing else: the prompt that may mean part or whole."""
        return len(self.points) == 1 and self.points[0].positive and self.box is None and self.previous is None


def read(points: Any = None, box: Any = None, *, previous: np.ndarray | None = None) -> Prompt:
    """A prompt from plain values, as they come from a page, an API or JSON.

    Args:
        points: rows (x, y, label) or (x, y), label 1 for a click on the object and 0 for one beside it; or their JSON.
        box: (x0, y0, x1, y1), or its JSON.

    Returns:
        A prompt of the right form; whether it lies on the picture, ``check`` says.

    Raises:
        UserError: ``errors.mark_json`` (a text that is not JSON), ``errors.mark_form`` (ragged, not rows of numbers),
            ``errors.mark_label`` (a label that is neither 1 nor 0), ``errors.marks_many``.
    """
    points, box = _plain(points), _plain(box)
    if not _is_row(points):
        raise UserError("errors.mark_form", found=_short(points))
    if len(points) > MOST_POINTS:
        raise UserError("errors.marks_many", count=len(points), most=MOST_POINTS)
    if not _is_row(box) or len(box) not in (0, 4) or not all(map(_is_number, box)):
        raise UserError("errors.mark_form", found=_short(box))
    return Prompt(tuple(map(_click, points)), tuple(map(float, box)) if len(box) else None, previous)


def check(prompt: Prompt, width: int, height: int) -> Prompt:
    """The prompt as it is used on a picture of this size: a reversed box is turned, a larger one is cut.

    Args:
        width, height: of the full picture, in pixels.

    Raises:
        UserError: ``errors.mark_none`` (nothing is marked), ``errors.marks_many`` (over 100 points),
            ``errors.mark_number`` (NaN, infinite, not a number), ``errors.mark_label``, ``errors.mark_outside``,
            ``errors.mark_negative`` (only clicks beside the object), ``errors.box_empty`` (no pixel of the picture),
            ``errors.previous_logits`` (not finite, or not of the shape of logits).
    """
    if not prompt.points and prompt.box is None and prompt.previous is None:
        raise UserError("errors.mark_none")
    if len(prompt.points) > MOST_POINTS:
        raise UserError("errors.marks_many", count=len(prompt.points), most=MOST_POINTS)
    for click in prompt.points:
        _check_click(click, width, height)
    if prompt.box is None and prompt.previous is None and not any(click.positive for click in prompt.points):
        raise UserError("errors.mark_negative")
    box = None if prompt.box is None else _check_box(prompt.box, width, height)
    return Prompt(tuple(prompt.points), box, _check_previous(prompt.previous))


def _check_click(click: Click, width: int, height: int) -> None:
    if not (_is_number(click.x) and _is_number(click.y)):
        raise UserError("errors.mark_number", value=_short((click.x, click.y)))
    if click.positive not in (True, False):
        raise UserError("errors.mark_label", label=_short(click.positive))
    if not (0 <= click.x <= width - 1 and 0 <= click.y <= height - 1):
        raise UserError("errors.mark_outside", x=f"{click.x:g}", y=f"{click.y:g}", last_x=width - 1, last_y=height - 1)


def _check_box(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float]:
    if len(box) != 4 or not all(map(_is_number, box)):
        raise UserError("errors.mark_number", value=_short(tuple(box)))
    x0, x1 = np.clip(sorted((box[0], box[2])), 0, width).tolist()
    y0, y1 = np.clip(sorted((box[1], box[3])), 0, height).tolist()
    if x1 - x0 < LEAST_BOX_PX or y1 - y0 < LEAST_BOX_PX:
        raise UserError("errors.box_empty", width=width, height=height)
    return x0, y0, x1, y1


def _check_previous(previous: np.ndarray | None) -> np.ndarray | None:
    if previous is None:
        return None
    logits = np.asarray(previous)
    if logits.dtype.kind != "f" or logits.ndim != 3 or len(logits) != 1 or not np.isfinite(logits).all():
        raise UserError("errors.previous_logits", shape=" × ".join(map(str, logits.shape)))
    return logits.astype(np.float32, copy=False)


def _plain(value: Any) -> Any:
    """Rows out of a JSON text, an array or nothing."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            raise UserError("errors.mark_json", found=_short(value)) from None
    if isinstance(value, np.ndarray):
        return value.tolist()
    return () if value is None else value


def _click(row: Any) -> Click:
    if isinstance(row, Click):
        return row
    if not _is_row(row) or len(row) not in (2, 3) or not all(map(_is_number, row[:2])):
        raise UserError("errors.mark_form", found=_short(row))
    label = row[2] if len(row) == 3 else 1
    if not isinstance(label, Real) or label not in (0, 1):
        raise UserError("errors.mark_label", label=_short(label))
    return Click(row[0], row[1], positive=bool(label))


def _is_row(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number; true and false are none."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


def _short(value: Any) -> str:
    """At most 40 characters to be shown in a sentence, also of what is huge, deep or no valid Unicode."""
    try:
        text = value[:40] if isinstance(value, str) else reprlib.repr(value)[:40]
    except ValueError:  # an integer of thousands of digits
        return "…"
    return text.encode("utf-8", "replace").decode("utf-8")
