"""One token under the knife: how well its code fits, its patch alone, how far it reaches, and edits of a grid.

Grids are (h, w) int32 arrays of codebook indices on the CPU; a region is (top, left, bottom, right) in cells, the last
two not included. Edits give a new grid and leave the one they were given alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pipelines.runtime.errors import UserError
from pipelines.tokenise.code import computed, decode_exact
from pipelines.tokenise.models import TokeniseModel, codes_of, pictures_of

if TYPE_CHECKING:
    from pipelines.tokenise.code import Tokens

Region = tuple[int, int, int, int]
AROUND = 4  # cells on each side of a token that its looks in the picture depend on; traces come from farther off
BATCH = 256  # cells that are decoded at once, or codes whose distances to all others are held at once
REACH = 0.99  # share of a token's change that lies within its reach
SEEN = 1.0  # of 255: a change that a picture of 8 bits can show
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True, eq=False)
class Fit:
    """How the code at a place fits what the encoder said there, in Euclidean distance.

    distance: of the code that stands there from the latent. best: index of the nearest code; best_distance: its
    distance. second: distance of the next nearest one. rank: how many codes lie nearer than the one that stands there,
    0 for the nearest. typical: median of the distances that the picture's own codes have.
    """

    distance: float
    best: int
    best_distance: float
    second: float
    rank: int
    typical: float

    @property
    def margin(self) -> float:
        """By how much the nearest code beats the next one."""
        return self.second - self.best_distance


@dataclass(frozen=True, eq=False)
class Token:
    """One place of a grid, looked at.

    uses: (n, 2) int32, row and column of every place with this index, this one among them. nearest: (k,) int32, the
    codes nearest to this code, itself left out; distances: (k,) float32, theirs from it. patch: (cell, cell, 3) uint8,
    this code decoded alone; neighbours: (k, cell, cell, 3) uint8, the nearest ones. here: (1 + k, cell, cell, 3) uint8,
    this code and the nearest ones as they look at this place of the grid. fit: None where no picture stands behind the
    grid, so that the encoder said nothing.
    """

    row: int
    column: int
    index: int
    fit: Fit | None
    uses: np.ndarray
    nearest: np.ndarray
    distances: np.ndarray
    patch: np.ndarray
    neighbours: np.ndarray
    here: np.ndarray


@dataclass(frozen=True, eq=False)
class Footprint:
    """What changes in the picture when one token is replaced.

    change: (H, W) float32, mean absolute difference over the channels, in 0..255, before rounding. other: the index
    that was put there. inside: share of the change within the token's own cell; around: within it and its eight
    neighbours. Radii from the middle of the cell: reach_px, of the disc that holds 99 % of the change; seen_px, of the
    farthest pixel that changes by ``SEEN`` or more. before, after: (H, W, 3) uint8.
    """

    change: np.ndarray
    row: int
    column: int
    other: int
    inside: float
    around: float
    reach_px: float
    seen_px: float
    before: np.ndarray
    after: np.ndarray


def codebook_of(model: TokeniseModel) -> np.ndarray:
    """The codebook's vectors: (codes, D) float32."""
    return model.module.quantize.embedding.weight.detach().float().cpu().numpy()


def look(
    model: TokeniseModel, tokens: Tokens | None, indices: np.ndarray, row: int, column: int, *, nearest: int = 8
) -> Token:
    """Look at one token of a grid as it stands now, edited or not.

    Args:
        tokens: the picture's, for what the encoder said; None where no picture stands behind the grid.
        indices: (h, w) int32.
        nearest: how many neighbours, at most one less than there are codes.

    Raises:
        UserError: ``errors.token_outside``, ``errors.model_not_finite``.
    """
    _check_place(indices, row, column)
    index, book = int(indices[row, column]), codebook_of(model)
    order, distances = _by_distance(book, book[index], without=index)
    order, distances = order[:nearest], distances[:nearest]
    shown = np.concatenate([[index], order])
    pictures = patches(model, shown)
    return Token(
        row=row,
        column=column,
        index=index,
        fit=None if tokens is None else _fit(book, tokens, index, row, column),
        uses=np.argwhere(indices == index).astype(np.int32),
        nearest=order,
        distances=distances,
        patch=pictures[0],
        neighbours=pictures[1:],
        here=in_place(model, indices, row, column, codes=shown),
    )


def _fit(book: np.ndarray, tokens: Tokens, index: int, row: int, column: int) -> Fit:
    order, distances = _by_distance(book, tokens.latents[row, column])
    rank = int(np.flatnonzero(order == index)[0])
    own = np.linalg.norm(tokens.latents - book[tokens.indices], axis=-1)
    return Fit(
        distance=float(distances[rank]),
        best=int(order[0]),
        best_distance=float(distances[0]),
        second=float(distances[1]) if len(order) > 1 else float("inf"),
        rank=rank,
        typical=float(np.median(own)),
    )


def _by_distance(book: np.ndarray, vector: np.ndarray, *, without: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the codes, the nearest to a vector first, and their distances; (n,) int32 and (n,) float32."""
    distances = np.linalg.norm(book.astype(np.float64) - vector, axis=1)
    order = np.argsort(distances, kind="stable")
    order = order if without is None else order[order != without]
    return order.astype(np.int32), distances[order].astype(np.float32)


@torch.inference_mode()
def patches(model: TokeniseModel, codes: np.ndarray) -> np.ndarray:
    """Each code decoded alone, as a grid of one token: (n,) integers to (n, cell, cell, 3) uint8.

    In a picture a token looks different: the decoder's convolutions mix it with its neighbours, and its group
    normalisation (arXiv 1803.08494) takes mean and variance over the whole extent, which here is this one token.

    Raises:
        UserError: ``errors.model_not_finite``.
    """
    indices, found = torch.from_numpy(np.asarray(codes, np.int64)), []
    for some in indices.split(BATCH):
        found.append(_bytes(_pictures(model, some[:, None, None])))
    return np.concatenate(found) if found else np.zeros((0, model.cell, model.cell, 3), np.uint8)


@torch.inference_mode()
def in_place(model: TokeniseModel, indices: np.ndarray, row: int, column: int, *, codes: np.ndarray) -> np.ndarray:
    """What each code would paint at one place of a grid, among the tokens that stand around it.

    Decoded are windows of up to 9 x 9 tokens, not the whole grid: what lies farther off shifts colours by a trace.

    Args:
        indices: (h, w) int32.
        codes: (n,) integers.

    Returns:
        (n, cell, cell, 3) uint8.
    """
    top, left, cell = max(0, row - AROUND), max(0, column - AROUND), model.cell
    window = indices[top : row + AROUND + 1, left : column + AROUND + 1].astype(np.int64)
    windows = np.repeat(window[None], len(codes), axis=0)
    windows[:, row - top, column - left] = codes
    y, x = (row - top) * cell, (column - left) * cell
    return _bytes(_pictures(model, torch.from_numpy(windows))[:, :, y : y + cell, x : x + cell])


def difference(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Mean absolute difference over the channels of two (H, W, 3) pictures in 0..255: (H, W) float32."""
    return np.abs(after.astype(np.float32) - before.astype(np.float32)).mean(axis=2)


def footprint(
    model: TokeniseModel, indices: np.ndarray, row: int, column: int, *, other: int, size: tuple[int, int]
) -> Footprint:
    """Put another code at one place, decode both grids whole, and see what changes: a token is not a patch.

    Convolutions carry it some cells far. Normalisation over the whole extent (and attention, where a model has it)
    carries a trace of it everywhere, which is why 99 % of the change lie in a much larger disc than what can be seen.

    Args:
        indices: (h, w) int32.
        other: the index to put there.
        size: (H, W) of the picture in pixels; padding beyond it is not counted.

    Raises:
        UserError: ``errors.token_outside``; as ``code.decode``.
    """
    _check_place(indices, row, column)
    edited = indices.copy()
    edited[row, column] = other
    before, after = (decode_exact(model, grid, size=size) for grid in (indices, edited))
    change = difference(before, after)
    shares = [_share(change, row, column, cell=model.cell, cells=cells) for cells in (0, 1)]
    y, x = np.indices(change.shape) + 0.5  # the middles of the pixels
    radius = np.hypot(y - (row + 0.5) * model.cell, x - (column + 0.5) * model.cell)
    reach, seen = _reach(change, radius), float(radius[change >= SEEN].max(initial=0.0))
    rounded = (np.round(pixels).astype(np.uint8) for pixels in (before, after))
    return Footprint(change, row, column, int(other), *shares, reach, seen, *rounded)


def _share(change: np.ndarray, row: int, column: int, *, cell: int, cells: int) -> float:
    """Share of the change that lies in a cell and in as many cells around it; 0 where nothing changes."""
    rows, columns = (slice(max(0, place - cells) * cell, (place + cells + 1) * cell) for place in (row, column))
    total = change.sum(dtype=np.float64)
    return float(change[rows, columns].sum(dtype=np.float64) / total) if total else 0.0


def _reach(change: np.ndarray, radius: np.ndarray) -> float:
    """The smallest radius that holds 99 % of the change; 0 where nothing changes."""
    order = np.argsort(radius, axis=None)
    held = np.cumsum(change.ravel()[order], dtype=np.float64)
    if held[-1] == 0:
        return 0.0
    return float(radius.ravel()[order[np.searchsorted(held, REACH * held[-1])]])


def _pictures(model: TokeniseModel, grids: torch.Tensor) -> torch.Tensor:
    """Grids (B, h, w) int64 to (B, 3, H, W) float32 around 0..1."""
    return computed(model, pictures_of, codes_of(model.module, grids.to(model.device)).float())


def _bytes(pictures: torch.Tensor) -> np.ndarray:
    """(B, 3, H, W) around 0..1 to (B, H, W, 3) uint8."""
    return pictures.clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


# --- edits ---


def shuffled(indices: np.ndarray, *, seed: int, region: Region | None = None) -> np.ndarray:
    """The same tokens in another order: a permutation of those in the region, or of all.

    Raises:
        UserError: ``errors.token_region``, ``errors.token_seed``.
    """
    draw = _generator(seed)
    return _edited(indices, region, lambda part: draw.permutation(part.ravel()).reshape(part.shape))


def randomised(indices: np.ndarray, codes: int, *, seed: int, region: Region | None = None) -> np.ndarray:
    """Random codes in the region, or everywhere; each of the ``codes`` is as likely. Raises as ``shuffled``."""
    draw = _generator(seed)
    return _edited(indices, region, lambda part: draw.integers(codes, size=part.shape))


def nearest_kth(model: TokeniseModel, indices: np.ndarray, k: int, *, region: Region | None = None) -> np.ndarray:
    """Every token in the region replaced by the k-th nearest other code; k = 0 leaves it.

    Raises:
        UserError: ``errors.token_nearest``: k is not among 0 to codes - 1; ``errors.token_region``.
    """
    if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k < model.codes:
        raise UserError("errors.token_nearest", k=str(k)[:20], last=model.codes - 1)
    book = torch.from_numpy(codebook_of(model))

    def replaced(part: np.ndarray) -> np.ndarray:
        held, where = np.unique(part, return_inverse=True)
        return _kth(book, torch.from_numpy(held.astype(np.int64)), k)[where].reshape(part.shape)

    return _edited(indices, region, replaced)


def _kth(book: torch.Tensor, held: torch.Tensor, k: int) -> np.ndarray:
    """The k-th nearest code of each: (n,) int64. A code is always its own nearest, also beside an equal one."""
    found = []
    for some in held.split(BATCH):
        distances = torch.cdist(book[some].double(), book.double())
        distances[torch.arange(len(some)), some] = -1
        found.append(distances.kthvalue(k + 1, dim=1).indices)
    return torch.cat(found).numpy()


def swapped(a: np.ndarray, b: np.ndarray, region: Region | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Two grids of one shape with the tokens of the region, or all of them, exchanged.

    Raises:
        UserError: ``errors.token_region``.
        ValueError: the grids differ in shape.
    """
    if a.shape != b.shape:
        raise ValueError(f"grids of one shape are swapped, got {a.shape} and {b.shape}")
    rows, columns = _slices(a, region)
    return _edited(a, region, lambda _: b[rows, columns]), _edited(b, region, lambda _: a[rows, columns])


def _edited(indices: np.ndarray, region: Region | None, edit) -> np.ndarray:
    """A copy in which the region is what ``edit`` makes of it."""
    place, made = _slices(indices, region), indices.astype(np.int32)
    made[place] = edit(made[place])
    return made


def _slices(indices: np.ndarray, region: Region | None) -> tuple[slice, slice]:
    """The region's place. Raises UserError where it is empty or not within the grid."""
    rows, columns = indices.shape
    top, left, bottom, right = region if region is not None else (0, 0, rows, columns)
    if not (0 <= top < bottom <= rows and 0 <= left < right <= columns):
        raise UserError("errors.token_region", rows=rows, columns=columns)
    return slice(top, bottom), slice(left, right)


def _check_place(indices: np.ndarray, row: int, column: int) -> None:
    rows, columns = indices.shape
    if not (0 <= row < rows and 0 <= column < columns):
        raise UserError("errors.token_outside", row=row, column=column, rows=rows, columns=columns)


def _generator(seed: int) -> np.random.Generator:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise UserError("errors.token_seed", seed=str(seed)[:20], last=LARGEST_SEED)
    return np.random.default_rng(seed)
