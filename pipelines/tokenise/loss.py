"""Where a reconstruction loses: in the narrow middle of the autoencoder, and by rounding its latents to codes.

A picture x is decoded twice: u from the latents as the encoder gave them, q from the nearest codes. Then

    mean (x - q)^2 = mean (x - u)^2 + mean (u - q)^2 + 2 mean (x - u)(u - q)

The first is what the bottleneck lost, the second what rounding changed; the third says whether both went the same way
in the same places, and may be negative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.tokenise.compare import psnr_db

if TYPE_CHECKING:
    from pipelines.tokenise.models import TokeniseModel
    from pipelines.tokenise.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Loss:
    """A picture beside itself decoded with and without codes.

    original, unquantised, quantised: (H, W, 3) uint8. unquantised_error, quantised_error: (H, W) float32, root mean
    square difference from the original over the three channels of a pixel, in 0..255. bottleneck, rounding, cross:
    the three summands, mean squares over pixels and channels, of values in 0..255; cross with its factor 2.
    """

    original: np.ndarray
    unquantised: np.ndarray
    quantised: np.ndarray
    unquantised_error: np.ndarray
    quantised_error: np.ndarray
    bottleneck: float
    rounding: float
    cross: float

    @property
    def total(self) -> float:
        """Mean squared error of the quantised picture."""
        return self.bottleneck + self.rounding + self.cross

    @property
    def share(self) -> float:
        """Share of that error that was not there before rounding; negative where rounding helped, NaN without error."""
        return 1 - self.bottleneck / self.total if self.total else math.nan

    @property
    def unquantised_psnr(self) -> float:
        """In dB; infinite where nothing was lost."""
        return psnr_db(self.original, self.unquantised)

    @property
    def quantised_psnr(self) -> float:
        """In dB."""
        return psnr_db(self.original, self.quantised)


def loss(model: TokeniseModel, tokens: Tokens) -> Loss:
    """Decode a picture's latents and its codes, and split the error between them.

    Args:
        tokens: of the picture, by this model.

    Raises:
        UserError: as ``code.decode``.
    """
    from pipelines.tokenise import code  # brings the model libraries, which `split` does without

    size = tokens.size
    return split(
        tokens.pixels,
        unquantised=code.decode_latents(model, tokens.latents, size=size),
        quantised=code.decode(model, tokens.indices, size=size),
    )


def split(original: np.ndarray, *, unquantised: np.ndarray, quantised: np.ndarray) -> Loss:
    """The three summands of the squared error, exactly, of three (H, W, 3) uint8 pictures."""
    x, u, q = (pixels.astype(np.float64) for pixels in (original, unquantised, quantised))
    return Loss(
        original=original,
        unquantised=unquantised,
        quantised=quantised,
        unquantised_error=_error(x, u),
        quantised_error=_error(x, q),
        bottleneck=float(np.square(x - u).mean()),
        rounding=float(np.square(u - q).mean()),
        cross=float(2 * ((x - u) * (u - q)).mean()),
    )


def _error(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(x - y).mean(axis=2)).astype(np.float32)
