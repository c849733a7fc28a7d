"""The codebook as a whole: which codes are used, how evenly, and all of them laid out as a map."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.runtime.pictures import open_picture
from pipelines.runtime.principal import directions
from pipelines.tokenise.code import encode, prepared
from pipelines.tokenise.models import TokeniseModel
from pipelines.tokenise.surgery import BATCH, codebook_of, patches

FIXED_PX = 256  # longer side of the pictures of the fixed set
NOTHING = -1  # in the map, where there are fewer codes than places


@dataclass(frozen=True, eq=False)
class Usage:
    """How often each code occurs in some grids.

    counts: (codes,) int64. tokens: their sum. perplexity: see ``usage``. dead: (n,) int32, codes that do not occur
    in these grids; over other pictures they may.
    """

    counts: np.ndarray
    tokens: int
    perplexity: float
    dead: np.ndarray

    @property
    def codes(self) -> int:
        """Size of the codebook."""
        return len(self.counts)

    @property
    def used(self) -> int:
        """How many codes occur."""
        return self.codes - len(self.dead)


@dataclass(frozen=True, eq=False)
class Counted:
    """One picture of the fixed set. indices: (h, w) int32; done: how many pictures so far, this one included."""

    indices: np.ndarray
    done: int
    total: int


def usage(grids: Iterable[np.ndarray], codes: int) -> Usage:
    """Count codes over grids of indices.

    The perplexity is exp(-sum p ln p) over the shares p of the codes (as in arXiv 1711.00937's implementation): that
    many equally frequent codes would have the same entropy. It depends on the sample: n tokens have at most n.

    Args:
        grids: (h, w) integers each, of any size.
        codes: size of the codebook.

    Raises:
        ValueError: no token, or an index that is not in the codebook.
    """
    counts = np.zeros(codes, np.int64)
    for grid in grids:
        if grid.size and not (grid.min() >= 0 and grid.max() < codes):
            raise ValueError(f"indices must be in 0..{codes - 1}, got {grid.min()}..{grid.max()}")
        counts += np.bincount(grid.ravel(), minlength=codes)
    tokens = int(counts.sum())
    if not tokens:
        raise ValueError("no tokens to count")
    shares = counts[counts > 0] / tokens
    perplexity = math.exp(-float((shares * np.log(shares)).sum()))
    return Usage(counts, tokens, perplexity, np.flatnonzero(counts == 0).astype(np.int32))


def fixed_set(model: TokeniseModel, paths: Iterable[Path], *, longest: int = FIXED_PX) -> Iterator[Counted]:
    """Encode pictures one by one, shrunk to `longest` px on the longer side, for ``usage`` to count over.

    Raises:
        UserError: as ``open_picture`` and ``encode``.
    """
    paths = list(paths)
    for done, path in enumerate(paths, start=1):
        pixels = prepared(open_picture(path).pixels, longest=longest)
        yield Counted(encode(model, pixels).indices, done, len(paths))


def layout(model: TokeniseModel) -> np.ndarray:
    """All codes on a rectangle, each once, like codes near one another: (rows, columns) int32.

    By the codebook's two principal components: sorted by the first and cut into columns, each column sorted by the
    second. Places that are left over at the end hold -1.
    """
    vectors = codebook_of(model)
    return arranged(directions(vectors).places(vectors)[:, :2])


def explained(model: TokeniseModel) -> float:
    """The share of the codes' variance that the two components of the map hold, 0..1."""
    return float(directions(codebook_of(model)).explained[:2].sum())


def arranged(places: np.ndarray) -> np.ndarray:
    """Points in the plane to the cells of a rectangle, as ``layout`` says: (n, 2) to (rows, columns) int32."""
    rows, columns = extent(len(places))
    grid = np.full((rows, columns), NOTHING, np.int32)
    by_first = np.argsort(places[:, 0], kind="stable")
    for column in range(columns):
        some = by_first[column * rows : (column + 1) * rows]
        grid[: len(some), column] = some[np.argsort(places[some, 1], kind="stable")]
    return grid


def extent(codes: int) -> tuple[int, int]:
    """(rows, columns) that hold so many codes: without a place left over where the sides stay within 1 : 2.5."""
    side = math.isqrt(codes)
    rows = next(n for n in range(side, 0, -1) if codes % n == 0)
    if codes <= 2.5 * rows * rows:
        return rows, codes // rows
    columns = math.ceil(math.sqrt(codes))
    return -(-codes // columns), columns


def painted(model: TokeniseModel) -> Iterator[np.ndarray]:
    """Every code decoded alone, in the order of their indices, some at a time: (n, cell, cell, 3) uint8 each."""
    for first in range(0, model.codes, BATCH):
        yield patches(model, np.arange(first, min(first + BATCH, model.codes)))


def sheet(model: TokeniseModel, places: np.ndarray | None = None) -> np.ndarray:
    """The map as a picture, a patch a code: (rows * cell, columns * cell, 3) uint8; white where there is none.

    places: from ``layout``, which is asked where it is left out.
    """
    places = layout(model) if places is None else places
    return assembled(np.concatenate(list(painted(model))), places)


def assembled(pictures: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Patches of all codes (codes, cell, cell, 3) at their places of a map (rows, columns)."""
    cell = pictures.shape[1]
    white = np.full((1, cell, cell, 3), 255, np.uint8)
    tiles = np.concatenate([pictures, white])[places]  # index -1: the white one
    rows, columns = places.shape
    return tiles.swapaxes(1, 2).reshape(rows * cell, columns * cell, 3)
