"""The tokenise tab: layout and events, in the order in which they are seen."""

import gradio as gr

from demos.shell import jobs, links, results
from demos.shell.components.starter import Starter
from demos.tokenise import answering, api, asked, downloads, levels, panels, parts, result, sources, views
from demos.tokenise.board import Board
from demos.tokenise.decoded import Decoded
from demos.tokenise.rivals import Rivals
from pipelines.runtime.errors import UserError

API = api.API


def build(page) -> None:
    """Lay out the tab; see `demos.shell.frame.Page`."""
    start = asked.opening(page.link)
    html(views.STYLE + views.framed(views.sentence("about")))
    above = gr.Column(elem_id="tk-above")
    with gr.Row(equal_height=False, elem_id="tk-main"):
        with gr.Column(scale=3, min_width=320):
            status, stop = results.running("tk")
            board = Board(start.stored.grid() if start.stored else None, elem_id="tk-board")
            decoded = Decoded(elem_id="tk-decoded")
        with gr.Column(scale=2, min_width=320):
            question = asked.lay_out(start)
    shared = _shared(page, question, start, board=board, decoded=decoded)
    with above:
        codes = sources.lay_out(page, shared).picture
    shown = results.levels(page)
    with shown.picture:
        made = _picture_level(page, shared, start)
    levels.lay_out(page, shared, shown)
    code = _tools(page, question, shown, start)
    switch = panels.lay_out(page, shared, question, start)
    slow = gr.Textbox("", visible="hidden")
    panel = answering.Panel(status=status, stop=stop, code=code, facts=switch.facts, slow=slow, **made)
    answering.wire(page, question, shared, panel, switch=switch, starter=Starter(run=start.run), codes=codes)


def warm() -> None:
    """Load the model in the background, so that the first edit does not wait for it."""
    try:
        parts.load("")
    except UserError as error:  # said to the visitor when a picture is to be encoded
        jobs.log.warning("not loaded ahead: %s", error)


def html(value: str = "", **kwargs) -> gr.HTML:
    """HTML of `views.py`, which brings its own style."""
    return gr.HTML(value, apply_default_css=False, **kwargs)


def _shared(page, question: asked.Asked, start: asked.Opening, *, board: Board, decoded: Decoded) -> parts.Shared:
    return parts.Shared(
        board=board,
        decoded=decoded,
        picture=question.picture,
        model=question.model,
        size=question.size,
        lang=page.lang,
        answered=gr.Textbox(start.stored.question.text if start.stored else "", visible="hidden"),
        edited=gr.Textbox("", visible="hidden"),
        stored=start.stored,
    )


def _picture_level(page, shared: parts.Shared, start: asked.Opening) -> dict:
    """Figures, what can be kept, the rivals, and where the picture goes next."""
    stored = start.stored
    card = html(views.card(stored.figures) if stored else views.nothing(), elem_id="tk-card")
    notes = html(stored.notes() if stored else "", elem_id="tk-notes")
    downloads.lay_out(page, shared)
    strip = Rivals(stored.rivals() if stored else None, elem_id="tk-rivals")
    html(views.framed(views.sentence("limits", kind="tk-note")))
    provenance = html(stored.line() if stored else "", elem_id="tk-provenance")
    return {"card": card, "notes": notes, "rivals": strip, "provenance": provenance}


def _tools(page, question: asked.Asked, shown: results.Levels, start: asked.Opening) -> gr.HTML:
    """Link and code, under the result."""
    with results.actions():
        links.button(
            page, example=question.example, size=question.size, model=question.model, changes=question.changes,
            level=shown.switch,
        )  # fmt: skip
    code = results.copy_as_python()
    if start.stored:
        code.value = results.snippet(result.code_text(start.stored.question, []))
    return code
