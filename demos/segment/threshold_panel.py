"""The threshold: the decoder's logits as a signed map, a threshold that moves in the browser, how far the edge goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demos.segment import logit_files, logit_views, parts
from demos.segment.level_views import about
from demos.segment.over_heat import OverHeat
from demos.shell import jobs

TOKEN_WORDS = ("tokens", "token_0", "token_1", "token_2", "token_3", "token_shown")
_WORDS = (
    *TOKEN_WORDS,
    *("threshold_none", "threshold_slider", "threshold_zero", "threshold_value", "threshold_area", "threshold_raised"),
    *("threshold_from_to", "threshold_stability", "threshold_ratio", "threshold_nothing", "threshold_moves"),
    *("threshold_px", "threshold_no_edge", "threshold_edge", "threshold_inner", "threshold_outer", "threshold_curve"),
    *("threshold_flat", "threshold_axis", "threshold_take", "threshold_result"),
)


class Threshold(OverHeat):
    """Its value is made by `value`. Python gets nothing from it: a threshold that is taken is told to the stage."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        super().__init__(value, name="threshold", words=_WORDS, scripts=("enlarge.js",), **kwargs)


@dataclass(frozen=True)
class Panel:
    threshold: Threshold


def lay_out(page, shared: parts.Shared) -> Panel:
    """The panel, open on the stored result where there is one."""
    gr.HTML(about("threshold_about"), apply_default_css=False)
    first = None
    if shared.stored is not None:
        layer = shared.stored.layer
        first = value(layer, logit_files.stored(layer.masks), logit_files.under(shared.stored.pixels))
    panel = Panel(Threshold(first, elem_id="sg-threshold"))
    shared.answered.change(
        jobs.short(_follow(shared)), [shared.answered, page.lang], panel.threshold, **jobs.SHORT,
        trigger_mode="always_last",
    )  # fmt: skip
    return panel


def _follow(shared: parts.Shared):
    def on_answer(answered, lang, request: gr.Request):
        shown = logit_files.shown(answered, shared, request)
        if shown is None:
            return None
        return value(shown.layer, shown.packed, shown.under)

    return on_answer


def value(layer: parts.Layer, packed: Mapping, under: Mapping) -> dict:
    """What the component takes. packed: the logits of all four tokens, of `logit_files`. under: the picture."""
    masks = layer.masks
    return {
        "picture": under,
        "map": masks.part(layer.token),
        "box": logit_views.cells_box(masks),
        "signed": True,
        "logits": packed,
        "place": logit_views.place(masks),
        "object": layer.id,
        "token": layer.token,
        "threshold": layer.threshold,
    }
