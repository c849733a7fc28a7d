"""Time machine: the finished run's steps, scrubbed in the browser; the step it stands at is the whole tab's."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from demos.shell import jobs, sessions
from demos.shell.words import t
from demos.text_to_image import parts, reel, tracks
from demos.text_to_image.machine import TimeMachine, view
from demos.text_to_image.panel_views import text


@dataclass(frozen=True)
class Panel:
    """machine: the strips and curves. track: which run or branch every panel shows, "0" for the run."""

    machine: TimeMachine
    track: gr.Radio


def lay_out(page, shared: parts.Shared, *, stored: dict | None = None) -> Panel:
    """stored: `reel.stored(...)` of the finished result that the tab opens with."""
    view(text("machine_about"))
    track = gr.Radio(
        [(t("text_to_image.track_run"), tracks.RUN)],
        value=tracks.RUN,
        label=t("text_to_image.track"),
        visible=False,
        interactive=True,
        elem_id="t2i-track",
    )
    machine = TimeMachine(stored, elem_id="t2i-machine")
    panel = Panel(machine, track)
    _wire(page, shared, panel)
    return panel


def _wire(page, shared: parts.Shared, panel: Panel) -> None:
    outputs = [panel.machine, panel.track]
    shared.finished.change(jobs.short(on_finished), [shared.finished, page.lang], outputs, **jobs.SHORT)
    panel.track.input(jobs.short(on_track), [panel.track, page.lang], panel.machine, **jobs.SHORT)
    page.lang.change(jobs.short(on_language), [panel.track, page.lang], panel.track, **jobs.SHORT)


def on_finished(name, lang, request: gr.Request):
    """Another run: its reel and its branches; an empty machine where its steps are not kept any more."""
    run = sessions.of(request).get(parts.RUN)
    value = shown(run, request) if run else None
    return value, tracks.selector(run, request, track=tracks.RUN, lang=lang)


def on_track(track, lang, request: gr.Request):
    """Another track of the same run."""
    return shown(tracks.chosen(parts.current(request), track, request), request)


def on_language(track, lang, request: gr.Request):
    """The tracks' names in the page's language."""
    run = sessions.of(request).get(parts.RUN)
    return tracks.selector(run, request, track=track, lang=lang)


def shown(denoising, request: gr.Request, *, at: int | None = None) -> dict:
    """The time machine's value for a run or a branch, standing at step `at`, or where half of it is fixed.

    The frames go into the session's own folder.
    """
    folder = sessions.of(request).folder
    reel.tidy(folder)
    made = reel.of(parts.load(denoising.model_id), denoising, jobs.on_device)
    value = reel.value(reel.private(made, folder), folder)
    return value if at is None else {**value, "at": at}
