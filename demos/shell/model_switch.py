"""The model switch of a tab: the choice, what the catalogue says of the chosen model, and its download on a click.

model = model_switch.choice("segment", start, elem_id="sg-model")
panel = model_switch.lay_out(page, "segment", model, start=start, bundled="lucida-sam", tabs=tabs, prefix="sg")
panel.chosen.success(...)   # after a choice;   panel.fetched.success(...): after a download

``companion`` does the same for a second model that works with the chosen one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import gradio as gr

from demos.shell import jobs, model_facts, models, sessions
from demos.shell.words import spans, t

ROLES = ("main", "twin")


@dataclass(frozen=True)
class Panel:
    """chosen: fires after a choice; fetched: after a download. The tab computes then, if the model is ready."""

    facts: gr.HTML
    chosen: gr.events.Dependency
    fetched: gr.events.Dependency


def choice(topic: str, value: str = "", **kwargs) -> gr.Dropdown:
    """The app's own choice first, then every model of the topic by its name; the panel tells the rest."""
    models = [(t("shell.model_auto"), ""), *((_name(entry.title), entry.id) for entry in entries(topic))]
    return gr.Dropdown(
        models, value=value, label=t("shell.model_choice"), allow_custom_value=True, interactive=True, **kwargs
    )


def lay_out(page, topic: str, model: gr.Dropdown, *, start: str, bundled: str, tabs: gr.Tabs, prefix: str) -> Panel:
    """The facts of the model and the buttons of its download.

    start: the id to begin with. bundled: whose facts are told where that is empty, since the app's own choice may
    depend on the device, which is not touched before the first computation. tabs: the panels of the tab; the one with
    the id "model" comes to the front where a chosen model must be downloaded first. prefix: of the elements' ids.
    """
    facts = gr.HTML(told(topic, start or bundled, {}), apply_default_css=False, elem_id=f"{prefix}-facts")
    can = _can_download(start)
    with gr.Row(elem_classes="lucida-actions"):
        fetch = gr.Button(t("shell.download_model"), size="sm", visible=can, elem_id=f"{prefix}-fetch")
        stop = gr.Button(t("shell.cancel"), size="sm", visible=can, elem_id=f"{prefix}-fetch-stop")
    status = jobs.status_line()
    outputs = [status, facts, fetch, stop]

    def on_choice(model_id, lang, request: gr.Request):
        models.known(topic, model_id)
        front = gr.skip() if is_ready(model_id) else gr.Tabs(selected="model")
        can = gr.Button(visible=_can_download(model_id))
        return "", told(topic, model_id, measured(topic, request)), can, can, front

    def on_fetch(model_id, lang, request: gr.Request):
        for so_far in _progress(models.known(topic, model_id)):
            yield so_far, gr.skip(), gr.skip(), gr.skip()
        hidden = gr.Button(visible=False)
        yield spans("shell.download_done"), told(topic, model_id, measured(topic, request)), hidden, hidden

    fetched = fetch.click(jobs.long(on_fetch, status=status), [model, page.lang], outputs, **jobs.LONG)
    stop.click(lambda: spans("shell.cancelled"), None, status, cancels=[fetched], **jobs.SHORT)
    chosen = model.input(jobs.short(on_choice), [model, page.lang], [*outputs, tabs], **jobs.SHORT)
    return Panel(facts, chosen, fetched)


def companion(page, model: gr.Dropdown, of: Callable[[str], str | None], *, start: str, chosen, prefix: str) -> None:
    """The facts of a model that works with the chosen one, and its download.

    of: its id for the id of a model ("": the app's own choice), None where there is none. chosen: the event after which
    another model stands in the dropdown. prefix: of the elements' ids.
    """
    facts = gr.HTML(_companion_told(of(start)), apply_default_css=False, elem_id=f"{prefix}-facts")
    can = _can_download(of(start))
    with gr.Row(elem_classes="lucida-actions"):
        fetch = gr.Button(t("shell.download_model"), size="sm", visible=can, elem_id=f"{prefix}-fetch")
        stop = gr.Button(t("shell.cancel"), size="sm", visible=can, elem_id=f"{prefix}-fetch-stop")
    status = jobs.status_line()

    def on_choice(model_id, lang):
        can = gr.Button(visible=_can_download(of(model_id)))
        return "", _companion_told(of(model_id)), can, can

    def on_fetch(model_id, lang):
        for so_far in _progress(of(model_id)):
            yield so_far, gr.skip(), gr.skip(), gr.skip()
        hidden = gr.Button(visible=False)
        yield spans("shell.download_done"), _companion_told(of(model_id)), hidden, hidden

    outputs, inputs = [status, facts, fetch, stop], [model, page.lang]
    fetched = fetch.click(jobs.long(on_fetch, status=status), inputs, outputs, **jobs.LONG)
    stop.click(lambda: spans("shell.cancelled"), None, status, cancels=[fetched], **jobs.SHORT)
    chosen.success(jobs.short(on_choice), inputs, outputs, **jobs.SHORT)


def entries(topic: str) -> tuple:
    """The topic's models that a visitor can choose."""
    return tuple(entry for entry in models.runtime().catalogue.of_topic(topic) if entry.role in ROLES)


def is_ready(model_id: str) -> bool:
    """Whether a model can compute now; the app's own choice always can, or says why not when asked."""
    return not model_id or _state(model_id) == "ready"


def measured(topic: str, request: gr.Request) -> dict[str, float]:
    """Milliseconds of each model's last computation in this session."""
    return sessions.of(request).get(_key(topic)) or {}


def note(topic: str, request: gr.Request, times: Mapping[str, float]) -> dict[str, float]:
    """Keep these times and return all that is known."""
    times = {**measured(topic, request), **times}
    sessions.of(request).put(_key(topic), times, nbytes=100 * len(times))
    return times


def told(topic: str, model_id: str, times: Mapping[str, float]) -> str:
    """The facts of a model, of the app's own choice also why it was chosen, and all models side by side."""
    runtime, why = models.runtime(), ""
    if model_id:
        entry = runtime.catalogue.find(model_id)
    else:
        chosen = runtime.choose(topic)
        entry, why = chosen.entry, f'<p class="lucida-note">{spans(chosen.reason_key, **chosen.reason_values)}</p>'
    facts = model_facts.one(entry, runtime.availability(entry), measured_ms=times.get(entry.id))
    rows = [(one, runtime.availability(one), times.get(one.id)) for one in entries(topic)]
    return facts + why + model_facts.side_by_side(rows, chosen=entry.id)


def _key(topic: str) -> str:
    return f"{topic}.milliseconds"


def _progress(model_id: str) -> Iterator[str]:
    """Download a model; sentences that say how far it is."""
    for progress in models.runtime().download(model_id):
        total = model_facts.size(progress.total) if progress.total else "?"
        yield spans("shell.download_progress", done=model_facts.size(progress.done), total=total)


def _companion_told(model_id: str | None) -> str:
    if model_id is None:
        return ""
    entry = models.runtime().catalogue.find(model_id)
    return model_facts.one(entry, models.runtime().availability(entry), measured_ms=None)


def _can_download(model_id: str | None) -> bool:
    return bool(model_id) and _state(model_id) == "download"


def _state(model_id: str) -> str:
    runtime = models.runtime()
    return runtime.availability(runtime.catalogue.find(model_id)).state


def _name(title: Mapping[str, str]) -> str:
    """A model's name without what stands in brackets: the same in both languages."""
    return title["en"].split(" (")[0]
