"""A picture as integers: the grid, its bytes, what a grid must be. Importing this needs no torch."""

from dataclasses import dataclass

import numpy as np

from pipelines.runtime.errors import UserError

MOST_TOKENS = 65_536  # of one picture: 2,048 px a side at 8 px a token
MOST_SIDE = 2_048  # tokens in a row or column: no picture is longer than 16,384 px


@dataclass(frozen=True, eq=False)
class Tokens:
    """A picture as integers.

    indices: (h, w) int32. latents: (h, w, D) float32, what the encoder said before a code was chosen. pixels:
    (H, W, 3) uint8, what was encoded. padded: (bottom, right), pixels added to reach whole cells. tiles: (rows,
    columns) in which it went through; (1, 1): whole. cell: side of the square that a token covers, in pixels. codes:
    size of the codebook. picture_key: of the picture (``pictures.content_key``). ms: of encoding.
    """

    indices: np.ndarray
    latents: np.ndarray
    pixels: np.ndarray
    padded: tuple[int, int]
    tiles: tuple[int, int]
    cell: int
    codes: int
    model_id: str
    picture_key: str
    ms: float

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the picture."""
        return self.pixels.shape[:2]

    @property
    def bytes(self) -> int:
        """Bytes of the packed indices."""
        return packed_bytes(self.indices.size, self.codes)


def bits_of(codes: int) -> int:
    """Bits that one index of a codebook needs; a codebook of one code takes one."""
    return max(1, (codes - 1).bit_length())


def packed_bytes(tokens: int, codes: int) -> int:
    """Bytes of so many indices, each in as many bits as the codebook needs."""
    return -(-tokens * bits_of(codes) // 8)


def grid_of(size: tuple[int, int], cell: int) -> tuple[int, int]:
    """(h, w) tokens that cover a picture of (H, W) pixels."""
    return -(-size[0] // cell), -(-size[1] // cell)


def check_indices(indices: np.ndarray, *, codes: int) -> np.ndarray:
    """The grid as int32, when it is one: two axes, whole numbers, each a code of the codebook.

    Raises:
        UserError: ``errors.tokens_grid``, ``errors.tokens_many``, ``errors.token_index``.
    """
    indices = np.asarray(indices)
    if indices.ndim != 2 or indices.size == 0 or indices.dtype.kind not in "iu":
        raise UserError("errors.tokens_grid")
    check_count(indices.shape)
    outside = np.argwhere((indices < 0) | (indices >= codes))
    if len(outside):
        row, column = outside[0]
        found = int(indices[row, column])
        raise UserError("errors.token_index", index=found, row=int(row) + 1, column=int(column) + 1, last=codes - 1)
    return indices.astype(np.int32)


def check_count(grid: tuple[int, int]) -> None:
    """Raises UserError ``errors.tokens_many``, ``errors.tokens_long`` for a grid (h, w) that no picture may have."""
    if grid[0] * grid[1] > MOST_TOKENS:
        raise UserError("errors.tokens_many", rows=grid[0], columns=grid[1], most=MOST_TOKENS)
    if max(grid) > MOST_SIDE:
        raise UserError("errors.tokens_long", rows=grid[0], columns=grid[1], most=MOST_SIDE)
