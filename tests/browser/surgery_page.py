"""The board with the panels of surgery and of the codebook about it, over whatever model `parts.load` gives."""

import secrets
import sys
import threading
from types import SimpleNamespace

import gradio as gr

from demos.shell import jobs
from demos.tokenise import answer, codebook_panel, decoded, parts, surgery_panel
from demos.tokenise.board import Board
from demos.tokenise.decoded import Decoded
from tests.browser import harness

FIRST, LONGEST = "cat", 256


def opened(request: gr.Request, shared: parts.Shared, *, picture: str = FIRST, model: str = "") -> dict:
    """The grid of an example on the board."""
    asked = parts.ask(picture, LONGEST, parts.chosen(model))
    tokens = parts.encoded(asked.picture, asked.longest, asked.model_id, request).tokens
    pixels, ms = answer.painted(asked.model_id, tokens.indices, size=tokens.size)
    return answer.put(
        asked, tokens.indices, pixels, codes=tokens.codes, cell=tokens.cell, shared=shared, request=request,
        original=tokens.pixels, ms=ms,
    )  # fmt: skip


def show_surgery():
    lang, model, size = gr.Textbox("en"), gr.Dropdown([""], value=""), gr.Radio([LONGEST], value=LONGEST)
    page = SimpleNamespace(lang=lang, link={}, tab="tokenise")
    buttons = {name: gr.Button(name, elem_id=name) for name in ("open", "coffee")}
    board, answers = Board(elem_id="it"), Decoded(elem_id="answers")
    hidden = {name: gr.Textbox("", elem_id=name, interactive=True) for name in ("answered", "edited")}
    shared = parts.Shared(board, answers, gr.Textbox(), model, size, lang, **hidden, stored=None)

    def on_edit(board, answered, lang, request: gr.Request):
        asked = parts.question(answered)
        made = answer.edited(asked, board, request)
        value = decoded.answer(board.name, board.serial, made.pixels, ms=made.ms, other_pixels=made.other)
        return value, secrets.token_hex(4)

    board.input(jobs.short(on_edit), [board, hidden["answered"], lang], [answers, hidden["edited"]], **harness.LAST)
    outputs = [board, hidden["answered"]]
    for name, picture in (("open", FIRST), ("coffee", "coffee")):

        def on_open(lang, request: gr.Request, *, picture=picture):
            return opened(request, shared, picture=picture)

        buttons[name].click(on_open, lang, outputs, **harness.QUIET)
    surgery_panel.lay_out(page, shared)
    codebook_panel.lay_out(page, shared)


harness.SHOWN["surgery"] = show_surgery

if __name__ == "__main__":
    with harness.served(int(sys.argv[1])) as address:
        print(address, flush=True)
        threading.Event().wait()
