"""Mean IoU of a SAM by the number of simulated clicks, with a box, and of GrabCut with the same box."""

import argparse
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from segment_anything import SamPredictor

from pipelines.runtime.context import Runtime
from pipelines.segment.clicks import Click, box_of, first_click, intersection_over_union, next_click
from pipelines.segment.models import SegmentModel, load_folder
from training.evaluate_zero_shot import interval
from training.packs import read_index
from training.segment_data import Annotated, annotated_of

MOST_CLICKS = 10
LEAST_PIXELS = 60
GRABCUT_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class Measured:
    """One object. clicks: IoU after 1, 2, ... clicks; errors: |predicted - true IoU| of these masks, then the box."""

    clicks: tuple[float, ...]
    box: float
    errors: tuple[float, ...]
    grabcut: float | None


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this topic."""
    parser.add_argument("--pack", type=Path, required=True, help="a zip with index.jsonl and pictures")
    parser.add_argument("--folder", type=Path, help="a run's model folder, in place of a model of the catalogue")
    parser.add_argument("--split", help="a split's name, or all; without it every row that is not of the split train")
    parser.add_argument("--objects", type=int, default=4, help="of a picture, drawn with a fixed seed; 0 takes all")
    parser.add_argument("--clicks", type=int, default=MOST_CLICKS, help="at least 5")


def load(runtime: Runtime, options: argparse.Namespace) -> SegmentModel:
    """The model that was asked for, or the bundled one."""
    if options.folder:
        return load_folder(options.folder.name, options.folder, placement=runtime.placement)
    return runtime.load(options.model or runtime.choose("segment").entry.id)


def evaluate(model: SegmentModel, options: argparse.Namespace) -> dict:
    """All figures over the same objects: clicks, box, GrabCut with the same perfect box, error of predicted IoU."""
    predictor = SamPredictor(model.module.float())
    measured = []
    for picture in open_pack(options.pack, options.split):
        predictor.set_image(picture.pixels)
        for index in chosen_objects(picture, options.objects):
            truth = picture.mask(index) > 0
            measured.append(measure(predictor, truth, clicks=max(5, options.clicks), pixels=picture.pixels))
    if not measured:
        raise SystemExit(f"{options.pack.name} has no object of split {options.split or 'val'}")
    return figures_of(measured)


def figures_of(measured: Sequence[Measured]) -> dict:
    """Means over objects, with 95 % intervals (objects resampled 1,000 times)."""
    clicks = np.array([one.clicks for one in measured])
    columns = {
        "miou_1": clicks[:, 0],
        "miou_5": clicks[:, 4],
        "miou_box": np.array([one.box for one in measured]),
        "iou_error": np.array([np.mean(one.errors) for one in measured]),
    }
    if measured[0].grabcut is not None:
        columns["grabcut_box"] = np.array([one.grabcut for one in measured])
    figures = {"n": len(measured)} | {name: round(float(values.mean()), 4) for name, values in columns.items()}
    figures["miou_by_clicks"] = [round(float(value), 4) for value in clicks.mean(axis=0)]
    return figures | {f"{name}_95": interval(values) for name, values in columns.items()}


def open_pack(path: Path, split: str | None) -> Iterator[Annotated]:
    """The pictures with objects of a split, of all, or, when none is named, those that are not of ``train``."""
    with zipfile.ZipFile(path) as pack:
        for line in read_index(path):
            own = line.get("split", "val")
            if line["objects"] and (split == "all" or (own != "train" if split is None else own == split)):
                yield annotated_of(line, pack.read(line["file"]))


def chosen_objects(picture: Annotated, most: int, *, seed: int = 0) -> list[int]:
    """At most ``most`` objects of at least 60 pixels, the same ones each time; all of them with 0."""
    large = [index for index, area in enumerate(picture.areas) if area >= LEAST_PIXELS]
    if most <= 0 or len(large) <= most:
        return large
    return sorted(np.random.default_rng(seed).choice(large, size=most, replace=False).tolist())


def measure(predictor: SamPredictor, truth: np.ndarray, *, clicks: int, pixels: np.ndarray | None = None) -> Measured:
    """The protocol on one object of the predictor's picture; GrabCut too if its pixels are given."""
    masks = list(click_masks(predictor, truth, clicks))
    box_mask, predicted, _ = best(predictor, truth, box=box_of(truth))
    ious = [intersection_over_union(mask, truth) for mask, _ in masks]
    box_iou = intersection_over_union(box_mask, truth)
    errors = [abs(said - iou) for (_, said), iou in zip(masks, ious, strict=True)] + [abs(predicted - box_iou)]
    cut = None if pixels is None else intersection_over_union(grabcut(pixels, truth), truth)
    return Measured(tuple(ious), box_iou, tuple(errors), cut)


def click_masks(predictor: SamPredictor, truth: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, float]]:
    """The mask and its predicted IoU after each click; the last mask is a prompt of the next."""
    clicks: list[Click] = [first_click(truth)]
    previous = None
    mask, predicted = np.zeros_like(truth), 0.0
    for number in range(count):
        if number:
            click = next_click(mask, truth)
            if click is None:  # nothing is wrong any more
                yield mask, predicted
                continue
            clicks.append(click)
        mask, predicted, previous = best(predictor, truth, clicks=clicks, previous=previous)
        yield mask, predicted


def best(
    predictor: SamPredictor,
    truth: np.ndarray,
    *,
    clicks: Sequence[Click] = (),
    box: np.ndarray | None = None,
    previous: np.ndarray | None = None,
) -> tuple[np.ndarray, float, np.ndarray]:
    """Of the three masks the one with the highest predicted IoU: mask, that IoU, its logits (1, h, w)."""
    masks, predicted, logits = predictor.predict(
        point_coords=np.array([(click.x, click.y) for click in clicks], dtype=np.float64) if clicks else None,
        point_labels=np.array([int(click.positive) for click in clicks]) if clicks else None,
        box=box,
        mask_input=previous,
        multimask_output=True,
    )
    if masks.shape[1:] != truth.shape:
        raise ValueError(f"the predictor's picture is {masks.shape[1:]}, the truth {truth.shape}")
    place = int(predicted.argmax())
    return masks[place], float(predicted[place]), logits[place : place + 1]


def grabcut(pixels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """OpenCV's GrabCut with the tight box of the truth: (H, W) bool. A box as large as the picture is the answer."""
    left, top, right, bottom = box_of(truth).astype(int).tolist()
    box = (left, top, right - left + 1, bottom - top + 1)
    mask = np.zeros(truth.shape, np.uint8)
    filled = np.zeros(truth.shape, bool)
    filled[top : bottom + 1, left : right + 1] = True
    if filled.all():
        return filled
    cv2.setRNGSeed(0)
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    cv2.grabCut(bgr, mask, box, np.zeros((1, 65)), np.zeros((1, 65)), GRABCUT_ROUNDS, cv2.GC_INIT_WITH_RECT)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)
