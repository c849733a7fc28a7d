"""A hole in a grid of codes of any size, filled by a second stage that sees squares of one size (arXiv 2202.04200).

The bundled stage knows 16 x 16 codes. A larger grid is seen through windows of that size which overlap by half, so
that no place has its neighbours hidden behind a seam; all windows that touch the hole are asked in each step, and
where they overlap their log-probabilities are averaged. The schedule, the drawing and the order run over the whole
hole at once, as if one transformer had seen it all.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from pipelines.runtime.errors import UserError
from pipelines.tokenise.code import decode_latents
from pipelines.tokenise.models import TokeniseModel
from pipelines.tokenise.second_stage import SecondStage, commit, hidden_counts

MOST_STEPS = 64
MOST_TEMPERATURE = 2.0
MOST_GUIDANCE = 10.0
MOST_SEED = 2**32 - 1
MOST_LETTERS = 200
MOST_LOGITS = 2**24  # in one batch of windows: 64 MB


@dataclass(frozen=True, eq=False)
class Filling:
    """One step; arrays (h, w) of the whole grid.

    indices: int32, ``hidden`` where nothing is committed yet. committed: bool, in this step. confidence: float32,
    probability of each code that was committed in this step, 0 elsewhere. entropy: float32, in bits, of the places
    that were hidden before the step, 0 elsewhere. step: from 1. left: how many places are still hidden.
    """

    indices: np.ndarray
    committed: np.ndarray
    confidence: np.ndarray
    entropy: np.ndarray
    step: int
    steps: int
    left: int
    hidden: int


def fill(
    stage: SecondStage,
    indices: np.ndarray,
    hole: np.ndarray,
    *,
    condition: np.ndarray | None = None,
    guidance: float = 1.0,
    steps: int = 12,
    temperature: float = 1.0,
    seed: int = 0,
) -> Iterator[Filling]:
    """Fill the hole of a grid step by step; closing the iterator stops it. The same seed gives the same codes.

    A grid smaller than the stage's square lies in the middle of one whose other codes stay hidden. On a grid of just
    that square it is ``second_stage.fill``, to the bit.

    Args:
        stage: as ``second_stage.load`` gives it.
        indices: (h, w) integers, codes of the stage's tokeniser; what stands in the hole is not looked at.
        hole: (h, w) bool; all True: a picture from nothing; all False: one step that changes nothing.
        condition: what ``read`` made of a text, (D,) float32 of unit length for the bundled stage, or None.
        guidance: how far beyond what the condition alone says: logits_without + guidance (logits_with -
            logits_without) (2207.12598). 1: the condition alone; without a condition it does nothing.
        steps: 1 to 64, of the cosine schedule; a hole of fewer places takes as many steps as it has places.
        temperature: 0 to 2, of the drawing and of the noise on the order, which fades out; 0: the likeliest codes.
        seed: 0 to 2**32 - 1.

    Raises:
        UserError: ``errors.fill_grid``, ``errors.fill_codes``, ``errors.fill_steps``, ``errors.fill_temperature``,
            ``errors.fill_guidance``, ``errors.fill_seed``, ``errors.model_not_finite``.
    """
    grid, hole = _checked(stage, indices, hole)
    check_settings(steps=steps, temperature=temperature, guidance=guidance, seed=seed)
    return _steps(stage, grid, hole, condition, guidance, steps, temperature, seed)


def check_settings(*, steps: int, temperature: float, guidance: float, seed: int) -> None:
    """Raises UserError for a number out of the ranges of ``fill``, or none at all."""
    if not _between(steps, 1, MOST_STEPS) or steps != int(steps):
        raise UserError("errors.fill_steps", most=MOST_STEPS)
    if not _between(temperature, 0, MOST_TEMPERATURE):
        raise UserError("errors.fill_temperature", most=f"{MOST_TEMPERATURE:g}")
    if not _between(guidance, 0, MOST_GUIDANCE):
        raise UserError("errors.fill_guidance", most=f"{MOST_GUIDANCE:g}")
    if not _between(seed, 0, MOST_SEED) or seed != int(seed):
        raise UserError("errors.fill_seed", most=MOST_SEED)


def windows(length: int, side: int) -> list[int]:
    """Where windows begin along a grid: half of one overlaps the next, the last is shifted inwards. length >= side."""
    step = max(1, side // 2)
    return [*range(0, length - side, step), length - side]


def read(clip, text: str) -> np.ndarray:
    """The condition that a name or sentence gives: (D,) float32 of unit length, where a CLIP reads it.

    clip: the loaded model that ``SecondStage.reader`` names.

    Raises:
        UserError: ``errors.fill_text``.
    """
    from pipelines.zero_shot.classify import encode_labels

    text = text.strip()
    if not 0 < len(text) <= MOST_LETTERS:
        raise UserError("errors.fill_text", most=MOST_LETTERS)
    if hasattr(clip, "read"):  # a stage that brings its own text encoder (amused.py)
        return clip.read(text)
    return encode_labels(clip, (text,)).features[0]


def so_far(model: TokeniseModel, filling: Filling, *, size: tuple[int, int]) -> np.ndarray:
    """The picture of a step: (H, W, 3) uint8. A hidden place is decoded from the mean of all codes.

    model: the stage's tokeniser. size: (H, W), as ``code.decode`` takes it.

    Raises:
        UserError: as ``code.decode``.
    """
    codebook = model.module.quantize.embedding.weight.detach().float().cpu().numpy()
    vectors = np.vstack([codebook, codebook.mean(axis=0)])
    return decode_latents(model, vectors[filling.indices], size=size)


def _between(value, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _checked(stage: SecondStage, indices: np.ndarray, hole: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Grid (int64) and hole as tensors. Raises UserError."""
    indices, hole = np.asarray(indices), np.asarray(hole)
    if indices.ndim != 2 or not indices.size or hole.shape != indices.shape or indices.dtype.kind not in "iu":
        raise UserError("errors.fill_grid", grid=str(indices.shape), hole=str(hole.shape))
    kept = indices[~hole.astype(bool)]
    if len(kept) and not 0 <= int(kept.min()) <= int(kept.max()) < stage.codes:
        raise UserError("errors.fill_codes", most=stage.codes - 1)
    return torch.from_numpy(indices.astype(np.int64)), torch.from_numpy(hole.astype(bool))


def _steps(stage, grid, hole, condition, guidance, steps, temperature, seed) -> Iterator[Filling]:
    feature = None if condition is None else torch.from_numpy(np.asarray(condition, np.float32))
    count = int(hole.sum())
    steps = min(int(steps), max(count, 1))

    def logits_of(current: torch.Tensor) -> torch.Tensor:
        return _seen_through_windows(stage, current, feature, guidance)

    current = torch.where(hole, stage.codes, grid).to(stage.device)
    random = torch.Generator().manual_seed(int(seed))
    made = commit(logits_of, current, hidden=stage.codes, steps=steps, temperature=temperature, random=random)
    for step, (one, left) in enumerate(zip(made, hidden_counts(count, steps), strict=True), start=1):
        yield Filling(
            one.indices.numpy().astype(np.int32),
            one.committed.numpy(),
            one.confidence.numpy(),
            one.entropy.numpy(),
            step,
            steps,
            left,
            stage.codes,
        )


@torch.inference_mode()
def _seen_through_windows(stage, current: torch.Tensor, feature, guidance: float) -> torch.Tensor:
    """Logits (h, w, codes) of a grid (h, w), averaged over the windows; zero where no window was asked.

    The mean of logits gives the same shares as the mean of log-probabilities: they differ by one number a place.
    """
    padded, (top, left) = _in_the_middle(current, stage)
    total = torch.zeros(*padded.shape, stage.codes, device=current.device)
    seen = torch.zeros(padded.shape, device=current.device)
    hidden = torch.zeros_like(padded, dtype=torch.bool)
    hidden[top : top + current.shape[0], left : left + current.shape[1]] = current == stage.codes
    places = [
        (slice(row, row + stage.side), slice(column, column + stage.side))
        for row in windows(padded.shape[0], stage.side)
        for column in windows(padded.shape[1], stage.side)
    ]
    touched = [place for place in places if hidden[place].any()]
    at_once = max(1, MOST_LOGITS // (stage.side**2 * stage.codes))
    for first in range(0, len(touched), at_once):
        batch = touched[first : first + at_once]
        for place, logits in zip(
            batch, _logits(stage, torch.stack([padded[place] for place in batch]), feature, guidance), strict=True
        ):
            total[place] += logits
            seen[place] += 1
    mean = total / seen.clamp_min(1)[..., None]
    if not torch.isfinite(mean).all():
        raise UserError("errors.model_not_finite", model=stage.id)
    return mean[top : top + current.shape[0], left : left + current.shape[1]]


def _logits(stage, grids: torch.Tensor, feature, guidance: float) -> torch.Tensor:
    if feature is None or guidance == 1:
        return stage.logits(grids, feature)
    without = stage.logits(grids, None)
    return without + guidance * (stage.logits(grids, feature) - without)


def _in_the_middle(current: torch.Tensor, stage) -> tuple[torch.Tensor, tuple[int, int]]:
    """The grid, in the middle of hidden codes where it is smaller than a window, and its corner (row, column)."""
    missing = [max(0, stage.side - length) for length in current.shape]
    top, left = (count // 2 for count in missing)
    sizes = [length + count for length, count in zip(current.shape, missing, strict=True)]
    padded = torch.full(sizes, stage.codes, dtype=current.dtype, device=current.device)
    padded[top : top + current.shape[0], left : left + current.shape[1]] = current
    return padded, (top, left)
