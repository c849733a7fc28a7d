"""Accuracy of a zero-shot model on a pack of labelled pictures of any size."""

import argparse
import zipfile
from pathlib import Path

import numpy as np

from pipelines.runtime import pictures
from pipelines.runtime.context import Runtime
from pipelines.runtime.errors import UserError
from pipelines.zero_shot.classify import encode_labels, encode_picture
from pipelines.zero_shot.models import ZeroShotModel
from pipelines.zero_shot.preprocess import CROPS, Crop
from pipelines.zero_shot.templates import TEMPLATES
from training.packs import Row, rows_of

RESAMPLES = 1000


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this topic."""
    parser.add_argument("--pack", type=Path, required=True, help="a zip with index.jsonl and pictures")
    parser.add_argument("--language", choices=sorted(TEMPLATES), default="en", help="language of labels and templates")
    parser.add_argument("--labels", type=Path, help="text file, one label a line; without it the labels of the pack")
    parser.add_argument(
        "--split",
        help="a split's name, or all; without it every row that is not of the split train (all without splits)",
    )
    parser.add_argument("--crop", choices=[crop for crop in CROPS if crop != "box"], default="own")
    parser.add_argument("--bare", action="store_true", help="labels alone, without templates")


def load(runtime: Runtime, options: argparse.Namespace) -> ZeroShotModel:
    """The model that was asked for, or the bundled one."""
    return runtime.load(options.model or runtime.choose("zero_shot").entry.id)


def chosen_rows(path: Path, split: str | None) -> list[Row]:
    """Labelled rows of a pack: of a split, of all, or, when none is named, those that are not of ``train``."""
    rows = [row for row in rows_of(path) if row.names["en"]]
    if split == "all":
        return rows
    return [row for row in rows if (row.split != "train" if split is None else row.split == split)]


def label_of(row: Row, language: str) -> str:
    """The row's label; the English one where the pack has none in the language."""
    return (row.names[language] or row.names["en"])[0]


def evaluate(model: ZeroShotModel, options: argparse.Namespace) -> dict:
    """Top-1 and top-5 over the set of labels in the pack, with 95 % intervals (bootstrap over pictures)."""
    rows = chosen_rows(options.pack, options.split)
    if not rows:
        raise SystemExit(f"{options.pack.name} has no labelled picture of split {options.split or 'val'}")
    truths = [label_of(row, options.language) for row in rows]
    labels = read_labels(options.labels) if options.labels else sorted(set(truths))
    number = {label: index for index, label in enumerate(labels)}
    kept = [index for index, truth in enumerate(truths) if truth in number]
    templates = ("{}",) if options.bare else TEMPLATES[options.language]
    texts = encode_labels(model, tuple(labels), templates=templates).features  # (L, D)
    images, unreadable = encode_pack(model, options.pack, [rows[index].file for index in kept], crop=Crop(options.crop))
    truth = np.array([number[truths[index]] for index in kept])
    readable = ~np.isnan(images[:, 0])
    places = ranks(images[readable] @ texts.T, truth[readable])
    figures = {"n": len(places), "top1": mean(places < 1), "top5": mean(places < 5)}
    return figures | {
        "top1_95": interval(places < 1),
        "top5_95": interval(places < 5),
        "top1_by_label": mean_by_label(places < 1, truth[readable]),
        "labels": len(labels),
        "labels_with_pictures": len(np.unique(truth)),
        "language": options.language,
        "without_label": len(rows) - len(kept),
        "unreadable": unreadable,
    }


def read_labels(path: Path) -> list[str]:
    """One label a line, each once, in the file's order."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def encode_pack(model: ZeroShotModel, path: Path, files: list[str], *, crop: Crop) -> tuple[np.ndarray, list[str]]:
    """(N, D) float32 features, rows of nan for pictures that cannot be read, and the names of those."""
    features, unreadable = [], []
    with zipfile.ZipFile(path) as pack:
        for file in files:
            try:
                picture = pictures.open_picture(pack.read(file))
            except UserError:
                unreadable.append(file)
                features.append(None)
                continue
            features.append(encode_picture(model, picture.pixels, crop=crop).feature)
    width = next((len(feature) for feature in features if feature is not None), 1)
    missing = np.full(width, np.nan, np.float32)
    return np.stack([missing if feature is None else feature for feature in features]), unreadable


def ranks(cosines: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Place of the true label, 0 is the first: cosines (N, L), truth (N,) -> (N,)."""
    return (cosines > cosines[np.arange(len(truth)), truth][:, None]).sum(axis=1)


def mean(hits: np.ndarray) -> float:
    """Share of true values, four digits."""
    return round(float(hits.mean()), 4)


def mean_by_label(hits: np.ndarray, truth: np.ndarray) -> float:
    """Mean over labels of each label's share, so that frequent labels do not outweigh the rest."""
    return round(float(np.mean([hits[truth == label].mean() for label in np.unique(truth)])), 4)


def interval(hits: np.ndarray, *, seed: int = 0) -> list[float]:
    """95 % interval of the mean by resampling pictures 1,000 times."""
    generator = np.random.default_rng(seed)
    means = [hits[generator.integers(len(hits), size=len(hits))].mean() for _ in range(RESAMPLES)]
    return [round(float(value), 4) for value in np.percentile(means, (2.5, 97.5))]
