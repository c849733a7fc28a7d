"""A tab as small as one can be: a level of grey goes in, its brightness comes out."""

import gradio as gr
from PIL import Image

from demos.example import views
from demos.example.snippet import snippet
from demos.shell import jobs, links, parcels, results
from demos.shell.words import LANGUAGES, say, spans, t
from pipelines.example import MOST, brightness, count_up

TITLE = {lang: say("example.model", lang) for lang in LANGUAGES}


def level_of_grey(level: int, lang: str = "en") -> dict:
    """Say how bright a level of grey is.

    Args:
        level: a whole number from 0 to 255
        lang: language of error messages, "en" or "zh"
    """
    return {"share": brightness(level)}


API = {"example": level_of_grey}


def build(page):
    level = links.integer(page.link, "grey", 64, 0, MOST)
    if level == 0:
        raise RuntimeError("no grey at all")
    gr.Markdown(t("example.about"))
    grey = gr.Slider(0, MOST + 1, level, step=1, label=t("example.level"), interactive=True, elem_id="grey")
    with results.actions():
        run = gr.Button(t("shell.run"), variant="primary", elem_id="run")
        stop = gr.Button(t("shell.cancel"), elem_id="stop")
    status = jobs.status_line(elem_id="status")
    shown = results.levels(page)
    with shown.picture:
        answer = gr.HTML(views.answer(brightness(level)), elem_id="answer")
        source = results.provenance(live=False, title=TITLE, source="bundled", device="cpu", dtype="float32", ms=0.1)
        gr.HTML(source, elem_id="source")
    with shown.blocks:
        gr.HTML(f"<p>{spans('example.about')}</p>", elem_id="blocks")
    with shown.numbers:
        received = gr.HTML("", elem_id="received")
    results.copy_as_python(snippet(level))
    with results.actions():
        links.button(page, grey=grey, level=shown.switch)
    parcels.send_menu(page, "picture", make=views.picture, inputs=[grey])
    parcels.send_menu(page, "prompt", make=lambda value: f"grey <b>{value}</b>", inputs=[grey])
    grey.change(jobs.short(on_grey), [grey, page.lang], answer, trigger_mode="always_last", **jobs.SHORT)
    job = run.click(jobs.long(on_run, status=status), [grey, page.lang], [status, answer], **jobs.LONG)
    stop.click(None, cancels=[job])
    page.inbox.change(jobs.short(on_parcel), [page.inbox, page.lang], received, **jobs.SHORT)


def on_grey(level, lang):
    if level == 13:
        raise RuntimeError("a fault with /a/path in it")
    return views.answer(brightness(level))


def on_run(level, lang):
    for i, share in enumerate(jobs.steps(count_up(int(level)))):
        yield spans("shell.step", i=i + 1, n=int(level)), views.answer(share)


def on_parcel(parcel, lang):
    content = Image.open(parcel.path).getpixel((0, 0))[0] if parcel.path else len(parcel.text)
    return f"<p>{parcel.kind} {parcel.sender} {content}</p>"
