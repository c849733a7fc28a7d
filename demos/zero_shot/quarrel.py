"""The quarrel: CLIP's softmax beside SigLIP's sigmoid, drawn and recomputed in the browser from the cosines.

The value is {"labels": [{"text", "mark"}], "softmax": side, "sigmoid": side, "temperature": float, "off": [int]};
a side is {"title": {"en", "zh"}, "cosines": [float], "scale": float, "bias": float | None} or None.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from demos.shell.components.parts import script
from demos.shell.words import both

_HERE = Path(__file__).parent
MARKS = ("pictures", "imagenet", "drawings", "captions", "never", "unknown")
TEMPERATURE = (0.1, 10.0)
_WORDS = (
    *("caption", "labels", "softmax", "sigmoid", "softmax_title", "sigmoid_title", "softmax_why", "sigmoid_why"),
    *("read_out", "no_model", "chip_off", "chip_on", "show_all", "show_few", "temperature", "learnt", "switch_on"),
    *("path", "cosine", "scale", "bias", "logit", "softmax_over", "sigmoid_alone", "try_it", "went_off", "came_on"),
    *("all_on", "none_on", "one_on", "cold", "hot", "as_learnt"),
)


class Quarrel(gr.HTML):
    """Chips, bars, path and temperature. Python gets what `Settings.read` makes of the browser's value."""

    def __init__(self, value=None, **kwargs):
        names = [*_WORDS, *(f"mark_{mark}" for mark in MARKS)]
        super().__init__(
            value,
            # Static files only: Gradio evaluates its templates, so nothing of a visitor's goes into them.
            html_template=(_HERE / "quarrel.html").read_text("utf-8"),
            css_template=(_HERE / "quarrel.css").read_text("utf-8"),
            js_on_load=script("common.js") + (_HERE / "quarrel.js").read_text("utf-8"),
            apply_default_css=False,
            words=both(*(f"zero_shot.{name}" for name in names)),
            **kwargs,
        )

    def api_info(self):
        return {"type": "object"}


@dataclass(frozen=True)
class Settings:
    """What the visitor moved in the browser. Comes from outside, so it is read with care."""

    temperature: float = 1.0
    off: tuple[int, ...] = ()

    @classmethod
    def read(cls, payload) -> "Settings":
        """The settings in the component's value; whatever does not fit falls back to the learnt value."""
        if not isinstance(payload, dict):
            return cls()
        temperature, off = payload.get("temperature", 1.0), payload.get("off", ())
        numeric = isinstance(temperature, int | float) and not isinstance(temperature, bool)
        if not numeric or temperature != temperature or temperature in (math.inf, -math.inf):
            temperature = 1.0
        known = [i for i in off if isinstance(i, int)] if isinstance(off, list) else []
        low, high = TEMPERATURE
        return cls(temperature=float(min(max(temperature, low), high)), off=tuple(sorted(set(known))))


def side(classification, *, title: dict[str, str]) -> dict:
    """One model's half: what the browser needs to compute every bar again."""
    bias = classification.logit_bias
    return {
        "title": title,
        "cosines": [round(float(cosine), 6) for cosine in classification.cosines],
        "scale": float(classification.logit_scale),
        "bias": None if bias is None else float(bias),
    }


def value(labels, marks, *, softmax: dict | None, sigmoid: dict | None, temperature: float = 1.0) -> dict:
    """The component's value for these labels, their marks and the two halves."""
    named = [{"text": text, "mark": mark} for text, mark in zip(labels, marks, strict=True)]
    return {"labels": named, "softmax": softmax, "sigmoid": sigmoid, "temperature": temperature, "off": []}
