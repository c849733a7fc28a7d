"""The board: a picture as a grid of codes, to look at and to paint in. 128 x 128 cells stay quick: one canvas.

    board = Board(grid(name, indices, codes=1024, cell=8, size=(256, 256), picture=decoded, original=pixels))
    decoded = Decoded()                                                             # of decoded.py
    board.input(jobs.short(on_edit), [board, page.lang], decoded, **jobs.SHORT, trigger_mode="always_last")
    board.pick(jobs.short(on_pick), [board, page.lang], ..., **jobs.SHORT, trigger_mode="always_last")
    board.hole(jobs.short(on_hole), [board, page.lang], ..., **jobs.SHORT, trigger_mode="always_last")

**Up.** A handler that takes the board gets an `Edited`, or None while there is no grid. Everything in it is checked,
but for one thing: `codes` is what the page says, so that a decoder looks once more whether each index is its own. In
the browser the value is

    {"name", "serial", "begun", "source", "rows", "columns", "codes", "cell", "size": [H, W], "lang",
     "indices": packed (rows, columns) uint16, "other": the same or null, "hole": packed uint8 of 0 and 1, or null,
     "selected": [row, column] or null, "region": [top, left, bottom, right] or null, "picture", "original": file}

region: in cells, the last two not included, so that `indices[top:bottom, left:right]` is what lies in it.

- `.input` fires after each change of the codes: painting (while the brush moves), a stamp, a swap, undo and redo, back
  to the picture's codes. Answer with `decoded.answer(edited.name, edited.serial, pixels)`; where `edited.other` is
  there, with `other_pixels` as well: a swap changes both. An edit that the server made and answered fires nothing.
- `.pick` fires when another token or another region is chosen, by pointer or by arrow keys.
- `.hole` fires when only the hole changed.

**Down.** The board is an output where another grid is put on it, with a fresh history: `grid(...)`, or None to empty
it. Answers to edits go to `Decoded`, so that a visitor who paints on is not thrown back. name: of the answer that the
grid belongs to, not empty. serial: counts the edits; `grid` begins it at random, so that an answer to another grid
never fits. An answer to an older edit than the one on screen is dropped.

**In the browser** panels speak with the board by events of the window:

- `lucida-board`, from the board, after every change: {name, serial, rows, columns, codes, cell, indices (typed array,
  only to be read), selected, region, code (the brush's), hole (number of cells), other (whether there is one)};
  `lucida-board-ask` repeats the last one.
- `lucida-board-pick`, to the board: {code} takes that code for the brush and lights up its uses, {row, column} chooses
  a token; with {tool} ("look", "paint", "copy", "region", "hole") it also takes that tool.
- `lucida-board-put`, to the board: {code, row, column} puts that code into that place, as one edit.
- `lucida-board-put`, to the board: {code, row, column} puts a code into a cell, as one stroke of the brush does.
- `lucida-board-hole`, to the board: {all: true} hides every token, {all: false} none.
- `lucida-compare`, to the board: {src, label: {en, zh}}, a rival of the original for the slider, and opens it; {src:
  null} takes it away.
- `lucida-decoded`, from Decoded: each answer as it arrived; `lucida-decoded-ask` repeats the last one.
"""

import secrets
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from demos.shell import jobs
from demos.shell.arrays import pack
from demos.shell.components import colours
from demos.shell.components.picture import language_of
from demos.shell.components.shown import files
from demos.shell.words import both
from demos.tokenise.decoded import file_of
from demos.tokenise.edited import SOURCES, Edited, edited
from pipelines.runtime.errors import UserError

__all__ = ["Board", "Edited", "grid"]
_HERE = Path(__file__).parent
_SCRIPTS = (
    *("board_state.js", "board_pictures.js", "board_geometry.js", "board_paint.js", "board_tools.js"),
    *("board_bars.js", "board_views.js", "board_hands.js", "board_keys.js"),
)
_WORDS = (
    *("board_tools", "board_look", "board_paint", "board_copy", "board_region", "board_hole", "board_hint_look"),
    *("board_hint_paint", "board_hint_copy", "board_hint_stamp", "board_hint_region", "board_hint_hole"),
    *("board_hint_compare", "board_deeds", "board_undo", "board_redo", "board_first", "board_first_hint"),
    *("board_zoom_in", "board_zoom_out", "board_code", "board_code_first", "board_code_range", "board_width"),
    *("board_width_n", "board_again", "board_no_region", "board_all", "board_none", "board_empty", "board_label"),
    *("board_size", "board_at", "board_at_hole", "board_hidden", "board_region_size", "board_late"),
    *("board_no_picture", "board_views", "view_picture", "view_grid", "view_numbers", "view_compare", "view_change"),
    *("side_original", "side_decoded", "board_slider", "board_split", "board_change", "board_change_none"),
    *("board_other", "board_swap_region", "board_swap_all", "board_remove_other"),
)


def grid(
    name: str,
    indices: np.ndarray,
    *,
    codes: int,
    cell: int,
    size: tuple[int, int],
    picture: np.ndarray | str | Path,
    original: np.ndarray | str | Path | None = None,
    source: str = "picture",
    other: np.ndarray | None = None,
    other_picture: np.ndarray | str | Path | None = None,
) -> dict:
    """A grid for the board, with a fresh history.

    indices: (h, w) integers below `codes`. cell: pixels that a token covers. size: (H, W) of the picture in pixels,
    without what was padded. picture: what these codes decode to, (H, W, 3) uint8 or a file that may be served.
    original: what was encoded, if there was a picture. source: one of `edited.SOURCES`. other, other_picture: a second
    grid of the same shape to swap with, and what it decodes to.
    """
    if source not in SOURCES:
        raise ValueError(f"source must be one of {SOURCES}, got {source!r}")
    begun = secrets.randbits(48)
    rows, columns = indices.shape
    return {
        "name": name,
        "serial": begun,
        "begun": begun,
        "source": source,
        "rows": rows,
        "columns": columns,
        "codes": codes,
        "cell": cell,
        "size": list(size),
        "indices": pack(indices.astype(np.uint16)),
        "other": None if other is None else pack(other.astype(np.uint16)),
        "hole": None,
        "selected": None,
        "region": None,
        "picture": file_of(picture),
        "original": None if original is None else file_of(original),
        "other_picture": None if other_picture is None else file_of(other_picture),
    }


class Board(gr.HTML):
    """See the head of this file. value: what `grid` made, or None."""

    def __init__(self, value: dict | None = None, **kwargs: Any):
        words = both(*(f"tokenise.{name}" for name in _WORDS))
        super().__init__(
            value, **files(_HERE, "board", *_SCRIPTS), words=words, colours=colours.stored()["sequential"], **kwargs
        )

    def preprocess(self, payload: Any) -> Edited | None:
        if payload is None or payload == "":
            return None
        try:
            return edited(payload)
        except UserError as error:
            raise jobs.sentence(error, language_of(payload)) from None

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
