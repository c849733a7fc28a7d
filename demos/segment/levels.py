"""The levels Blocks and Numbers of the answer that is shown. They are worked out when they are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from demos.segment import attention_views, level_views, logit_files, parts
from demos.segment.over_heat import OverHeat
from demos.segment.threshold_panel import TOKEN_WORDS
from demos.shell import array_files, jobs, results, sessions
from demos.shell.levels import Writer, when_seen
from demos.shell.words import t

TIMED = "segment.timed"  # session: (picture_key, model id, the parts' HTML)
SOON_MS = 3_000  # an encoder that takes longer runs a second time only when asked
_ATTENTION = (
    *TOKEN_WORDS,
    *("attention_none", "attention_lead", "attention_chips", "attention_iou", "attention_mask", "attention_positive"),
    *("attention_negative", "attention_corner", "attention_padding", "attention_object", "attention_layer"),
    *("attention_layer_n", "attention_final", "attention_head", "attention_heads", "attention_said"),
    "attention_averaged",
)
_PIXEL = (
    *TOKEN_WORDS,
    *("pixel_none", "pixel_formula", "pixel_channel", "pixel_token", "pixel_map", "pixel_product", "pixel_bar"),
    *("pixel_in", "pixel_out"),
)


class AttentionMap(OverHeat):
    """Where each token looks; its value is made by `attention_value`. Python gets nothing from it."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        super().__init__(value, name="attention", words=_ATTENTION, scripts=("marks_over.js",), **kwargs)


class PixelFormula(OverHeat):
    """A logit as token times map; its value is made by `pixel_value`. Python gets nothing from it."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        super().__init__(value, name="pixel", words=_PIXEL, scripts=("marks_over.js",), **kwargs)


@dataclass(frozen=True)
class Panel:
    """time: a button for models whose encoder is slow; hidden for others."""

    switch: results.LevelSwitch
    parts: gr.HTML
    time: gr.Button
    colours: gr.HTML
    attention: AttentionMap
    numbers: gr.HTML
    pixel: PixelFormula
    places: gr.HTML


def lay_out(page, shared: parts.Shared, levels: results.Levels) -> Panel:
    """Both levels, empty until one is looked at."""
    with levels.blocks:
        html(level_views.STYLE)
        table = html(level_views.about("blocks_none"), elem_id="sg-blocks")
        time = gr.Button(t("segment.blocks_time"), size="sm", visible=False, elem_id="sg-blocks-time")
        colours = html(elem_id="sg-colours")
        html(level_views.heading("attention", "attention_about"))
        attention = AttentionMap(elem_id="sg-attention")
    with levels.numbers:
        numbers = html(level_views.about("numbers_none"), elem_id="sg-numbers")
        html(level_views.heading("pixel", "pixel_about"))
        pixel = PixelFormula(elem_id="sg-pixel")
        places = html(elem_id="sg-places")
    panel = Panel(levels.switch, table, time, colours, attention, numbers, pixel, places)
    _wire(page, shared, panel)
    return panel


def html(value: str = "", **kwargs: Any) -> gr.HTML:
    """HTML that the views wrote."""
    return gr.HTML(value, apply_default_css=False, **kwargs)


def _wire(page, shared: parts.Shared, panel: Panel) -> None:
    def on_time(answered, lang, request: gr.Request):
        return _timed(answered, shared, request), gr.Button(visible=False)

    blocks = Writer(
        lambda answered, request: _blocks(answered, shared, request),
        [panel.parts, panel.time, panel.colours, panel.attention],
    )
    numbers = Writer(
        lambda answered, request: _numbers(answered, shared, request), [panel.numbers, panel.pixel, panel.places]
    )
    when_seen(page, panel.switch, shared.answered, blocks=blocks, numbers=numbers)
    panel.time.click(jobs.short(on_time), [shared.answered, page.lang], [panel.parts, panel.time], **jobs.SHORT)


# --- Blocks ---


def _blocks(answered: str, shared: parts.Shared, request: gr.Request) -> list:
    shown = logit_files.shown(answered, shared, request)
    if shown is None:
        return [level_views.about("blocks_none"), gr.Button(visible=False), "", None]
    from pipelines.segment import attention, blocks

    embedding, model = parts.embedding(answered, shared, request), parts.model(answered, shared, request)
    soon = embedding.ms <= SOON_MS or _kept_times(embedding, request) is not None
    found = jobs.on_device(attention.attention, model, embedding, shown.layer.masks.prompt)
    return [
        _timed(answered, shared, request) if soon else level_views.slow(embedding.ms),
        gr.Button(visible=not soon),
        level_views.colours(blocks.embedding_colours(embedding), shown.picture.small),
        attention_value(attention_views.attention(found, token=shown.layer.token), shown.under, request),
    ]


def _timed(answered: str, shared: parts.Shared, request: gr.Request) -> str:
    """The parts with their times, measured once for a picture and a model."""
    embedding = parts.embedding(answered, shared, request)
    kept = _kept_times(embedding, request)
    if kept is not None:
        return kept
    from pipelines.runtime.pictures import open_picture
    from pipelines.segment import blocks

    model, shown = parts.model(answered, shared, request), parts.picture(answered, shared, request)
    prompt = parts.masks(answered, shared, request).prompt
    found = jobs.on_device(blocks.timings, model, open_picture(shown.path).pixels, prompt)
    told = level_views.blocks(found.blocks, encoder_ms=found.embedding.ms, decoder_ms=found.masks.ms)
    sessions.of(request).put(TIMED, (embedding.picture_key, embedding.model_id, told), nbytes=len(told))
    return told


def _kept_times(embedding, request: gr.Request) -> str | None:
    kept = sessions.of(request).get(TIMED)
    same = kept is not None and kept[:2] == (embedding.picture_key, embedding.model_id)
    return kept[2] if same else None


def attention_value(made: dict, under: Mapping, request: gr.Request) -> dict:
    """What the component takes. made: of `attention_views.attention`. under: the picture, as a map's value names it."""
    array = made.pop("array")
    return {**made, "picture": under, "maps": array_files.private(array, "attention", request)}


# --- Numbers ---


def _numbers(answered: str, shared: parts.Shared, request: gr.Request) -> list:
    shown = logit_files.shown(answered, shared, request)
    if shown is None:
        return [level_views.about("numbers_none"), None, ""]
    from pipelines.segment import formula

    layer = shown.layer
    embedding, model = parts.embedding(answered, shared, request), parts.model(answered, shared, request)
    found = jobs.on_device(formula.factors, model, embedding, layer.masks.prompt)
    return [
        level_views.numbers(layer.masks, token=layer.token),
        pixel_value(attention_views.product(found, token=layer.token), shown.under, request),
        level_views.places(layer.masks, places(model, embedding, layer.masks.prompt), square=model.image_size),
    ]


def pixel_value(made: dict, under: Mapping, request: gr.Request) -> dict:
    """What the component takes. made: of `attention_views.product`. under: the picture, as a map's value names it."""
    array = made.pop("array")
    return {**made, "picture": under, "maps": array_files.private(array, "map", request)}


def places(model, embedding, prompt) -> list[dict]:
    """Where each click and both corners of the box lie: in the picture, in the model's square, in the logits' cells."""
    from pipelines.segment.prompt import to_display, to_square

    made, share = [], model.mask_side / model.image_size
    points = np.array([(click.x, click.y) for click in prompt.points], np.float64).reshape(-1, 2)
    corners = np.array(prompt.box or (), np.float64).reshape(-1, 2)
    labels = [int(click.positive) for click in prompt.points]
    for pairs, edges, named in ((points, False, labels), (corners, True, [None, None])):
        squared = to_square(embedding, to_display(embedding, pairs, edges=edges))
        cells = (squared + (0 if edges else 0.5)) * share
        made += [
            {"label": label, "picture": pair.tolist(), "square": there.tolist(), "cell": np.floor(cell).tolist()}
            for label, pair, there, cell in zip(named, pairs, squared, cells, strict=False)
        ]
    return made
