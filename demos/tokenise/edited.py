"""What a visitor made of the board's grid, out of what the browser sent: checked, since anybody can send anything."""

import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from demos.shell.arrays import unpack
from pipelines.runtime.errors import UserError
from pipelines.tokenise.tokens import MOST_TOKENS

SOURCES = ("picture", "random", "second_stage", "file")
MOST_CODES = 65_536  # two bytes an index
MOST_LETTERS = 200
LARGEST_SERIAL = 2**53 - 1  # whole numbers that a browser counts exactly


@dataclass(frozen=True, eq=False)
class Edited:
    """The grid as it is now.

    name: of the answer that it began with. indices: (h, w) int32, each from 0 to codes - 1. other: a second grid of
    that shape, or None. hole: (h, w) bool, the tokens that are hidden. selected: (row, column) or None. region: (top,
    left, bottom, right) in cells, the last two not included, or None. serial: of the last edit, to be given back with
    its answer. source: one of SOURCES, what the grid began as.
    """

    name: str
    indices: np.ndarray
    other: np.ndarray | None
    hole: np.ndarray
    selected: tuple[int, int] | None
    region: tuple[int, int, int, int] | None
    serial: int
    source: str
    codes: int


def edited(payload: Any) -> Edited:
    """The value of the board. Raises UserError with a sentence for anything that the page itself would not send."""
    if not isinstance(payload, Mapping):
        raise UserError("tokenise.board_form")
    name, source = payload.get("name"), payload.get("source")
    if not isinstance(name, str) or not 0 < len(name) <= MOST_LETTERS or source not in SOURCES:
        raise UserError("tokenise.board_form")
    rows, columns = (_whole(payload.get(side), 1, MOST_TOKENS) for side in ("rows", "columns"))
    if rows * columns > MOST_TOKENS:
        raise UserError("tokenise.board_large", rows=rows, columns=columns, most=MOST_TOKENS)
    codes, other, hole = _whole(payload.get("codes"), 1, MOST_CODES), payload.get("other"), payload.get("hole")
    shape = (rows, columns)
    return Edited(
        name=name,
        indices=_indices(payload.get("indices"), shape, codes),
        other=None if other is None else _indices(other, shape, codes),
        hole=np.zeros(shape, bool) if hole is None else _hole(hole, shape),
        selected=_selected(payload.get("selected"), shape),
        region=_region(payload.get("region"), shape),
        serial=_whole(payload.get("serial"), 0, LARGEST_SERIAL),
        source=source,
        codes=codes,
    )


def _whole(value: Any, least: int, most: int) -> int:
    """A whole number of the range; True and 1.0 are none."""
    if type(value) is not int or not least <= value <= most:
        raise UserError("tokenise.board_form")
    return value


def _array(packed: Any, shape: tuple[int, int], dtype: str) -> np.ndarray:
    """What the page packed. Its length is looked at before it is decoded."""
    bytes_wanted = shape[0] * shape[1] * np.dtype(dtype).itemsize
    letters = 4 * -(-bytes_wanted // 3)
    fits = isinstance(packed, Mapping) and packed.get("dtype") == dtype and packed.get("shape") == list(shape)
    data = packed.get("data") if fits else None
    if not isinstance(data, str) or len(data) != letters:
        raise UserError("tokenise.board_form")
    try:
        return unpack({"dtype": dtype, "shape": shape, "data": data})
    except (binascii.Error, ValueError):  # no base64, or fewer bytes than letters promise
        raise UserError("tokenise.board_form") from None


def _indices(packed: Any, shape: tuple[int, int], codes: int) -> np.ndarray:
    found = _array(packed, shape, "uint16").astype(np.int32)
    if found.max() >= codes:
        row, column = np.unravel_index(found.argmax(), shape)
        index, row, column = int(found.max()), int(row) + 1, int(column) + 1
        raise UserError("errors.token_index", index=index, row=row, column=column, last=codes - 1)
    return found


def _hole(packed: Any, shape: tuple[int, int]) -> np.ndarray:
    found = _array(packed, shape, "uint8")
    if found.max() > 1:
        raise UserError("tokenise.board_form")
    return found.astype(bool)


def _places(value: Any, count: int) -> list | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != count or any(type(each) is not int for each in value):
        raise UserError("tokenise.board_form")
    return value


def _selected(value: Any, shape: tuple[int, int]) -> tuple[int, int] | None:
    found = _places(value, 2)
    if found is not None and not all(0 <= place < side for place, side in zip(found, shape, strict=True)):
        raise UserError("tokenise.board_form")
    return None if found is None else tuple(found)


def _region(value: Any, shape: tuple[int, int]) -> tuple[int, int, int, int] | None:
    found = _places(value, 4)
    if found is None:
        return None
    top, left, bottom, right = found
    if not (0 <= top < bottom <= shape[0] and 0 <= left < right <= shape[1]):
        raise UserError("tokenise.board_form")
    return top, left, bottom, right
