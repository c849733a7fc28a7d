"""Measures the shipped zero-shot models on held-out pictures: calibration.json for the app, figures for the cards.

    python -m training.measure_zero_shot --data FOLDER

In calibration.json labels stand bare, as the app writes them when nobody edits the templates; accuracy for the cards is
with the template ensemble, as ``training.evaluate`` measures it. Both models share the trunk, so it runs once.
"""

import argparse
import itertools
import json
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from pipelines.runtime import pictures
from pipelines.runtime.context import Settings, configure
from pipelines.zero_shot.background import load_bank, rank_among
from pipelines.zero_shot.calibration import CALIBRATION_FILE
from pipelines.zero_shot.classify import encode_labels, read_out
from pipelines.zero_shot.models import ZeroShotModel
from pipelines.zero_shot.overlay import KINDS, write_on
from pipelines.zero_shot.templates import TEMPLATES
from training.evaluate_zero_shot import interval, ranks
from training.packs import DRAWING_PACKS, PHOTO_PACKS, Row, rows_of
from training.words import LANGUAGES, all_concepts

MODELS = ("lucida-clip", "lucida-siglip")
FIGURES = Path("runs/zero_shot/figures.json")
CACHE = Path("runs/zero_shot/held_out")  # the trunk's features: remove it when packs, overlays or preprocessing change
LIST_SIZE = 10
REFUSED = 0.05
BINS = 10
THRESHOLDS = np.round(np.concatenate([np.linspace(0.5, 0.9, 21), np.linspace(0.91, 1.0, 37)]), 4)
OVERLAYS = 200
BATCH = 32


@dataclass(frozen=True, eq=False)
class Measured:
    """Rows of pictures with their pooled trunk features (N, 1280)."""

    rows: list[tuple[Path, Row]]
    features: torch.Tensor

    def truth(self, names: list[str]) -> np.ndarray:
        """Number of each row's English label among names."""
        number = {name: index for index, name in enumerate(names)}
        return np.array([number[row.names["en"][0]] for _, row in self.rows])


def held_out(data: Path, packs: Iterable[str], split: str) -> list[tuple[Path, Row]]:
    """Named rows of a split of some packs."""
    paths = [data / f"{pack}.zip" for pack in packs]
    return [(path, row) for path in paths for row in rows_of(path) if row.split == split and row.names["en"]]


def read_pixels(rows: list[tuple[Path, Row]]) -> Iterator[np.ndarray]:
    """(H, W, 3) uint8 of each row's picture, through the app's own door for pictures."""
    with ExitStack() as stack:
        packs = {path: stack.enter_context(zipfile.ZipFile(path)) for path in {path for path, _ in rows}}
        for path, row in rows:
            yield pictures.open_picture(packs[path].read(row.file)).pixels


def trunk_features(model: ZeroShotModel, views: Iterable[np.ndarray], *, name: str) -> torch.Tensor:
    """Pooled features (N, 1280) of pictures of any size, as the app preprocesses them; kept on disk under the name."""
    file, rows = CACHE / f"{name}.safetensors", []
    if file.exists():
        return load_file(file)["features"]
    with torch.inference_mode():
        views = iter(views)
        while batch := list(itertools.islice(views, BATCH)):
            tensors = [model.preprocess.tensor(model.preprocess.view(pixels).pixels) for pixels in batch]
            rows.append(model.module.visual.trunk(torch.stack(tensors).to(model.device, model.dtype)).float())
    CACHE.mkdir(parents=True, exist_ok=True)
    save_file({"features": torch.cat(rows)}, file)
    return torch.cat(rows)


def image_features(model: ZeroShotModel, features: torch.Tensor) -> np.ndarray:
    """Project trunk features to unit length (N, D)."""
    with torch.inference_mode():
        return normalize(model.module.visual.head(features.to(model.device, model.dtype)).float(), dim=-1).numpy()


def probabilities(model: ZeroShotModel, cosines: np.ndarray) -> np.ndarray:
    """What the model says: its own read-out, (N, L)."""
    own = 0 if model.objective == "softmax" else 1
    scale, bias = model.logit_scale, model.logit_bias
    return np.stack([read_out(row, logit_scale=scale, logit_bias=bias)[own] for row in cosines])


def reliability(said: np.ndarray, right: np.ndarray) -> dict:
    """Ten bins of equal width and the expected calibration error (1706.04599, eq. (3))."""
    bins, error = [], 0.0
    for low, high in itertools.pairwise(np.linspace(0, 1, BINS + 1)):
        inside = (said >= low) & ((said < high) | (high == 1.0))
        if not inside.any():
            continue
        mean_said, mean_right = float(said[inside].mean()), float(right[inside].mean())
        error += inside.mean() * abs(mean_said - mean_right)
        shares = {"low": low, "high": high, "said": mean_said, "right": mean_right}
        bins.append({"n": int(inside.sum())} | {key: round(float(value), 4) for key, value in shares.items()})
    return {"bins": bins, "ece": round(float(error), 4)}


def refusal(cosines: np.ndarray, truth: np.ndarray, bank_cosines: np.ndarray, *, seed: int = 0) -> dict:
    """Lists of ten names, with the true one and without: how often a threshold on the largest percentile refuses."""
    generator = np.random.default_rng(seed)
    listed, unlisted = [], []
    for row, true, bank in zip(cosines, truth, bank_cosines, strict=True):
        others = generator.permutation(np.delete(np.arange(len(row)), true))
        with_truth = np.append(others[: LIST_SIZE - 1], true)
        listed.append(rank_among(row[with_truth], bank).statistic)
        unlisted.append(rank_among(row[others[-LIST_SIZE:]], bank).statistic)
    listed, unlisted = np.array(listed), np.array(unlisted)
    return {
        "thresholds": THRESHOLDS.tolist(),
        "refused_listed": [round(float((listed < threshold).mean()), 4) for threshold in THRESHOLDS],
        "caught_unlisted": [round(float((unlisted < threshold).mean()), 4) for threshold in THRESHOLDS],
        "chosen": round(float(np.quantile(listed, REFUSED)), 4),
        "list_size": LIST_SIZE,
        "n": len(truth),
    }


@dataclass(frozen=True, eq=False)
class Overlays:
    """A wrong name for each of some val pictures, and the trunk's features before and after it is written on them."""

    chosen: np.ndarray
    typed: np.ndarray
    features: dict[tuple[str, str], torch.Tensor]  # by language and kind


def write_names_on(model: ZeroShotModel, photos: Measured, names: dict[str, list[str]]) -> Overlays:
    """Write a wrong name, random letters and nothing on papers of the same size."""
    generator = np.random.default_rng(1)
    chosen = generator.permutation(len(photos.rows))[:OVERLAYS]
    true = photos.truth(names["en"])[chosen]
    typed = generator.integers(len(names["en"]) - 1, size=len(chosen))
    typed = typed + (typed >= true)  # any but the true one
    rows = [photos.rows[index] for index in chosen]
    features = {}
    for language, kind in itertools.product(LANGUAGES, KINDS):
        words = [names[language][number] for number in typed]
        changed = (
            write_on(pixels, word, kind=kind, seed=seed)
            for seed, (pixels, word) in enumerate(zip(read_pixels(rows), words, strict=True))
        )
        features[language, kind] = trunk_features(model, changed, name=f"overlay_{language}_{kind}")
    return Overlays(chosen, typed, features)


def overlay_figures(model: ZeroShotModel, photos: Measured, overlays: Overlays, texts: dict, truth: np.ndarray) -> dict:
    """Top-1 before and after, and how often the answer becomes the typed word."""
    tests = {}
    for language, text in texts.items():
        seen = {"before": photos.features[overlays.chosen]}
        seen |= {kind: overlays.features[language, kind] for kind in KINDS}
        answers = {kind: (image_features(model, rows) @ text.T).argmax(axis=1) for kind, rows in seen.items()}
        true = truth[overlays.chosen]
        shares = {f"top1_{kind}": round(float((answer == true).mean()), 4) for kind, answer in answers.items()}
        follows = round(float((answers["words"] == overlays.typed).mean()), 4)
        tests[f"words_{language}"] = {"n": len(true), **shares, "follows_word": follows}
    return tests


def accuracy(model: ZeroShotModel, images: np.ndarray, truth: np.ndarray, names: tuple[str, ...], templates) -> dict:
    """Top-1 and top-5 with their intervals."""
    places = ranks(images @ encode_labels(model, names, templates=templates).features.T, truth)
    shares = {f"top{k}": round(float((places < k).mean()), 4) for k in (1, 5)}
    intervals = {f"top{k}_95": interval(places < k) for k in (1, 5)}
    return {"n": len(truth), "names": len(names), **shares, **intervals}


def calibration(model: ZeroShotModel, photos: Measured, overlays: Overlays, names: dict[str, list[str]]) -> dict:
    """One model's entry in calibration.json."""
    truth, images = photos.truth(names["en"]), image_features(model, photos.features)
    bank = images @ load_bank(model).features.T
    texts = {language: encode_labels(model, tuple(names[language])).features for language in LANGUAGES}
    cosines = {language: images @ text.T for language, text in texts.items()}
    reliable = {}
    for language in LANGUAGES:
        said = probabilities(model, cosines[language])
        reliable[language] = reliability(said.max(axis=1), said.argmax(axis=1) == truth)
    both = np.concatenate([cosines[language] for language in LANGUAGES])
    return {
        "refusal": refusal(both, np.tile(truth, 2), np.tile(bank, (2, 1))),
        "reliability": reliable,
        "overlay": overlay_figures(model, photos, overlays, texts, truth),
    }


def card_figures(model: ZeroShotModel, sets: dict[str, tuple[Measured, dict[str, list[str]]]]) -> dict:
    """Accuracy of each set in each language, with the template ensemble for photographs and bare for drawings."""
    figures = {}
    for title, (measured, names) in sets.items():
        truth, images = measured.truth(names["en"]), image_features(model, measured.features)
        for language in LANGUAGES:
            templates = TEMPLATES[language] if title == "photos" or title == "sharp" else ("{}",)
            figures[f"{title}_{language}"] = accuracy(model, images, truth, tuple(names[language]), templates)
    return figures


def load_sets(data: Path, model: ZeroShotModel) -> dict[str, tuple[Measured, dict[str, list[str]]]]:
    """Held-out pictures with the names that they are told apart from."""
    concepts = all_concepts(data)
    rows = {
        "photos": held_out(data, PHOTO_PACKS, "val"),
        "sharp": held_out(Path("runs/zero_shot"), ("sharp_proxy",), "val"),
        "emoji": held_out(data, DRAWING_PACKS, "heldout_pair"),
        "unseen": held_out(data, DRAWING_PACKS, "val"),
    }
    taught = {name.casefold() for many in concepts.values() for one in many for name in one.en}
    rows["unseen"] = [(path, row) for path, row in rows["unseen"] if row.names["en"][0].casefold() not in taught]
    kinds = {"photos": "photo", "sharp": "photo", "emoji": "drawing"}
    names = {
        title: {language: [one.names(language)[0] for one in concepts[kind]] for language in LANGUAGES}
        for title, kind in kinds.items()
    }
    pairs = sorted({(row.names["en"][0], row.names["zh"][0]) for _, row in rows["unseen"]})
    names["unseen"] = dict(zip(LANGUAGES, map(list, zip(*pairs, strict=True)), strict=True))
    features = {title: trunk_features(model, read_pixels(some), name=title) for title, some in rows.items()}
    return {title: (Measured(rows[title], features[title]), names[title]) for title in rows}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("models", nargs="*", default=MODELS)
    options = parser.parse_args()
    runtime = configure(Settings(device="cpu", models="bundled"))
    loaded = {model_id: runtime.load(model_id) for model_id in options.models}
    first = next(iter(loaded.values()))
    sets = load_sets(options.data, first)
    photos, names = sets["photos"]
    overlays = write_names_on(first, photos, names)
    entries = {model_id: calibration(model, photos, overlays, names) for model_id, model in loaded.items()}
    figures = {model_id: card_figures(model, sets) for model_id, model in loaded.items()}
    CALIBRATION_FILE.write_text(json.dumps({"models": entries}, indent=1) + "\n", encoding="utf-8")
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
