"""None of these: where a label's cosine falls among those of a fixed bank of words.

A softmax must give its whole to the labels that were typed. The cosine alone says little either: its usual height
differs from picture to picture. Its rank among a thousand other words is comparable between pictures (a one-sided
rank test; the statistic for refusal is the largest percentile over the labels).
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipelines.runtime.weights import read_safetensors
from pipelines.zero_shot.classify import Classification, encode_labels
from pipelines.zero_shot.models import ZeroShotModel

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "models" / "zero_shot"
BANK_WORDS = FOLDER / "bank.tsv"
SHIPPED = {"lucida-clip": FOLDER / "bank_clip.safetensors", "lucida-siglip": FOLDER / "bank_siglip.safetensors"}
WORDS_A_STEP = 64


@dataclass(frozen=True, eq=False)
class Bank:
    """words: N pairs (English, Chinese). features: (N, D) float32, unit length, of the bare English words."""

    words: tuple[tuple[str, str], ...]
    features: np.ndarray


@dataclass(frozen=True)
class BankStep:
    """Progress of computing a bank: words done and in all; bank is None until the last step."""

    done: int
    total: int
    bank: Bank | None = None


@dataclass(frozen=True, eq=False)
class NoneOfThese:
    """bank_cosines: (N,) float32. percentiles: (L,) float32, share of the bank's cosines below each label's, 0..1."""

    bank_cosines: np.ndarray
    percentiles: np.ndarray

    @property
    def statistic(self) -> float:
        """The largest percentile over the labels: high where some label fits."""
        return float(self.percentiles.max())

    def refuses(self, threshold: float) -> bool:
        """True where no label stands out from the bank: the answer is "none of these"."""
        return self.statistic < threshold


@cache
def bank_words(path: Path = BANK_WORDS) -> tuple[tuple[str, str], ...]:
    """The bank's words, (English, Chinese), in their fixed order."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return tuple((row["en"], row["zh"]) for row in rows)


def load_bank(model: ZeroShotModel) -> Bank:
    """The bank for a model: from the shipped file of a bundled model, computed for any other.

    Raises:
        UserError: the shipped file is missing or altered.
        ValueError: the shipped file does not fit the words or the model.
    """
    *_, last = bank_steps(model)
    return last.bank


def bank_steps(model: ZeroShotModel) -> Iterator[BankStep]:
    """Give the bank in steps of 64 words, so that the device can serve others between them and progress shows.

    The text cache keeps what was computed: a second call takes one step.
    """
    words = bank_words()
    if model.id in SHIPPED:
        features = _shipped_features(SHIPPED[model.id])
        if features.shape[0] != len(words):
            raise ValueError(f"{SHIPPED[model.id].name}: {features.shape[0]} features for {len(words)} words")
        yield BankStep(len(words), len(words), Bank(words, features))
        return
    english = tuple(word for word, _ in words)
    if all(model.text_cache.get(word) is not None for word in english):
        yield BankStep(len(words), len(words), Bank(words, encode_labels(model, english).features))
        return
    parts = []
    for start in range(0, len(words), WORDS_A_STEP):
        parts.append(encode_labels(model, english[start : start + WORDS_A_STEP]).features)
        done = min(start + WORDS_A_STEP, len(words))
        bank = Bank(words, np.concatenate(parts)) if done == len(words) else None
        yield BankStep(done, len(words), bank)


def none_of_these(classification: Classification, bank: Bank) -> NoneOfThese:
    """Rank each label's cosine among the bank's for the same picture.

    Returns:
        percentile_l = #{n : bank cosine_n < cosine_l} / N.
    """
    return rank_among(classification.cosines, bank.features @ classification.image_feature)


def rank_among(cosines: np.ndarray, bank_cosines: np.ndarray) -> NoneOfThese:
    """Percentiles of cosines (L,) among bank_cosines (N,): the share strictly below each."""
    below = np.searchsorted(np.sort(bank_cosines), cosines, side="left")
    return NoneOfThese(bank_cosines.astype(np.float32), (below / len(bank_cosines)).astype(np.float32))


@cache
def _shipped_features(path: Path) -> np.ndarray:
    """(N, D) float32, unit length, of the tensor "features" in the file."""
    features = read_safetensors(path)["features"].float().numpy()
    return features / np.linalg.norm(features, axis=1, keepdims=True)
