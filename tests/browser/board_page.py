"""The board over a made-up decoder: each cell has the colour of its code, so that what is on screen is known."""

import json
import threading

import gradio as gr
import numpy as np

from demos.shell import jobs
from demos.tokenise.board import Board, Edited, grid
from demos.tokenise.decoded import Decoded, answer
from tests.browser import harness

CODES, CELL = 1024, 8
CALLS = []  # serials that were decoded
GATE = threading.Event()  # while it is not set, decoding waits
GATE.set()


def colour(codes: np.ndarray) -> np.ndarray:
    """(..., 3) uint8: no two codes share one."""
    codes = np.asarray(codes)
    return np.stack([codes % 32 * 8, codes // 32 * 8, 128 + 0 * codes], axis=-1).astype(np.uint8)


def decoded(codes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8: cells in the colours of their codes, cut to the size."""
    return colour(codes).repeat(CELL, axis=0).repeat(CELL, axis=1)[: size[0], : size[1]]


def counting(rows: int, columns: int) -> np.ndarray:
    """A grid in which the cell of place i has code i modulo 512."""
    return (np.arange(rows * columns) % 512).reshape(rows, columns)


def shown(name: str, rows: int, columns: int, *, size: tuple[int, int] | None = None, source: str = "picture") -> dict:
    codes, size = counting(rows, columns), size or (rows * CELL, columns * CELL)
    pixels = decoded(codes, size)
    return grid(
        name, codes, codes=CODES, cell=CELL, size=size, picture=pixels, source=source,
        original=255 - pixels if source == "picture" else None,
    )  # fmt: skip


def told(edited: Edited | None) -> str:
    """What a handler got, for a test to read."""
    if edited is None:
        return "null"
    return json.dumps(
        {
            "name": edited.name,
            "indices": edited.indices.tolist() if edited.indices.size <= 1024 else None,
            "sum": int(edited.indices.sum()),
            "other": None if edited.other is None else edited.other.tolist(),
            "holes": np.argwhere(edited.hole).tolist() if edited.indices.size <= 1024 else int(edited.hole.sum()),
            "selected": edited.selected,
            "region": edited.region,
            "serial": edited.serial,
        }
    )


def on_edit(edited: Edited | None, lang: str):
    if edited is None:
        return "null", None
    GATE.wait(20)
    CALLS.append(edited.serial)
    height, width = edited.indices.shape[0] * CELL, edited.indices.shape[1] * CELL
    pixels = decoded(edited.indices, (height, width))
    other = None if edited.other is None else decoded(edited.other, (height, width))
    before = decoded(counting(*edited.indices.shape), (height, width)).astype(float)
    change = np.abs(pixels - before).mean(axis=-1)
    return told(edited), answer(edited.name, edited.serial, pixels, change=change, ms=12.3, other_pixels=other)


def on_server_edit(edited: Edited, lang: str):
    """An edit in two steps, as a fill makes it: row 0 becomes code 600, then row 1 as well."""
    codes = edited.indices.copy()
    for row in range(2):
        codes[row] = 600
        size = (codes.shape[0] * CELL, codes.shape[1] * CELL)
        yield answer(
            edited.name, edited.serial, decoded(codes, size), indices=codes, hole=np.zeros(codes.shape, bool),
            note={"en": f"Step {row + 1}", "zh": f"第 {row + 1} 步"},
        )  # fmt: skip


def on_second(edited: Edited, lang: str):
    codes = np.full(edited.indices.shape, 900)
    size = (codes.shape[0] * CELL, codes.shape[1] * CELL)
    return answer(edited.name, edited.serial, other=codes, other_pixels=decoded(codes, size))


def show_board():
    lang = gr.Textbox("en", interactive=True)
    board = Board(shown("first", 32, 32), elem_id="it")
    answers = Decoded(elem_id="answers")
    got, chosen, hidden = (gr.Textbox(elem_id=name, interactive=True) for name in ("got", "chosen", "hidden"))
    board.input(jobs.short(on_edit), [board, lang], [got, answers], **harness.LAST)
    board.pick(told, board, chosen, **harness.LAST)
    board.hole(told, board, hidden, **harness.LAST)
    buttons = {name: gr.Button(name, elem_id=name) for name in ("fresh", "server", "second", "large", "odd", "none")}
    buttons["fresh"].click(
        lambda: (shown("fresh", 32, 32), "", "", ""), None, [board, got, chosen, hidden], **harness.QUIET
    )
    buttons["server"].click(on_server_edit, [board, lang], answers, **harness.QUIET)
    buttons["second"].click(on_second, [board, lang], answers, **harness.QUIET)
    buttons["large"].click(lambda: shown("large", 128, 128), None, board, **harness.QUIET)
    buttons["odd"].click(lambda: shown("odd", 5, 9, size=(37, 70), source="random"), None, board, **harness.QUIET)
    buttons["none"].click(lambda: None, None, board, **harness.QUIET)


harness.SHOWN["board"] = show_board

if __name__ == "__main__":
    with harness.served(7825) as address:
        print(address, flush=True)
        threading.Event().wait()
