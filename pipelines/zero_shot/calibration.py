"""What was measured on the val split: refusal, reliability, and typed words; read from calibration.json."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

CALIBRATION_FILE = Path(__file__).resolve().parents[2] / "assets" / "models" / "zero_shot" / "calibration.json"


@dataclass(frozen=True)
class Refusal:
    """How a threshold on the largest percentile (background.py) does, on n val pictures with list_size labels each.

    thresholds: ascending, 0..1. refused_listed: share of pictures refused although their label is listed.
    caught_unlisted: share of pictures refused when it is not. chosen: refuses 5 % of the listed.
    """

    thresholds: tuple[float, ...]
    refused_listed: tuple[float, ...]
    caught_unlisted: tuple[float, ...]
    chosen: float
    list_size: int
    n: int

    def refused_listed_at(self, threshold: float) -> float:
        """Share (0..1) of pictures with a listed label that this threshold refuses, linear between measurements."""
        return float(np.interp(threshold, self.thresholds, self.refused_listed))

    def caught_unlisted_at(self, threshold: float) -> float:
        """Share (0..1) of pictures without their label that this threshold catches, linear between measurements."""
        return float(np.interp(threshold, self.thresholds, self.caught_unlisted))


@dataclass(frozen=True)
class Bin:
    """Answers whose said probability lay in low..high: how many, mean said, share right (1706.04599, section 2)."""

    low: float
    high: float
    n: int
    said: float
    right: float


@dataclass(frozen=True)
class Reliability:
    """A reliability curve. ece: expected calibration error, sum of n_b / n |said_b - right_b|."""

    bins: tuple[Bin, ...]
    ece: float


@dataclass(frozen=True)
class OverlayTest:
    """Top-1 on n val pictures before and after typing a wrong label's word, random letters, or a blank patch.

    follows_word: share of pictures whose answer becomes the typed word's.
    """

    n: int
    top1_before: float
    top1_words: float
    top1_letters: float
    top1_blank: float
    follows_word: float


@dataclass(frozen=True)
class Calibration:
    """All measurements of one model. reliability: by language, "en" and "zh". overlay: "words_en", "words_zh"."""

    refusal: Refusal
    reliability: dict[str, Reliability]
    overlay: dict[str, OverlayTest]


@cache
def load_calibration(path: Path = CALIBRATION_FILE) -> dict[str, Calibration]:
    """Read the measurements: model id -> Calibration. A model that is not in it was not measured.

    Raises:
        ValueError: thresholds do not ascend, or curves of another length.
        TypeError: a field is missing or unknown.
    """
    models = json.loads(path.read_text(encoding="utf-8"))["models"]
    return {model_id: _calibration(item) for model_id, item in models.items()}


def _calibration(item: dict) -> Calibration:
    return Calibration(
        refusal=_refusal(item["refusal"]),
        reliability={
            language: Reliability(tuple(Bin(**one) for one in curve["bins"]), curve["ece"])
            for language, curve in item["reliability"].items()
        },
        overlay={name: OverlayTest(**test) for name, test in item["overlay"].items()},
    )


def _refusal(item: dict) -> Refusal:
    refusal = Refusal(**{name: tuple(value) if isinstance(value, list) else value for name, value in item.items()})
    if not np.all(np.diff(refusal.thresholds) > 0):
        raise ValueError("refusal: thresholds must ascend")
    if not len(refusal.thresholds) == len(refusal.refused_listed) == len(refusal.caught_unlisted):
        raise ValueError("refusal: the three curves differ in length")
    return refusal
