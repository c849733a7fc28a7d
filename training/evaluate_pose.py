"""PCK of the four pose heads, per joint, and how well RLE's sigma tells its error."""

import argparse
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from pipelines.pose.decode import dark, soft_argmax, to_unit
from pipelines.pose.joints import JOINTS, LIMBS, TORSO
from pipelines.pose.metrics import found, torso_px
from pipelines.pose.models import PoseModel, PoseNet, PoseOutput, load_folder
from pipelines.runtime.context import Runtime
from training.evaluate_zero_shot import interval
from training.packs import read_index
from training.pose_data import Person, person_of, upright

BATCH = 16
HEADS = ("heatmap", "soft_argmax", "regression", "rle")
VISIBLE, HIDDEN = 2, 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this topic."""
    parser.add_argument("--pack", type=Path, required=True, help="a zip with index.jsonl and pictures")
    parser.add_argument("--folder", type=Path, help="a run's model folder, in place of a model of the catalogue")
    parser.add_argument("--split", help="a split's name, or all; without it every row that is not of the split train")


def load(runtime: Runtime, options: argparse.Namespace) -> PoseModel:
    """The model that was asked for, or the bundled one."""
    if options.folder:
        return load_folder(options.folder.name, options.folder, placement=runtime.placement)
    return runtime.load(options.model or runtime.choose("pose").entry.id)


def evaluate(model: PoseModel, options: argparse.Namespace) -> dict:
    """PCK@0.2 over visible limb joints of people whose right shoulder and left hip are labelled."""
    people = list(open_pack(options.pack, options.split))
    if not people:
        raise SystemExit(f"{options.pack.name} has no person of split {options.split or 'val'}")
    return figures_of(model.module.float(), people)


def open_pack(path: Path, split: str | None) -> Iterator[Person]:
    """People of a split, of all, or, when none is named, those that are not of ``train``."""
    with zipfile.ZipFile(path) as pack:
        for line in read_index(path):
            own = line.get("split", "val")
            if split == "all" or (own != "train" if split is None else own == split):
                yield person_of(line, pack.read(line["file"]))


def positions(output: PoseOutput) -> dict[str, torch.Tensor]:
    """Where each head puts the joints: (B, 14, 2) in -0.5..0.5 over the crop."""
    side = output.heatmap.shape[-1]
    return {
        "heatmap": to_unit(dark(output.heatmap), side),
        "soft_argmax": to_unit(soft_argmax(output.soft), side),
        "regression": output.regression,
        "rle": output.rle_mean,
        **{f"heatmap_{small.shape[-1]}": to_unit(dark(small), small.shape[-1]) for small in output.small},
    }


@torch.no_grad()
def predict(module: PoseNet, pixels: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Crops (N, S, S, 3) uint8 to each head's positions (N, 14, 2) and RLE's mean sigma of the joints (N, 14)."""
    module.eval()
    device, parts, sigmas = next(module.parameters()).device, [], []
    for start in range(0, len(pixels), BATCH):
        crops = torch.from_numpy(pixels[start : start + BATCH]).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        output = module(crops)
        parts.append({name: value.cpu().numpy() for name, value in positions(output).items()})
        sigmas.append(output.rle_sigma.mean(dim=-1).cpu().numpy())
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, np.concatenate(sigmas)


def figures_of(module: PoseNet, people: Sequence[Person]) -> dict:
    """Figures as ``training.evaluate pose`` prints them."""
    crops = [upright(person, module.config.crop) for person in people]
    pixels, truth, seen = (np.stack(values) for values in zip(*crops, strict=True))
    predicted, sigma = predict(module, pixels)
    measurable = (seen[:, TORSO] > 0).all(axis=1)
    counted = (seen == VISIBLE) & measurable[:, None] & np.array([name in LIMBS for name in JOINTS])
    hidden = (seen == HIDDEN) & measurable[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        hits = {name: found(points, truth) for name, points in predicted.items()}
        error = np.linalg.norm(predicted["rle"] - truth, axis=-1) / torso_px(truth)[:, None]
    return {
        "n": int(measurable.sum()),
        "joints": int(counted.sum()),
        "pck": {name: share(hit, counted) for name, hit in hits.items()},
        "pck_95": {name: interval_of(hits[name], counted) for name in HEADS},
        "pck_joints": {
            name: {joint: share(hits[name][:, place], counted[:, place]) for place, joint in enumerate(LIMBS)}
            for name in HEADS
        },
        "pck_hidden": {name: share(hits[name], hidden) for name in HEADS},
        "sigma_spearman": spearman(sigma[counted], error[counted]),
    }


def share(hits: np.ndarray, counted: np.ndarray) -> float | None:
    """Share of the counted joints that are found; None when none is counted."""
    return round(float(hits[counted].mean()), 4) if counted.any() else None


def interval_of(hits: np.ndarray, counted: np.ndarray) -> list[float]:
    """95 % interval of the share; joints are resampled."""
    return interval(hits[counted])


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of the ranks of two rows of numbers without ties."""
    ranks = [values.argsort().argsort() for values in (first, second)]
    return round(float(np.corrcoef(*ranks)[0, 1]), 4)
