"""What an edited grid differs in from the picture's own: in words for a link, in lines for the code to copy."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pipelines.runtime.errors import UserError

MOST = 300  # more do not fit into an address
_FORM = re.compile(r"\d{1,3}-\d{1,3}-\d{1,5}(_\d{1,3}-\d{1,3}-\d{1,5})*")

Change = tuple[int, int, int]  # row, column, the code that stands there now


def between(before: np.ndarray, now: np.ndarray) -> list[Change]:
    """Every place of two grids (h, w) that differs, row by row."""
    places = np.argwhere(before != now)
    return [(int(row), int(column), int(now[row, column])) for row, column in places]


def written(changes: Sequence[Change]) -> str:
    """As a link holds them: row-column-code_row-column-code; "" where there are too many."""
    return "_".join("-".join(map(str, each)) for each in changes) if len(changes) <= MOST else ""


def read(text: str) -> list[Change]:
    """Out of a link. Raises UserError for a text of another form."""
    if not text:
        return []
    if not _FORM.fullmatch(text) or text.count("_") >= MOST:
        raise UserError("tokenise.changes_form")
    return [tuple(map(int, each.split("-"))) for each in text.split("_")]


def applied(indices: np.ndarray, changes: Sequence[Change], *, codes: int) -> np.ndarray:
    """A copy of the grid (h, w) with these changes. Raises UserError for a place or a code that is not there."""
    made, (rows, columns) = indices.copy(), indices.shape
    for row, column, index in changes:
        if row >= rows or column >= columns or index >= codes:
            raise UserError("tokenise.changes_outside", row=row, column=column, rows=rows, columns=columns)
        made[row, column] = index
    return made
