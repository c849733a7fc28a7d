"""Why there are three masks: the four tokens of one answer beside each other (arXiv 2304.02643, section 3).

A click may mean a button, a shirt or the person. A single answer would average what cannot be averaged, so the
decoder has three multimask tokens, each free to take another level, and one token for prompts that leave no doubt.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from pipelines.segment.clicks import Click, first_click, intersection_over_union, next_click
from pipelines.segment.marks import Prompt
from pipelines.segment.masks import MULTIMASK, SINGLE, Masks

if TYPE_CHECKING:
    from pipelines.segment.prompt import Embedding


@dataclass(frozen=True)
class Rung:
    """One mask of the ladder. iou: predicted. stability, area: as in ``Masks``. true_iou: None without a truth."""

    token: int
    iou: float
    stability: float
    area: float
    true_iou: float | None


@dataclass(frozen=True)
class ClickStep:
    """One click of the simulated person and what came of it.

    spread: of the three masks. iou, true_iou: predicted and true one of the mask with the highest predicted IoU;
    best_true_iou: of the best of the three, so that a wrong ranking shows.
    """

    click: Click
    spread: float
    iou: float
    true_iou: float
    best_true_iou: float


def ladder(masks: Masks, truth: np.ndarray | None = None) -> tuple[Rung, ...]:
    """The multimask tokens from the smallest mask to the largest, then the single-mask token.

    Args:
        truth: (h, w) bool at ``masks.size`` or (H, W) at ``masks.full_size``, where the object is known.

    Raises:
        ValueError: a truth of another size.
    """
    order = (*sorted(MULTIMASK, key=lambda token: (masks.area[token], token)), SINGLE)
    return tuple(
        Rung(
            token=token,
            iou=float(masks.iou[token]),
            stability=float(masks.stability[token]),
            area=float(masks.area[token]),
            true_iou=None if truth is None else true_iou(masks, token, truth),
        )
        for token in order
    )


def true_iou(masks: Masks, token: int, truth: np.ndarray) -> float:
    """Jaccard index of one mask and the truth, at the truth's size: ``masks.size`` or ``masks.full_size``.

    Raises:
        ValueError: a truth of another size.
    """
    if truth.shape not in (masks.size, masks.full_size):
        raise ValueError(f"expected a truth of {masks.size} or {masks.full_size}, got {truth.shape}")
    return intersection_over_union(masks.mask(token, full=truth.shape == masks.full_size), truth)


def spread(masks: Masks) -> float:
    """How much the three multimask masks differ: the mean of 1 - IoU over their three pairs.

    0: all the same (two empty masks count as the same); 1: none overlaps another. Counted in the logits' own cells,
    on the part that lies on the picture, at threshold 0.
    """
    parts = [masks.part(token) > 0 for token in MULTIMASK]
    return float(np.mean([1 - intersection_over_union(one, other) for one, other in combinations(parts, 2)]))


def click_steps(model, embedding: "Embedding", truth: np.ndarray, *, count: int = 5) -> Iterator[ClickStep]:
    """Click as the simulated person does (``clicks.py``) and yield how the three masks draw together.

    Each click is answered with the logits of the best mask before as a further prompt. Ends early when the shown
    mask equals the truth. Nothing runs between two items.

    Args:
        model, embedding: as for ``predict``.
        truth: (H, W) bool at the embedding's ``full_size``, at least one pixel set.
        count: clicks, at least 1.

    Raises:
        ValueError: a truth of another size, or an empty one.
    """
    from pipelines.segment.prompt import predict  # imports torch; the ladder of a stored answer needs none

    if truth.shape != embedding.full_size or not truth.any():
        raise ValueError(f"expected a truth of {embedding.full_size} with a pixel set, got {truth.shape}")
    clicks, previous, click = [], None, first_click(truth)
    for _ in range(count):
        clicks.append(click)
        masks = predict(model, embedding, Prompt(tuple(clicks), previous=previous))
        ious = {token: true_iou(masks, token, truth) for token in MULTIMASK}
        yield ClickStep(click, spread(masks), float(masks.iou[masks.best]), ious[masks.best], max(ious.values()))
        previous, click = masks.as_prompt(masks.best), next_click(masks.mask(masks.best, full=True), truth)
        if click is None:
            return
