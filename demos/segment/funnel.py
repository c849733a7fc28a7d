"""Everything as a funnel, as a component: the model's one pass comes once, limits and pointer stay in the browser."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from demos.shell.components.parts import script
from demos.shell.words import both
from pipelines.runtime.errors import UserError

_HERE = Path(__file__).parent
_SCRIPTS = ("funnel_sift.js", "funnel_paint.js", "funnel.js")
_STAGES = ("grid", "iou", "stability", "nms", "small", "kept")
_WORDS = (
    *("empty", "keep", "reset", "canvas", "gone", "points", "kept", "left", "sum", "mask", "more", "nothing", "waits"),
    *("hint_kept", "hint_grid", "hint_gone"),
    *("limit_iou", "limit_stability", "limit_nms", "limit_small", "limit_off", "limit_later"),
    *("lowered", "cleaned", "added", "why_touched"),
    *(f"{kind}_{stage}" for kind in ("stage", "list") for stage in _STAGES),
    *(f"why_{stage}" for stage in _STAGES[1:]),
)
MOST_AREA = 2**24  # pixels


@dataclass(frozen=True)
class Sieve:
    """What a handler gets. serial: of the pass that is shown. limits: iou, stability, nms, min_area.

    sent: the whole value as the browser had it; it goes back to that browser alone.
    """

    serial: str
    limits: dict[str, float]
    sent: Mapping[str, Any]


class Funnel(gr.HTML):
    """Its value is `everything_views.value`; a handler gets a `Sieve` or None.

    Moving a limit asks Python for nothing, but where small regions are removed, which takes the masks' pixels: then
    `.edit` fires, and the value goes back with "small" in it, `everything_views.cleaned`. A mask that the
    visitor keeps goes to the stage in the browser, by the window's event `lucida-object-add`.
    """

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        super().__init__(
            value,
            html_template=(_HERE / "funnel.html").read_text("utf-8"),
            css_template=(_HERE / "funnel.css").read_text("utf-8"),
            js_on_load="\n".join([script("common.js"), *((_HERE / name).read_text("utf-8") for name in _SCRIPTS)]),
            apply_default_css=False,
            words=both(*(f"segment.funnel_{name}" for name in _WORDS)),
            **kwargs,
        )

    def preprocess(self, payload: Any) -> Sieve | None:
        return read(payload) if payload else None

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def read(payload: Any) -> Sieve:
    """What the browser sent, checked. Raises UserError."""
    if not isinstance(payload, Mapping) or not isinstance(payload.get("serial"), str):
        raise UserError("segment.funnel_form")
    limits = payload.get("thresholds")
    if not isinstance(limits, Mapping):
        raise UserError("segment.funnel_form")
    shares = {name: _number(limits.get(name), 1.0) for name in ("iou", "stability", "nms")}
    return Sieve(payload["serial"], {**shares, "min_area": int(_number(limits.get("min_area"), MOST_AREA))}, payload)


def _number(value: Any, most: float) -> float:
    """A plain number from 0 to `most`. Raises UserError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError("segment.funnel_form")
    if not 0 <= value <= most:
        raise UserError("segment.funnel_form")
    return float(value)
