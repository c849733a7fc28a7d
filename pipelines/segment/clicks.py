"""The simulated person: where the next click goes, by the protocol of interactive segmentation (2304.02643, 5 and D.1).

The first click lies in the middle of the object, at the maximum of the distance transform of its mask. Each further
one lies in the same way in the larger error region: a positive click in what is missing, a negative one in the rest.
"""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Click:
    """One click. x, y: pixels, of the middle of a pixel counted as whole numbers. positive: belongs to the object."""

    x: int
    y: int
    positive: bool


def intersection_over_union(mask: np.ndarray, truth: np.ndarray) -> float:
    """Jaccard index of two boolean masks (H, W); 1 when both are empty."""
    union = np.logical_or(mask, truth).sum()
    return float(np.logical_and(mask, truth).sum() / union) if union else 1.0


def deepest(mask: np.ndarray) -> tuple[int, int, float]:
    """The pixel farthest from the edge of a region; outside of the picture counts as outside of the region.

    Args:
        mask: (H, W) bool, at least one pixel set.

    Returns:
        x, y of that pixel, and its distance in pixels to the nearest one outside.
    """
    padded = np.pad(mask.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(distance.argmax(), distance.shape)
    return int(x), int(y), float(distance[y, x])


def first_click(truth: np.ndarray) -> Click:
    """The click in the middle of an object: truth (H, W) bool."""
    x, y, _ = deepest(truth)
    return Click(x, y, positive=True)


def next_click(mask: np.ndarray, truth: np.ndarray) -> Click | None:
    """The click in the middle of the larger error region, None when there is no error.

    Larger is meant by depth: the region whose middle lies farther from its edge. mask, truth: (H, W) bool.
    """
    missing, extra = truth & ~mask, mask & ~truth
    candidates = [
        (*deepest(region), positive) for region, positive in ((missing, True), (extra, False)) if region.any()
    ]
    if not candidates:
        return None
    x, y, _, positive = max(candidates, key=lambda candidate: candidate[2])
    return Click(x, y, positive=positive)


def box_of(truth: np.ndarray) -> np.ndarray:
    """The tight box of a mask (H, W) bool: (4,) float64, left, top, right, bottom, the last pixels included."""
    ys, xs = truth.any(axis=1).nonzero()[0], truth.any(axis=0).nonzero()[0]
    return np.array([xs[0], ys[0], xs[-1], ys[-1]], dtype=np.float64)
