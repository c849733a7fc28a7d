"""Chooses the default thresholds of everything mode for a small SAM on val pictures.

The model runs once a picture; then every pair of thresholds filters what it said. A kept mask is right when its IoU
with an annotated object is at least 0.5, an object is found when a kept mask has that. Pictures are not annotated in
full, so that a mask may be right without being counted so: recall weighs twice (F2).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.segment.everything import GridPass, Thresholds, filter, grid_pass
from pipelines.segment.models import SegmentModel
from pipelines.segment.prompt import encode
from training.segment_data import Annotated

SIDE = 16  # points a side
RIGHT = 0.5
IOU_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.88)
STABILITY_THRESHOLDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
LIBRARY = (0.88, 0.95)


@dataclass(frozen=True, eq=False)
class Grid:
    """One picture's pass, and the IoU of each candidate with each annotated object: (3N, T)."""

    passed: GridPass
    ious: np.ndarray


def pass_of(model: SegmentModel, picture: Annotated) -> Grid:
    """Run the grid; masks and truths are compared in the cells of the logits."""
    *_, passed = grid_pass(model, encode(model, picture.pixels), side=SIDE)
    candidates = passed.part(slice(None)) > 0
    rows, columns = candidates.shape[1:]
    truths = [
        cv2.resize(picture.mask(index).astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA) > 0.5
        for index in range(len(picture.areas))
    ]
    return Grid(passed, pairwise_iou(candidates, np.stack(truths)))


def pairwise_iou(masks: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """(N, h, w) and (T, h, w) bool -> (N, T) float32; 0 where both are empty."""
    a, b = (part.reshape(len(part), -1).astype(np.float32) for part in (masks, truths))
    both = a @ b.T
    return both / np.maximum(a.sum(axis=1)[:, None] + b.sum(axis=1) - both, 1)


def agreement(grid: Grid, iou: float, stability: float) -> dict[str, float]:
    """Recall, precision and F2 of what these thresholds keep of one picture, and how many masks that are."""
    kept = filter(grid.passed, Thresholds(iou=iou, stability=stability)).kept
    right = grid.ious[kept] >= RIGHT  # (K, T)
    recall = float(right.any(axis=0).mean()) if len(kept) else 0.0
    precision = float(right.any(axis=1).mean()) if len(kept) else 0.0
    f2 = 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0
    return {"f2": f2, "recall": recall, "precision": precision, "kept": float(len(kept))}


def mean_agreement(grids: Sequence[Grid], iou: float, stability: float) -> dict[str, float]:
    """The same, mean over pictures, with the thresholds."""
    each = [agreement(grid, iou, stability) for grid in grids]
    means = {name: round(float(np.mean([one[name] for one in each])), 4) for name in each[0]}
    return {"iou": iou, "stability": stability, **means}


def choose_thresholds(model: SegmentModel, pictures: Sequence[Annotated]) -> dict:
    """The pair with the highest F2, and beside it the library's own."""
    grids = [pass_of(model, picture) for picture in pictures]
    table = [mean_agreement(grids, *pair) for pair in itertools.product(IOU_THRESHOLDS, STABILITY_THRESHOLDS)]
    return {
        "side": SIDE,
        "nms": Thresholds().nms,
        "pictures": len(grids),
        "chosen": max(table, key=lambda one: one["f2"]),
        "library": mean_agreement(grids, *LIBRARY),
        "table": table,
    }
