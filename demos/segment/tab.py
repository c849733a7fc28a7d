"""The segment tab: layout and events, in the order in which they are seen."""

import gradio as gr

from demos.segment import answering, api, asked, clocks, downloads, panels, parts, result, views
from demos.segment import levels as level_panels
from demos.shell import jobs, links, results
from demos.shell.arrays import address
from demos.shell.components.starter import Starter
from pipelines.runtime.errors import UserError

API = api.API


def build(page) -> None:
    """Lay out the tab; see `demos.shell.frame.Page`."""
    start = asked.opening(page.link)
    html(views.STYLE + views.framed(views.sentence("about"), views.sentence("limits", kind="sg-note")))
    with gr.Row(equal_height=False, elem_id="sg-main"):
        with gr.Column(scale=3, min_width=320, elem_id="sg-left"):
            shown = clocks.Clocks(_first_clocks(start), elem_id="sg-clocks")
            status, stop = results.running("sg")
            stage = asked.lay_out_stage(start)
        with gr.Column(scale=2, min_width=320):
            question = asked.lay_out_controls(start, stage)
            shared = _shared(page, question, start)
            levels = results.levels(page)
            with levels.picture:
                made = _picture_level(page, shared, start)
            level_panels.lay_out(page, shared, levels)
            made |= {"status": status, "stop": stop, "code": _tools(page, question, levels, start)}
    switch = panels.lay_out(page, shared, question, start)
    hidden = {name: gr.Textbox("", visible="hidden") for name in ("quick", "slow")}
    panel = answering.Panel(clocks=shown, facts=switch.facts, **made, **hidden)
    answering.wire(page, question, shared, panel, switch, Starter(run=start.run))


def warm() -> None:
    """Load the model in the background, so that the first click does not wait for it."""
    try:
        parts.load("")
    except UserError as error:  # said to the visitor when a mark is to be answered
        jobs.log.warning("not loaded ahead: %s", error)


def html(value: str = "", **kwargs) -> gr.HTML:
    """HTML of `views.py`, which brings its own style."""
    return gr.HTML(value, apply_default_css=False, **kwargs)


def _shared(page, question: asked.Asked, start: asked.Opening) -> parts.Shared:
    answered = gr.Textbox(start.stored.name if start.stored else "", visible="hidden")
    return parts.Shared(question.stage, question.model, page.lang, answered, start.stored)


def _first_clocks(start: asked.Opening) -> dict | None:
    if start.stored is None:
        return None
    stored = start.stored
    return clocks.answer(
        stored.asked.name,
        layers=result.layers((stored.layer,)),
        encoder_ms=stored.said["encoder_ms"],
        decoder_ms=stored.layer.masks.ms,
        stored=True,
    )


def _picture_level(page, shared: parts.Shared, start: asked.Opening) -> dict:
    """The answer's numbers, the cut-out, what can be kept, and where it goes next."""
    stored = start.stored
    notes = html(elem_id="sg-notes")
    card = html(_first_card(start), elem_id="sg-card")
    cut = html(views.cut_out(address(stored.cut_out()), stored.layer) if stored else "", elem_id="sg-cut-out")
    downloads.lay_out_parcels(page, shared)
    with results.actions():
        downloads.lay_out(page, shared)
    line = _stored_line(stored) if stored else ""
    provenance = html(line, elem_id="sg-provenance")
    return {"notes": notes, "card": card, "cut_out": cut, "provenance": provenance}


def _first_card(start: asked.Opening) -> str:
    if not start.example:
        return views.no_picture()
    return views.card(start.stored.layer if start.stored else None)


def _stored_line(stored) -> str:
    ms = stored.said["encoder_ms"] + stored.layer.masks.ms
    device, dtype = stored.said["device"], stored.said["dtype"]
    return results.computed(stored.model_id, ms=ms, live=False, device=device, dtype=dtype)


def _tools(page, question: asked.Asked, levels: results.Levels, start: asked.Opening) -> gr.HTML:
    """Link and code, under the result."""
    with results.actions():
        links.button(
            page, example=question.example, objects=question.objects, model=question.model,
            previous=question.previous, level=levels.switch,
        )  # fmt: skip
    code = results.copy_as_python()
    if start.stored:
        code.value = result.code(start.stored.calls, start.stored.model_id, name=start.example, threshold=0.0)
    return code
