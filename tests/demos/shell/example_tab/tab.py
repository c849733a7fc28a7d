"""A tab as small as one can be: a picture or a text comes in, a level of grey goes out."""

import gradio as gr
import numpy as np

from demos.shell import jobs, links, parcels, results
from demos.shell.words import say, spans, t
from pipelines.runtime.errors import UserError

MOST = 255


def brightness(level: int, lang: str = "en") -> dict:
    """Say how bright a level of grey is.

    Args:
        level: a whole number from 0 to 255
        lang: language of error messages, "en" or "zh"
    """
    if not 0 <= level <= MOST:
        raise UserError("errors.example_level", most=MOST)
    return {"share": level / MOST}


API = {"brightness": brightness}


def build(page):
    level = links.integer(page.link, "level_of_grey", 64, 0, MOST)
    gr.Markdown(t("example.about"))
    grey = gr.Slider(0, MOST + 1, level, step=1, label=t("example.level"), interactive=True, elem_id="grey")
    run = gr.Button(t("shell.run"), variant="primary", elem_id="count")
    stop = gr.Button(t("shell.cancel"), elem_id="stop")
    status = jobs.status_line(elem_id="status")
    shown = results.levels(page)
    with shown.picture:
        answer = gr.HTML(_answer(level), elem_id="answer")
    with shown.blocks:
        gr.HTML("<p>blocks</p>", elem_id="blocks")
    with shown.numbers:
        received = gr.HTML("", elem_id="received")
    results.copy_as_python("print(1)")
    with results.actions():
        links.button(page, level_of_grey=grey, level=shown.switch)
    parcels.send_menu(page, "picture", make=_picture, inputs=[grey])
    parcels.send_menu(page, "prompt", make=lambda value: f"grey <b>{value}</b>", inputs=[grey])
    grey.input(jobs.short(_show), [grey, page.lang], answer, **jobs.SHORT)
    job = run.click(jobs.long(_count, status=status), [grey, page.lang], [status, answer], **jobs.LONG)
    stop.click(None, cancels=[job])
    page.inbox.change(jobs.short(_receive), [page.inbox, page.lang], received, **jobs.SHORT)


def _answer(level):
    return f'<p class="numbers">{spans("example.answer", share=f"{level / MOST:.3f}")}</p>'


def _show(level, lang):
    brightness(level)
    if level == 13:
        raise RuntimeError("a bug at /secret/path")
    return _answer(level)


def _count(level, lang):
    for i in range(int(level)):
        yield spans("shell.step", i=i + 1, n=int(level)), _answer(i)


def _picture(level):
    return np.full((8, 8, 3), level, dtype=np.uint8)


def _receive(parcel, lang):
    if parcel.kind == "picture":
        from PIL import Image

        value = Image.open(parcel.path).getpixel((0, 0))[0]
        return f"<p>{parcel.kind} {parcel.sender} {value}</p>"
    return f"<p>{len(parcel.text)} {say('example.title', lang)}</p>"
