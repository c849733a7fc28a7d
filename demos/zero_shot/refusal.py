"""“None of these”: the labels' cosines among those of a fixed bank of words, with a threshold moved in the browser."""

from pathlib import Path

import gradio as gr
import numpy as np

from demos.shell.components.parts import script
from demos.shell.words import both

_HERE = Path(__file__).parent
_WORDS = ["histogram", "bank_axis", "bank_axis_short", "refused", "accepted", "threshold", "shares", "not_measured"]
BINS = 48
UNMEASURED = tuple(k / 100 for k in range(50, 101))  # thresholds offered where calibration has none
DEFAULT_THRESHOLD = 0.95


class Refusal(gr.HTML):
    """Histogram, threshold slider and verdict; it sends nothing back."""

    def __init__(self, value=None, **kwargs):
        super().__init__(
            value,
            # Static files only: Gradio evaluates its templates, so nothing of a visitor's goes into them.
            html_template=(_HERE / "refusal.html").read_text("utf-8"),
            css_template=(_HERE / "refusal.css").read_text("utf-8"),
            js_on_load=script("common.js") + (_HERE / "refusal.js").read_text("utf-8"),
            apply_default_css=False,
            words=both(*(f"zero_shot.{name}" for name in _WORDS)),
            **kwargs,
        )

    def api_info(self):
        return {"type": "object"}


def value(labels, cosines, *, percentiles, bank_cosines, measured=None) -> dict:
    """What the browser draws. percentiles: (L,) in 0..1; bank_cosines: (N,); measured: a calibration.Refusal."""
    bank = np.sort(np.asarray(bank_cosines, float))
    everything = np.concatenate([bank, np.asarray(cosines, float)])
    low, high = float(everything.min()), float(everything.max()) + 1e-6
    counts, _ = np.histogram(bank, bins=BINS, range=(low, high))
    thresholds = list(measured.thresholds) if measured else list(UNMEASURED)
    chosen = measured.chosen if measured else DEFAULT_THRESHOLD
    order = np.argsort(-np.asarray(percentiles, float), kind="stable")
    return {
        "labels": [
            {"text": labels[i], "cosine": float(cosines[i]), "percentile": float(percentiles[i])} for i in order[:8]
        ],
        "counts": counts.tolist(),
        "range": [low, high],
        "n_bank": len(bank),
        "thresholds": thresholds,
        "quantiles": [float(np.quantile(bank, min(max(t, 0.0), 1.0))) for t in thresholds],
        "chosen": int(np.argmin([abs(t - chosen) for t in thresholds])),
        "refused_listed": list(measured.refused_listed) if measured else None,
        "caught_unlisted": list(measured.caught_unlisted) if measured else None,
        "list_size": measured.list_size if measured else 0,
        "n_measured": measured.n if measured else 0,
    }
