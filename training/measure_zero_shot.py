"""Measures the shipped zero-shot models on val pictures: calibration.json for the app, figures for the cards.

    python -m training.measure_zero_shot --data FOLDER

Labels stand bare, as the app writes them when nobody edits the templates. All pictures are of the packs' val splits.
"""

import argparse
import json
import zipfile
from pathlib import Path

import numpy as np

from pipelines.runtime import pictures
from pipelines.runtime.context import Settings, configure
from pipelines.zero_shot.background import load_bank, rank_among
from pipelines.zero_shot.calibration import CALIBRATION_FILE
from pipelines.zero_shot.classify import encode_labels, encode_picture, read_out
from pipelines.zero_shot.models import ZeroShotModel
from pipelines.zero_shot.overlay import KINDS, write_on
from training.evaluate_zero_shot import ranks
from training.packs import PHOTO_PACKS, Row, rows_of
from training.words import LANGUAGES, concepts_of

MODELS = ("lucida-clip", "lucida-siglip")
LIST_SIZE = 10
REFUSED = 0.05
BINS = 10
THRESHOLDS = np.round(np.concatenate([np.linspace(0.5, 0.9, 21), np.linspace(0.91, 1.0, 37)]), 4)
OVERLAYS = 200


def val_rows(data: Path) -> list[tuple[Path, Row]]:
    """Labelled val photographs of all packs."""
    paths = [data / f"{pack}.zip" for pack in PHOTO_PACKS]
    return [(path, row) for path in paths for row in rows_of(path) if row.split == "val" and row.names["en"]]


def read_pixels(path: Path, file: str) -> np.ndarray:
    """(H, W, 3) uint8 of a picture in a pack."""
    with zipfile.ZipFile(path) as pack:
        return pictures.open_picture(pack.read(file)).pixels


def probabilities(model: ZeroShotModel, cosines: np.ndarray) -> np.ndarray:
    """What the model says: its own read-out, (N, L)."""
    own = 0 if model.objective == "softmax" else 1
    scale, bias = model.logit_scale, model.logit_bias
    return np.stack([read_out(row, logit_scale=scale, logit_bias=bias)[own] for row in cosines])


def reliability(said: np.ndarray, right: np.ndarray) -> dict:
    """Ten bins of equal width and the expected calibration error (1706.04599, eq. (3))."""
    bins, error = [], 0.0
    edges = np.linspace(0, 1, BINS + 1)
    for low, high in zip(edges, edges[1:], strict=False):
        inside = (said >= low) & ((said < high) | (high == 1.0))
        if not inside.any():
            continue
        mean_said, mean_right = float(said[inside].mean()), float(right[inside].mean())
        error += inside.mean() * abs(mean_said - mean_right)
        values = {"low": low, "high": high, "n": int(inside.sum()), "said": mean_said, "right": mean_right}
        bins.append({key: round(float(value), 4) if key != "n" else value for key, value in values.items()})
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
    refused = [float((listed < threshold).mean()) for threshold in THRESHOLDS]
    chosen = float(np.quantile(listed, REFUSED))
    return {
        "thresholds": THRESHOLDS.tolist(),
        "refused_listed": [round(value, 4) for value in refused],
        "caught_unlisted": [round(float((unlisted < threshold).mean()), 4) for threshold in THRESHOLDS],
        "chosen": round(chosen, 4),
        "list_size": LIST_SIZE,
        "n": len(truth),
    }


def overlays(data: Path, model: ZeroShotModel, texts: dict[str, np.ndarray], names: dict[str, list[str]]) -> dict:
    """A wrong name written on val pictures, beside random letters and a blank paper of the same size."""
    generator = np.random.default_rng(1)
    rows = val_rows(data)
    chosen = generator.permutation(len(rows))[:OVERLAYS]
    places = {name: index for index, name in enumerate(names["en"])}
    tests = {}
    for language in LANGUAGES:
        hits = {kind: [] for kind in ("before", *KINDS)}
        follows = []
        for count, index in enumerate(chosen):
            path, row = rows[index]
            pixels, true = read_pixels(path, row.file), places[row.names["en"][0]]
            typed = int(generator.integers(len(places) - 1))
            typed += typed >= true
            word = names[language][typed]
            seen = {"before": pixels} | {kind: write_on(pixels, word, kind=kind, seed=count) for kind in KINDS}
            for kind, picture in seen.items():
                answer = int((texts[language] @ encode_picture(model, picture).feature).argmax())
                hits[kind].append(answer == true)
                if kind == "words":
                    follows.append(answer == typed)
        share = {f"top1_{kind}": round(float(np.mean(values)), 4) for kind, values in hits.items()}
        tests[f"words_{language}"] = {"n": len(chosen), **share, "follows_word": round(float(np.mean(follows)), 4)}
    return tests


def measure(data: Path, model: ZeroShotModel) -> tuple[dict, dict]:
    """One model's entry in calibration.json, and accuracy figures for its card."""
    rows = val_rows(data)
    concepts = concepts_of(data, PHOTO_PACKS, "photo")
    names = {language: [concept.names(language)[0] for concept in concepts] for language in LANGUAGES}
    number = {name: index for index, name in enumerate(names["en"])}
    truth = np.array([number[row.names["en"][0]] for _, row in rows])
    images = np.stack([encode_picture(model, read_pixels(path, row.file)).feature for path, row in rows])
    bank = images @ load_bank(model).features.T
    texts, reliable, figures, cosines = {}, {}, {}, {}
    for language in LANGUAGES:
        texts[language] = encode_labels(model, tuple(names[language])).features
        cosines[language] = images @ texts[language].T
        said = probabilities(model, cosines[language])
        right = said.argmax(axis=1) == truth
        reliable[language] = reliability(said.max(axis=1), right)
        places = ranks(cosines[language], truth)
        figures[language] = {"top1_bare": float((places < 1).mean()), "top5_bare": float((places < 5).mean())}
    both = refusal(np.concatenate([cosines["en"], cosines["zh"]]), np.tile(truth, 2), np.tile(bank, (2, 1)))
    entry = {"refusal": both, "reliability": reliable, "overlay": overlays(data, model, texts, names)}
    return entry, figures


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=CALIBRATION_FILE)
    parser.add_argument("models", nargs="*", default=MODELS)
    options = parser.parse_args()
    runtime = configure(Settings(device="cpu", models="bundled"))
    entries = json.loads(options.out.read_text())["models"] if options.out.exists() else {}
    for model_id in options.models:
        entries[model_id], figures = measure(options.data, runtime.load(model_id))
        print(model_id, json.dumps(figures), json.dumps(entries[model_id]["overlay"]))
    options.out.write_text(json.dumps({"models": entries}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
