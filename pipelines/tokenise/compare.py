"""How near a picture comes back: PSNR, SSIM, and JPEG and WebP at the same number of bytes."""

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

WINDOW = 11  # pixels, of the Gaussian window of SSIM
SIGMA = 1.5
SCALES = (1.0, 0.84, 0.7, 0.59, 0.5, 0.42, 0.35, 0.25)  # a codec may shrink the picture first
LANCZOS = Image.Resampling.LANCZOS


@dataclass(frozen=True, eq=False)
class Coded:
    """A picture out of a codec. pixels: (H, W, 3) uint8; scale: by which it was shrunk before coding."""

    pixels: np.ndarray
    bytes: int
    quality: int
    scale: float


def psnr_db(pixels: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 pictures of one shape, in dB; infinite when they are equal."""
    error = np.square(pixels.astype(np.float64) - other.astype(np.float64)).mean()
    return 10 * math.log10(255**2 / error) if error else math.inf


def ssim(pixels: np.ndarray, other: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004, equation 13), mean over channels and over all whole windows.

    pixels, other: (H, W, 3) uint8, sides of at least 11 pixels. Gaussian window of 11 pixels, sigma 1.5.
    """
    weights = np.exp(-0.5 * (np.arange(WINDOW) - WINDOW // 2) ** 2 / SIGMA**2)
    weights /= weights.sum()

    def blurred(values: np.ndarray) -> np.ndarray:
        rows = sliding_window_view(values, WINDOW, axis=0) @ weights
        return sliding_window_view(rows, WINDOW, axis=1) @ weights

    x, y = pixels.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = blurred(x), blurred(y)
    variance_x, variance_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
    covariance = blurred(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((top / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))).mean())


def coded(pixels: np.ndarray, codec: str, *, most_bytes: int) -> Coded:
    """The best that a codec makes of a picture within a number of bytes, by PSNR over quality and size.

    Args:
        pixels: (H, W, 3) uint8.
        codec: "JPEG" or "WEBP".
        most_bytes: headers included.

    Returns:
        The decoded picture, enlarged to its own size again. When even the least is too large, that least one.
    """
    found = [_at_scale(pixels, codec, scale, most_bytes) for scale in SCALES]
    fitting = [one for one in found if one.bytes <= most_bytes]
    if not fitting:
        return min(found, key=lambda one: one.bytes)
    return max(fitting, key=lambda one: psnr_db(pixels, one.pixels))


def _at_scale(pixels: np.ndarray, codec: str, scale: float, most_bytes: int) -> Coded:
    """The highest quality that fits, by bisection; quality 1 when none does."""
    picture = Image.fromarray(pixels)
    small = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), LANCZOS)
    low, high, best = 1, 95, _encode(small, codec, 1)
    quality = 1
    while low < high:
        middle = (low + high + 1) // 2
        content = _encode(small, codec, middle)
        if len(content) <= most_bytes:
            low, best, quality = middle, content, middle
        else:
            high = middle - 1
    decoded = Image.open(io.BytesIO(best)).convert("RGB").resize(picture.size, LANCZOS)
    return Coded(np.asarray(decoded), len(best), quality, scale)


def _encode(picture: Image.Image, codec: str, quality: int) -> bytes:
    content = io.BytesIO()
    options = {"JPEG": {"optimize": True, "subsampling": 2}, "WEBP": {"method": 4}}[codec]
    picture.save(content, codec, quality=quality, **options)
    return content.getvalue()
