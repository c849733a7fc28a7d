"""The text-to-image tab: layout and events, in the order in which they are seen."""

from pathlib import Path

import gradio as gr

from demos.shell import jobs, links, model_switch, parcels, results, sessions
from demos.shell.components.file_intake import FileIntake
from demos.shell.components.film import Film
from demos.shell.components.starter import Starter
from demos.shell.words import t
from demos.text_to_image import (
    api,
    asked,
    history,
    levels,
    make_panel,
    panels,
    parts,
    prompt_strip,
    restore,
    views,
)
from pipelines.runtime.errors import UserError

API = api.API
BUNDLED = "lucida-diffusion"


def build(page) -> None:
    """Lay out the tab; see `demos.shell.frame.Page`."""
    start = asked.opening(page.link)
    html(views.STYLE + views.framed(views.sentence("about"), views.sentence("limits", kind="ti-note")))
    starter = Starter(run=start.run)
    with gr.Row(equal_height=False, elem_id="ti-main"):
        with gr.Column(min_width=320, elem_id="ti-left"):
            question, strip, intake = _asking(page, start, starter)
        with gr.Column(min_width=320):
            levels_shown = results.levels(page)
            with levels_shown.picture:
                made = _picture_level(start)
            level = levels.lay_out(levels_shown, start)
            code = _tools(page, question, levels_shown, made, start)
    shared = parts.Shared(asked=question, finished=made["finished"], stored=start.stored)
    switches = []

    def last(tabs: gr.Tabs) -> None:
        with gr.Tab(t("text_to_image.panel_model"), id="model"):
            html(views.framed(views.sentence("model_about")))
            switches.append(
                model_switch.lay_out(
                    page, parts.TOPIC, question.model, start=start.model, bundled=BUNDLED, tabs=tabs, prefix="ti"
                )
            )

    panels.lay_out(page, shared, stored_folder=start.stored and start.stored.folder, last=last)
    panel = make_panel.Panel(code=code, model_facts=switches[0].facts, **made)
    prompt_strip.wire(page, strip, question.prompt, question.model, starter=starter)
    make_panel.wire(page, question, panel, starter=starter)
    make_panel.wire_tools(page, question, panel)
    restore.wire(page, question, panel, intake)
    levels.wire(page, shared, level)


def warm() -> None:
    """Load the model in the background, so that the first click does not wait for it."""
    try:
        parts.load("")
    except UserError as error:  # said to the visitor when a picture is asked for
        jobs.log.warning("not loaded ahead: %s", error)


def html(value: str = "", **kwargs) -> gr.HTML:
    """HTML of `views.py`, which brings its own style."""
    return gr.HTML(value, apply_default_css=False, **kwargs)


def _asking(page, start: asked.Opening, starter: Starter):
    """Prompt with its tokens, the button, and the folds with everything else."""
    prompt = asked.lay_out_prompt(start)
    strip = prompt_strip.lay_out(start.stored and start.stored.said["strip"])
    made = {"prompt": prompt, **asked.lay_out_go(start), "examples": asked.lay_out_examples()}
    with gr.Accordion(t("text_to_image.settings"), open=False, elem_id="ti-settings") as fold:
        made |= asked.lay_out_settings(start)
    with gr.Accordion(t("text_to_image.start"), open=False, elem_id="ti-start-fold") as start_fold:
        html(views.framed(views.sentence("start_about", kind="ti-note")))
        made |= asked.lay_out_start(start)
    intake = FileIntake(words="text_to_image.png", suffix=".png", elem_id="ti-png")
    starter.wide(None, None, fold, js="() => ({__type__: 'update', open: true})", **links.PRIVATE)
    question = asked.Asked(**made, start_fold=start_fold)
    question.sampler.input(
        None, question.sampler, question.eta, js="s => ({__type__: 'update', visible: s === 'ddim'})", **links.PRIVATE
    )
    received = [prompt, question.start, question.mask, start_fold]
    page.inbox.change(jobs.short(_received), [page.inbox, page.lang], received, **jobs.SHORT)
    return question, strip, intake


def _received(parcel, lang):
    """A prompt, a picture to start from, or a mask on it, sent from another tab."""
    skip = [gr.skip()] * 4
    match parcel.kind if parcel else None:
        case "prompt":
            return [parcel.text, *skip[1:]]
        case "picture":
            return [gr.skip(), str(parcel.path), None, gr.Accordion(open=True)]
        case "mask":
            ground = str(parcel.ground) if parcel.ground else gr.skip()
            return [gr.skip(), ground, str(parcel.path), gr.Accordion(open=True)]
    return skip


def _picture_level(start: asked.Opening) -> dict:
    """The run as it goes, its pictures, the history."""
    said = start.stored.said if start.stored else {}
    drawn = start.stored.drawn() if start.stored else ()
    with gr.Column(elem_classes="ti-result"):
        status = jobs.status_line(elem_id="ti-status")
        text = views.pictures(drawn, prompt=start.settings["prompt"]) if drawn else ""
        pictures = html(text, elem_id="ti-pictures")
        film = Film(strips=("text_to_image.film_xt", "text_to_image.film_x0"), elem_id="ti-film")
        notes = html(said.get("notes", ""), elem_id="ti-notes")
        provenance = html(said.get("provenance", ""), elem_id="ti-provenance")
    runs = history.History(elem_id="ti-history")
    path = str(drawn[0].path) if drawn else None
    with results.actions():
        as_png = gr.DownloadButton(
            t("text_to_image.download_png"), value=path, size="sm", min_width=60, elem_id="ti-download"
        )
        as_zip = gr.Button(t("text_to_image.download_all"), size="sm", min_width=60, elem_id="ti-zip")
        use = gr.Button(t("text_to_image.use_as_start"), size="sm", min_width=60, elem_id="ti-use")
    finished = gr.Textbox("", visible="hidden")
    sent = gr.Textbox(path or "", visible="hidden")
    return {
        "status": status, "film": film, "pictures": pictures, "notes": notes, "provenance": provenance,
        "as_png": as_png, "as_zip": as_zip, "use": use, "history": runs, "finished": finished, "sent": sent,
    }  # fmt: skip


def _tools(page, question: asked.Asked, shown: results.Levels, made: dict, start: asked.Opening) -> gr.HTML:
    """Link, "Send to" and the code, under the result."""
    with results.actions():
        fields = {name: one for name, one in question.fields.items() if name != "strength"}
        links.button(page, **fields, model=question.model, level=shown.switch)
    parcels.send_menu(page, "picture", make=_picture_to_send, inputs=[made["sent"]])
    return results.copy_as_python(start.stored.said["code"] if start.stored else "")


def _picture_to_send(path):
    """The pixels of a file of this app's that the page names. Raises UserError."""
    from pipelines.runtime.pictures import open_picture

    if not path:
        raise UserError("text_to_image.run_first")
    if not sessions.is_own_file(path):
        raise UserError("errors.picture_gone")
    return open_picture(Path(path)).pixels
