"""The four masks of an answer as the page gets them: their logits packed once, and where they lie. Pure.

The page enlarges them itself (enlarge.js), so that a threshold, a token or a card asks the server for nothing.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipelines.segment.masks import Masks

HALF_MAX = 60_000.0  # below the largest float16
STABILITY_OFFSET = 1.0  # as `pipelines.segment.masks.STABILITY_OFFSET`


def needed(length: int, *, side: int, square: int) -> int:
    """How many of `side` cells the enlargement to `square` px reads for its first `length` px."""
    last = (length - 0.5) * side / square - 0.5  # where the middle of the last pixel lies among the cells
    return min(side, math.floor(last) + 2)


def place(masks: Masks) -> dict:
    """What enlarge.js wants to know: {"rows", "columns", "side", "square", "input", "size", "valid"}."""
    side = masks.logits.shape[-1]
    rows, columns = (needed(length, side=side, square=masks.square) for length in masks.input_size)
    return {
        "rows": rows,
        "columns": columns,
        "side": side,
        "square": masks.square,
        "input": list(masks.input_size),
        "size": list(masks.size),
        "valid": list(masks.valid),
    }


def logits(masks: Masks) -> np.ndarray:
    """(4, rows, columns) float16: what `place` says that is needed of them."""
    where = place(masks)
    part = masks.logits[:, : where["rows"], : where["columns"]]
    return np.clip(part, -HALF_MAX, HALF_MAX).astype(np.float16)


def enlarged(masks: Masks, token: int) -> np.ndarray:
    """(h, w) float32: the logits at `size`, as `Masks.enlarged` up to rounding: a page opens without a model library.

    Enlarging is linear and works along one axis at a time, so that it is a product with a matrix on each side.
    """
    side = masks.logits.shape[-1]
    down, across = (
        _bilinear(out, part) @ _bilinear(masks.square, side)[:part]
        for out, part in zip(masks.size, masks.input_size, strict=True)
    )
    return down @ masks.logits[token] @ across.T


def _bilinear(many: int, few: int) -> np.ndarray:
    """(many, few) float32: how each of `many` places is mixed from `few` cells, as PyTorch counts them."""
    at = np.maximum((np.arange(many) + 0.5) * few / many - 0.5, 0)
    first = np.minimum(at.astype(int), few - 1)
    made = np.zeros((many, few), np.float32)
    made[np.arange(many), first] = 1 - (at - first)
    made[np.arange(many), np.minimum(first + 1, few - 1)] += at - first
    return made


def cells_box(masks: Masks) -> tuple[float, float, float, float]:
    """Where the valid cells lie, in pixels of the picture at `size`; the last ones may reach over its edge."""
    side, (rows, columns) = masks.logits.shape[-1], masks.valid
    (height, width), (high, wide) = masks.size, masks.input_size
    return 0.0, 0.0, columns * masks.square / side * width / wide, rows * masks.square / side * height / high


def stability_counts(masks: Masks) -> np.ndarray:
    """(4, 2) int: of each mask the cells with a logit above +1 and above -1; their ratio is its stability."""
    rows, columns = masks.valid
    part = masks.logits[:, :rows, :columns]
    counts = [(part > limit).sum(axis=(1, 2)) for limit in (STABILITY_OFFSET, -STABILITY_OFFSET)]
    return np.stack(counts, axis=1)


def inside_next(masks: Masks) -> dict[int, tuple[int, float]]:
    """{token: (the next larger of the three multimask masks, share of this one that lies in it)}; none for the largest.

    Areas and shares are counted in the logits' cells. An empty mask has no share.
    """
    rows, columns = masks.valid
    bits = {token: masks.logits[token, :rows, :columns] > 0 for token in (1, 2, 3)}
    order = sorted((token for token in bits if bits[token].any()), key=lambda token: int(bits[token].sum()))
    return {
        small: (large, float((bits[small] & bits[large]).sum() / bits[small].sum())) for small, large in pairwise(order)
    }
