"""Attention replay: one call of the UNet made again with its attention in the open, chosen from in the browser."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demos.shell import arrays, jobs, sessions
from demos.shell.components.heat import HeatMap, ready
from demos.shell.components.shown import Shown, files
from demos.shell.words import t
from demos.text_to_image import machine_panel, parts, replay_views, tracks
from demos.text_to_image.machine import HERE, StepChoice, check_step, view
from demos.text_to_image.panel_views import text

KEPT = "text_to_image.attention"  # session: (the Denoising, {step: what the page got})
MOST_KEPT = 12
SMALL_BYTES = 100_000  # arrays above go to the page as a file
_WORDS = (
    *("replay_empty", "replay_lead", "replay_layer", "replay_layers", "replay_head", "replay_heads", "replay_chips"),
    *("layer_down", "layer_mid", "layer_up", "replay_checked", "replay_averaged"),
    *("token_begin", "token_end", "token_pad", "token_cut"),
)


class Replay(Shown):
    """Chips, layer and head. Its value holds the arrays; in the browser, `heat` in it is the map that is chosen."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        words = [f"text_to_image.{name}" for name in _WORDS]
        super().__init__(value, **files(HERE, "replay"), words=words, **kwargs)


@dataclass(frozen=True)
class Panel:
    step: StepChoice
    status: gr.HTML
    replay: Replay
    heat: HeatMap


def lay_out(page, shared: parts.Shared, machine: machine_panel.Panel, *, tab: gr.Tab) -> Panel:
    """tab: the one that the panel lies in; opening it shows the step that the time machine stands at."""
    view(text("replay_about") + text("replay_weight", kind="t2i-lead"))
    step = StepChoice(elem_id="t2i-replay-step")
    with gr.Row(elem_classes="t2i-buttons"):
        go = gr.Button(t("text_to_image.replay_go"), variant="primary", size="sm", elem_id="t2i-replay-go")
        stop = gr.Button(t("shell.cancel"), size="sm", elem_id="t2i-replay-stop")
    status = jobs.status_line(elem_id="t2i-replay-status")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280):
            replay = Replay(elem_id="t2i-replay")
        with gr.Column(min_width=280, elem_classes="t2i-first-on-phone"):
            heat = HeatMap(elem_id="t2i-replay-heat")
    panel = Panel(step, status, replay, heat)
    _wire(page, shared, machine, panel, tab=tab, go=go, stop=stop)
    return panel


def _wire(page, shared, machine: machine_panel.Panel, panel: Panel, *, tab: gr.Tab, go, stop) -> None:
    def on_step(track, k, lang, request: gr.Request):
        denoising = yield from tracks.awaited(track, request, shared, status=panel.status)
        value = looked_into(denoising, check_step(k, denoising), request)
        yield {panel.status: tracks.said_of(denoising), panel.replay: value}

    handler, inputs = jobs.long(on_step, status=panel.status), [machine.track, panel.step, page.lang]
    running = [event(handler, inputs, [panel.status, panel.replay], **jobs.LONG) for event in (go.click, tab.select)]
    running.append(panel.step.edit(handler, inputs, [panel.status, panel.replay], **jobs.LONG))
    jobs.wire_stop(stop, running, status=panel.status)
    panel.replay.edit(None, panel.replay, panel.heat, js="value => value?.heat ?? null", api_visibility="private")
    cleared = [panel.status, panel.replay, panel.heat]
    shared.finished.change(lambda: ("", None, None), None, cleared, **jobs.SHORT)


def looked_into(denoising, k: int, request: gr.Request) -> dict:
    """What the page gets of this run's step: computed once, then kept for the session."""
    kept = _kept(denoising, request)
    if k not in kept:
        kept[k] = value_of(jobs.on_device(_replayed, denoising, k), denoising, k, request)
        _keep(denoising, kept, request)
    return kept[k]


def _replayed(denoising, k: int):
    from pipelines.text_to_image.replay import replay

    return replay(parts.load(denoising.model_id), denoising, k)


def value_of(attention, denoising, k: int, request: gr.Request) -> dict:
    """The page's value for an `Attention`; a large array as a private file."""
    packed = replay_views.packed(attention.maps, attention.tokens)
    array = packed.pop("array")
    small = array.nbytes <= SMALL_BYTES
    return {
        **packed,
        **ready(denoising.pictures[0]),
        "maps": arrays.pack(array) if small else arrays.pack_file(array, sessions.of(request)),
        "serial": secrets.token_hex(8),
        "prompt": denoising.settings.prompt,
        "at": k,
        "n": len(denoising.steps),
        "difference": f"{attention.max_difference:.1e}",
        "ms": f"{attention.ms:.0f}",
    }


def _kept(denoising, request: gr.Request) -> dict:
    kept = sessions.of(request).get(KEPT)
    return dict(kept[1]) if kept is not None and kept[0] is denoising else {}


def _keep(denoising, kept: dict, request: gr.Request) -> None:
    for name in list(kept)[: max(len(kept) - MOST_KEPT, 0)]:
        del kept[name]
    nbytes = sum(len(one["maps"].get("data", "")) + 10_000 for one in kept.values())
    sessions.of(request).put(KEPT, (denoising, kept), nbytes=nbytes)
