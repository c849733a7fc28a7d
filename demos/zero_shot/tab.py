"""The zero-shot tab: layout and events, in the order in which they are seen."""

import gradio as gr

from demos.shell import jobs, links, model_switch, models, parcels, results, sessions
from demos.shell.words import t
from demos.zero_shot import answer as answers
from demos.zero_shot import (
    api,
    asked,
    break_panel,
    evidence_panel,
    examples,
    lab_panel,
    model_panel,
    none_panel,
    result,
    views,
)
from demos.zero_shot.parts import Parts, classified, emptied, in_other_language, outputs
from demos.zero_shot.quarrel import Quarrel, Settings
from demos.zero_shot.question import place, read
from pipelines.runtime.errors import UserError

API = api.API


def build(page) -> None:
    """Lay out the tab; see `demos.shell.frame.Page`."""
    start = asked.opening(page.link)
    first = _opened(start)
    asked.view(views.STYLE + views.framed(views.sentence("about")))
    with gr.Row(equal_height=False, elem_id="zs-main"):
        with gr.Column(min_width=320, elem_id="zs-left"):
            picture = asked.lay_out_picture(start)
        with gr.Column(min_width=320):
            question = asked.lay_out_controls(start, picture)
            levels = results.levels(page)
            with levels.picture:
                picture_level = _picture_level(page, question, start, first)
            with levels.blocks:
                blocks = asked.view(first.blocks if first else "", elem_id="zs-blocks")
            with levels.numbers:
                numbers = _numbers_level(start, first)
            tools = _tools(page, question, levels, start)
    panels = _panels(page, question, start, first)
    parts = Parts(asked=question, blocks=blocks, **picture_level, **numbers, **tools, **panels)
    _wire(page, parts, start)


def warm() -> None:
    """Load both models in the background, so that the first click does not wait for it."""
    for role in ("main", "twin"):
        try:
            runtime = models.runtime()
            runtime.load(runtime.choose("zero_shot", role=role).entry.id)
        except UserError as error:  # said to the visitor when a model is asked for
            jobs.log.warning("not loaded ahead: %s", error)


def _opened(start: asked.Opening) -> result.Shown | None:
    if start.stored is None:
        return None
    return result.shown(start.stored.answer, live=False, example=start.example, refusal=start.stored.refusal)


def _picture_level(page, question: asked.Asked, start: asked.Opening, first: result.Shown | None) -> dict:
    notes = asked.view(first.notes if first else _hint(start), elem_id="zs-notes")
    asked.view(views.framed(f"<h3>{views.word('quarrel')}</h3>", views.sentence("quarrel_about")))
    quarrel = Quarrel(first.quarrel if first else None, start=start.run, elem_id="zs-quarrel")
    asked.view(views.framed(views.sentence("marks_about", kind="zs-note")))
    provenance = asked.view(first.provenance if first else "", elem_id="zs-provenance")
    return {"notes": notes, "quarrel": quarrel, "provenance": provenance}


def _panels(page, question, start: asked.Opening, first: result.Shown | None) -> dict:
    """The demonstrations, across the whole width; the style sheet shows them at the level "Picture" only."""
    ranked = first.ranked if first else []
    with gr.Tabs(elem_id="zs-panels", overflow_behavior="wrap") as tabs:
        with gr.Tab(t("zero_shot.panel_none"), id="none"):
            none = none_panel.lay_out(page, question, first.refusal if first else None)
        with gr.Tab(t("zero_shot.panel_evidence"), id="evidence") as tab:
            evidence = evidence_panel.lay_out(page, question, ranked, tab)
        with gr.Tab(t("zero_shot.panel_lab"), id="lab"):
            lab = lab_panel.lay_out(page, question, start.templates, _lang(page))
        with gr.Tab(t("zero_shot.panel_break"), id="break"):
            attack = break_panel.lay_out(page, question, start)
        with gr.Tab(t("zero_shot.panel_model"), id="model"):
            model = model_panel.lay_out(page, question, start, tabs)
    return {"none": none, "evidence": evidence, "lab": lab, "attack": attack, "model": model}


def _lang(page) -> str:
    return "zh" if page.link.get("lang") == "zh" else "en"


def _hint(start: asked.Opening) -> str:
    """A link without an example: its picture was somebody's own."""
    return "" if start.run else views.framed(views.sentence("ask_for_picture", kind="zs-verdict"))


def _numbers_level(start: asked.Opening, first: result.Shown | None) -> dict:
    ranked = first.ranked if first else []
    worked = gr.Dropdown(
        ranked, value=ranked[0] if ranked else None, label=t("zero_shot.worked"), allow_custom_value=True,
        interactive=True, elem_id="zs-worked",
    )  # fmt: skip
    text = ""
    if first:
        main = start.stored.answer.main
        text = views.numbers(main, chosen=main.labels.index(ranked[0]), temperature=1.0)
    numbers = asked.view(text, elem_id="zs-numbers")
    reliability = asked.view(first.reliability if first else "", elem_id="zs-reliability")
    return {"worked": worked, "numbers": numbers, "reliability": reliability}


def _tools(page, question: asked.Asked, levels: results.Levels, start: asked.Opening) -> dict:
    """Link, downloads, "Send to" and the code, under the result."""
    with results.actions():
        links.button(
            page, example=question.example, labels=question.labels, templates=question.templates, crop=question.crop,
            model=question.model, temperature=question.temperature, level=levels.switch,
        )  # fmt: skip
        files = _stored_files(start)
        small = {"size": "sm", "min_width": 60}
        as_json = gr.DownloadButton(t("zero_shot.download_json"), value=files[0], elem_id="zs-json", **small)
        as_csv = gr.DownloadButton(t("zero_shot.download_csv"), value=files[1], elem_id="zs-csv", **small)
    parcels.send_menu(page, "picture", make=_picture_to_send, inputs=[question.picture])
    code = results.copy_as_python()
    if start.stored:
        code.value = result.code(start.stored.answer, Settings(), example=start.example)
    return {"as_json": as_json, "as_csv": as_csv, "code": code}


def _stored_files(start: asked.Opening) -> tuple[str | None, str | None]:
    """The stored result's downloads, beside Gradio's other temporary files."""
    if start.stored is None:
        return None, None
    folder = sessions.cache() / "stored"
    folder.mkdir(parents=True, exist_ok=True)
    return result.files(start.stored.answer, folder)


def _picture_to_send(picture):
    if picture is None:
        raise UserError("errors.picture_missing")
    return picture.pixels


# --- events ---


def _wire(page, parts: Parts, start: asked.Opening) -> None:
    a = parts.asked
    everything = outputs(parts)
    inputs = [*a.inputs, a.example, a.temperature, page.lang]

    def on_classify(picture, labels, templates, crop, model, example, temperature, lang, request: gr.Request):
        return classified(parts, picture, (labels, templates, crop, model), example, temperature, request)

    def on_model(picture, labels, templates, crop, model, example, temperature, lang, request: gr.Request):
        if picture is None or not model_switch.is_ready(answers.MODELS.known(model)):
            return dict.fromkeys(everything, gr.skip())
        return classified(parts, picture, (labels, templates, crop, model), example, temperature, request)

    def on_picture(picture, labels, templates, crop, model, example, temperature, lang, request: gr.Request):
        known = examples.find(example) if isinstance(example, str) else None
        if known:
            labels = known.labels["zh" if lang == "zh" else "en"]
        settled = {a.labels: labels, a.crop: "own", parts.attack.crop: "own", parts.attack.canvas: None}
        if picture is None:
            return {**dict.fromkeys(everything, gr.skip()), **emptied(parts), **settled}
        shown = classified(parts, picture, (labels, templates, "own", model), example, temperature, request)
        return {**shown, **settled}

    # The first classification loads the models: the line under the bars shows that something is going on.
    shown = {**jobs.SHORT, "show_progress": "minimal", "show_progress_on": parts.provenance}
    run = {"fn": jobs.short(on_classify), "inputs": inputs, "outputs": everything, **shown}
    gr.on([a.go.click, a.labels.submit, a.templates.change, a.crop.change], **run)
    parts.quarrel.start(**run)  # an event of our own: gr.on takes Gradio's only

    def on_language(picture, labels, templates, crop, model, example, temperature, lang, request: gr.Request):
        return in_other_language(parts, picture, (labels, templates, crop, model), example, temperature, lang, request)

    page.lang.change(jobs.short(on_language), inputs, [*everything, a.labels], **jobs.SHORT)
    for event in (parts.model.chosen.success, parts.model.fetched.success):
        event(jobs.short(on_model), inputs, everything, **shown)
    taken = a.picture.input(None, a.picture, a.example, js="picture => picture?.example || ''", **links.PRIVATE)
    taken.then(
        jobs.short(on_picture), inputs, [*everything, a.labels, a.crop, parts.attack.crop, parts.attack.canvas],
        trigger_mode="always_last", **shown,
    )  # fmt: skip
    page.inbox.change(jobs.short(_received), [page.inbox, page.lang], [a.picture, a.example], **shown).then(**run)
    _wire_numbers(page, parts)


def _received(parcel, lang):
    """A picture sent from another tab."""
    if parcel is None or parcel.kind != "picture":
        return gr.skip(), gr.skip()
    return str(parcel.path), ""


def _wire_numbers(page, parts: Parts) -> None:
    a = parts.asked
    parts.quarrel.edit(None, parts.quarrel, a.temperature, js="v => v?.temperature ?? 1", **links.PRIVATE)
    inputs = [*a.inputs, a.example, parts.quarrel, parts.worked, page.lang]
    for event in (parts.quarrel.edit, parts.worked.input):
        event(jobs.short(_on_numbers), inputs, [parts.numbers, parts.code], trigger_mode="always_last", **jobs.SHORT)


def _on_numbers(picture, labels, templates, crop, model, example, quarrel, worked, lang, request: gr.Request):
    """The formula for another label or temperature, and the code that prints the bars now shown."""
    answer = answers.current(picture, read(labels, templates, crop, model), request)
    settings = Settings.read(quarrel)
    chosen = place(answer.main.labels, worked) if worked else int(answer.main.cosines.argmax())
    text = views.numbers(answer.main, chosen=chosen, temperature=settings.temperature)
    return text, result.code(answer, settings, example=example)
