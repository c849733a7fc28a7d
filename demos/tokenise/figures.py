"""How well a grid of codes keeps its picture, and what it costs, in the few numbers that the page shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Figures:
    """Of the grid as it is now. rows, columns: of tokens. bits: that one token takes. bytes: of all, packed.

    size: (H, W) pixels. psnr_db, ssim: against the picture that was encoded, None where there is none. edited: cells
    whose code is not the one that the grid began with.
    """

    rows: int
    columns: int
    bits: int
    bytes: int
    size: tuple[int, int]
    psnr_db: float | None
    ssim: float | None
    edited: int = 0

    @property
    def ratio(self) -> float:
        """How many times more bytes the pixels take, at three a pixel."""
        return 3 * self.size[0] * self.size[1] / self.bytes


def measured(
    indices: np.ndarray, pixels: np.ndarray, *, codes: int, original: np.ndarray | None, edited: int = 0
) -> Figures:
    """indices: (h, w). pixels: (H, W, 3) uint8, what they paint. original: the picture, of the same shape, or None."""
    from pipelines.tokenise import compare
    from pipelines.tokenise.tokens import bits_of, packed_bytes

    return Figures(
        rows=indices.shape[0],
        columns=indices.shape[1],
        bits=bits_of(codes),
        bytes=packed_bytes(indices.size, codes),
        size=pixels.shape[:2],
        psnr_db=None if original is None else compare.psnr_db(original, pixels),
        ssim=None if original is None else compare.ssim(original, pixels),
        edited=edited,
    )
