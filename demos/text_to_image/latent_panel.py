"""In and out of the latent space: what the autoencoder alone does to a picture of the visitor's own."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import gradio as gr

from demos.shell import jobs
from demos.shell.components import door
from demos.shell.components.heat import HeatMap, ready
from demos.shell.components.picture import PictureInput
from demos.shell.words import t
from demos.text_to_image import latent_views, parts, tracks
from demos.text_to_image.machine import view
from demos.text_to_image.panel_views import text

EXAMPLES = Path(__file__).resolve().parents[2] / "assets" / "examples"
OFFERED = ("cat.jpg", "coffee.jpg", "photographer.jpg", "butterfly.png")


@dataclass(frozen=True)
class Panel:
    picture: PictureInput
    status: gr.HTML
    result: gr.HTML
    heat: HeatMap


def lay_out(page, shared: parts.Shared, *, tab: gr.Tab) -> Panel:
    """tab: the one that the panel lies in; opening it sends the first example through, so that no screen is empty."""
    view(text("latent_about"))
    with gr.Row(equal_height=False):
        with gr.Column(min_width=260):
            pictures = offered()
            picture = PictureInput(pictures[0].path, examples=pictures, elem_id="t2i-latent-picture")
            drawn = gr.Button(t("text_to_image.latent_drawn"), size="sm", elem_id="t2i-latent-drawn")
        with gr.Column(min_width=280, scale=2):
            status = jobs.status_line(elem_id="t2i-latent-status")
            result = view("", elem_id="t2i-latent-result")
            with gr.Column(elem_classes="t2i-mapped"):
                view(text("latent_map", kind="t2i-note"))
                heat = HeatMap(elem_id="t2i-latent-heat")
    panel = Panel(picture, status, result, heat)
    _wire(page, shared, panel, tab=tab, drawn=drawn)
    return panel


def _wire(page, shared: parts.Shared, panel: Panel, *, tab: gr.Tab, drawn: gr.Button) -> None:
    def on_drawn(lang, request: gr.Request):
        run = yield from tracks.awaited(tracks.RUN, request, shared, status=panel.status)
        result, heat = shown(parts.load(run.model_id), run.pictures[0])
        yield {panel.status: "", panel.picture: run.pictures[0], panel.result: result, panel.heat: heat}

    inputs = [panel.picture, shared.asked.model, page.lang]
    # The first picture loads the model: the place of the result shows that something is going on.
    seen = {**jobs.SHORT, "show_progress": "minimal", "show_progress_on": panel.result}
    for event in (panel.picture.input, tab.select):
        event(jobs.short(on_picture), inputs, [panel.result, panel.heat], trigger_mode="always_last", **seen)
    outputs = [panel.status, panel.picture, panel.result, panel.heat]
    drawn.click(jobs.long(on_drawn, status=panel.status), [page.lang], outputs, **jobs.LONG)


@cache
def offered() -> tuple[door.Example, ...]:
    """Pictures of the app's own, each with its credit: a drawing beside photographs, which the model never saw."""
    known = {item["file"]: item for item in tomllib.loads((EXAMPLES / "examples.toml").read_text("utf-8"))["example"]}
    return tuple(door.Example(EXAMPLES / name, titled(known[name])) for name in OFFERED)


def titled(item: dict) -> dict[str, str]:
    """The name under a thumbnail, with its credit."""
    title, credit = item["title"], item["credit"]
    return {"en": f"{title['en']} ({credit['en']})", "zh": f"{title['zh']}（{credit['zh']}）"}


def on_picture(picture, model, lang):
    """A picture through the chosen model's autoencoder."""
    if picture is None:
        return "", None
    return shown(parts.load(model), picture.pixels)


def shown(model, pixels) -> tuple:
    """What the panel shows of the passage."""
    from pipelines.text_to_image.autoencode import in_and_out

    it = jobs.on_device(in_and_out, model, pixels)
    apart = latent_views.difference_of(it)
    limits = (0, max(float(apart.max()), 1.0))
    return latent_views.passage(it), {"picture": ready(it.decoded), "map": apart, "range": limits}
