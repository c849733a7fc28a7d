"""The model switch's other half: what the catalogue says of the chosen model, and its download on a click."""

from dataclasses import dataclass

import gradio as gr

from demos.shell import jobs, sessions
from demos.shell.words import spans, t
from demos.zero_shot import answer as answers
from demos.zero_shot import trials, views
from demos.zero_shot.asked import Asked, view
from demos.zero_shot.question import TOPIC

BUNDLED = "lucida-clip"
MEASURED = "zero_shot.milliseconds"  # session: {model id: milliseconds of its last classification here}


@dataclass(frozen=True)
class Panel:
    """chosen: fires after a choice; fetched: after a download. The tab classifies then, if the model is ready."""

    facts: gr.HTML
    chosen: gr.events.Dependency
    fetched: gr.events.Dependency


def lay_out(page, asked: Asked, start, tabs: gr.Tabs) -> Panel:
    """tabs: the panels, to bring this one to the front where a chosen model must be downloaded first."""
    view(views.framed(views.sentence("model_about")))
    # The app's own choice may depend on the device: it is told after the first classification, not before.
    facts = view(told(start.model or BUNDLED, {}), elem_id="zs-facts")
    can = bool(start.model) and not is_ready(start.model)
    with gr.Row(elem_classes="zs-buttons"):
        fetch = gr.Button(t("zero_shot.download_model"), size="sm", visible=can, elem_id="zs-fetch")
        stop = gr.Button(t("shell.cancel"), size="sm", visible=can, elem_id="zs-fetch-stop")
    status = jobs.status_line()
    outputs = [status, facts, fetch, stop]
    fetched = fetch.click(jobs.long(on_fetch, status=status), [asked.model, page.lang], outputs, **jobs.LONG)
    stop.click(lambda: spans("shell.cancelled"), None, status, cancels=[fetched], **jobs.SHORT)
    chosen = asked.model.input(jobs.short(on_choice), [asked.model, page.lang], [*outputs, tabs], **jobs.SHORT)
    return Panel(facts, chosen, fetched)


def on_choice(model, lang, request: gr.Request):
    """The facts of the chosen model; where it is not ready, the panel comes to the front and offers the download."""
    answers.known_model(model)
    ready, can = is_ready(model), can_download(model)
    front = gr.skip() if ready else gr.Tabs(selected="model")
    return "", told(model, measured(request)), gr.Button(visible=can), gr.Button(visible=can), front


def on_fetch(model, lang, request: gr.Request):
    """Download the model, telling how far it is."""
    for progress in answers.runtime().download(answers.known_model(model)):
        total = trials.size(progress.total) if progress.total else "?"
        so_far = spans("zero_shot.download_progress", done=trials.size(progress.done), total=total)
        yield so_far, gr.skip(), gr.skip(), gr.skip()
    hidden = gr.Button(visible=False)
    yield spans("zero_shot.download_done"), told(model, measured(request)), hidden, hidden


def measured(request: gr.Request) -> dict[str, float]:
    """Milliseconds of each model's last classification in this session."""
    return sessions.of(request).get(MEASURED) or {}


def note(answer: answers.Answer, request: gr.Request) -> dict[str, float]:
    """Keep the time of the answer's halves and return all that is known."""
    times = dict(measured(request))
    for half in (answer.softmax, answer.sigmoid):
        if half is not None:
            times[half.model_id] = half.ms["total"]
    sessions.of(request).put(MEASURED, times, nbytes=100 * len(times))
    return times


def told(model_id: str, times: dict[str, float]) -> str:
    """The facts of a model, of the app's own choice also why it was chosen, and all models side by side."""
    runtime = answers.runtime()
    if model_id:
        return _facts(runtime.catalogue.find(model_id), times) + _side_by_side(model_id, times)
    choice = runtime.choose(TOPIC)
    why = f'<p class="zs-note">{spans(choice.reason_key, **choice.reason_values)}</p>'
    return _facts(choice.entry, times) + views.framed(why) + _side_by_side(choice.entry.id, times)


def _side_by_side(chosen: str, times: dict[str, float]) -> str:
    runtime = answers.runtime()
    entries = runtime.catalogue.of_topic(TOPIC)
    rows = [(entry, runtime.availability(entry), times.get(entry.id)) for entry in entries]
    return trials.models(rows, chosen=chosen)


def _facts(entry, times: dict[str, float]) -> str:
    return trials.model(entry, answers.runtime().availability(entry), measured_ms=times.get(entry.id))


def is_ready(model_id: str) -> bool:
    """Whether a model can classify now; the app's own choice always can, or says why not when asked."""
    return not model_id or _state(model_id) == "ready"


def can_download(model_id: str) -> bool:
    return bool(model_id) and _state(model_id) == "download"


def _state(model_id: str) -> str:
    runtime = answers.runtime()
    return runtime.availability(runtime.catalogue.find(model_id)).state
