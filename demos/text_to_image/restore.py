"""Settings that come back: from a thumbnail of the history, and from a PNG that was made here or elsewhere."""

from __future__ import annotations

from typing import Any

import gradio as gr

from demos.shell import jobs, model_switch
from demos.shell.components.file_intake import FileIntake
from demos.shell.components.film import frames
from demos.shell.words import spans
from demos.text_to_image import asked as asking
from demos.text_to_image import history, make_panel, parts, views
from demos.text_to_image.asked import Asked
from pipelines.runtime.errors import UserError


def wire(page, asked: Asked, panel: make_panel.Panel, intake: FileIntake) -> None:
    fields = [*asked.fields.values(), asked.model]
    panel.history.input(
        jobs.short(_from_history(asked, panel)), [panel.history, page.lang], [*panel.outputs, *fields],
        trigger_mode="always_last", **jobs.SHORT,
    )  # fmt: skip
    intake.input(
        jobs.short(_from_png(asked, panel)), [intake, page.lang], [panel.status, *fields],
        trigger_mode="always_last", **jobs.SHORT,
    )  # fmt: skip


def _from_history(asked: Asked, panel: make_panel.Panel):
    """The handler of a click on a thumbnail: its settings, pictures and steps come back."""

    def on_history(name, lang, request: gr.Request):
        run, trace = history.find(request, name), history.trace(request, name)
        parts.keep(request, run.shown, trace)
        return {
            **make_panel.filled(panel, run, request),
            **asking.filled(asked, run.shown.settings),
            asked.model: run.shown.model_id,
            panel.film: None if trace is None else _film(trace),
            panel.status: spans("text_to_image.restored"),
        }

    return on_history


def _film(trace) -> dict:
    """A finished run's frames."""
    model = parts.load(trace.model_id)
    return frames(0, len(trace.steps), [make_panel.shown(model, step) for step in trace.steps])


def _from_png(asked: Asked, panel: make_panel.Panel):
    """The handler of a dropped PNG: its settings come back, and the line says so."""

    def on_png(data, lang, request: gr.Request):
        parts.ready()
        from pipelines.text_to_image.metadata import read_png

        if data is None:
            raise UserError("errors.picture_missing")
        settings, model_id = read_png(data)
        fields = in_range(settings)
        told = views.word("png_restored", prompt=fields.get("prompt", "")[:60])
        updates = asking.filled(asked, fields)
        if model_id in [entry.id for entry in model_switch.entries(parts.TOPIC)]:
            updates[asked.model] = model_id
        elif model_id:
            told += " " + views.word("png_other_model", model=model_id[:60])
        return {**updates, panel.status: told}

    return on_png


def in_range(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that this tab has, those of sliders moved to the nearest end: a slider refuses what is outside."""
    known = {name: fields[name] for name in asking.NAMES if fields.get(name) is not None}
    ranges = {"steps": asking.STEPS, "guidance_scale": asking.GUIDANCE, "batch": asking.BATCH, "eta": (0, 1)}
    for name, (low, high) in {**ranges, "strength": (0.05, 1)}.items():
        if name in known:
            known[name] = min(max(known[name], low), high)
    return known
