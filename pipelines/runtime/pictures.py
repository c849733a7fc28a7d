"""The one door for pictures: every picture from outside is checked, turned upright and made 8-bit sRGB here.

The header is checked before anything is decoded, and the format is told by the content, never by the name.
"""

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.runtime import picture_kinds, picture_pixels
from pipelines.runtime.errors import Note, UserError


@dataclass(frozen=True)
class Limits:
    """What a picture may be. The page shows these numbers, and the sentences name them."""

    file_bytes: int = 20 * 1024 * 1024
    megapixels: int = 50
    least_side_px: int = 16
    most_side_px: int = 16_384
    most_ratio: int = 20
    formats: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")


LIMITS = Limits()


@dataclass(frozen=True, eq=False)
class Picture:
    """A checked picture.

    pixels: (H, W, 3) uint8, sRGB, upright. notes: what was done to it that its owner should know.
    sha256: of size and pixels, so that equal pictures have equal names. size: (width, height) in pixels.
    """

    pixels: np.ndarray
    notes: tuple[Note, ...]
    sha256: str
    size: tuple[int, int]


def open_picture(source: bytes | str | Path | None) -> Picture:
    """Read a picture from the bytes of a file or from a path on this machine.

    An animation gives its first frame, a file of many pages its first page, transparency lies on white;
    each of these is noted. Metadata (GPS) stays behind: only pixels go on.
    Raises UserError (keys ``errors.picture_*``) for everything that is no picture within ``LIMITS``.
    """
    data = _read(source)
    with _decoding(data):
        image = Image.open(io.BytesIO(data), formats=LIMITS.formats)
        _check_size(*image.size)
        kind = image.format
        several = _has_several(image)
        image.load()
        pixels, notes = picture_pixels.to_srgb(image)
    if several:
        notes = (
            Note("errors.note_first_page" if kind == "TIFF" else "errors.note_first_frame", {"kind": kind}),
            *notes,
        )
    return _picture(pixels, notes)


def from_array(array: np.ndarray) -> Picture:
    """Take a picture that is an array already.

    array: (H, W), (H, W, 3) or (H, W, 4, alpha last); bool, uint8, uint16, or floats in 0..1.
    Raises UserError when it is something else, not finite, outside 0..1 or outside ``LIMITS``.
    """
    if array is None:
        raise UserError("errors.picture_missing")
    if not isinstance(array, np.ndarray) or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise UserError("errors.picture_not_array")
    height, width = array.shape[:2]
    _check_size(width, height)
    return _picture(picture_pixels.array_to_srgb(array), ())


def _picture(pixels: np.ndarray, notes: tuple[Note, ...]) -> Picture:
    height, width = pixels.shape[:2]
    return Picture(pixels, notes, content_key(pixels), (width, height))


def content_key(pixels: np.ndarray) -> str:
    """SHA-256 of size and pixels (H, W, 3) uint8, in hexadecimal: equal pictures, and only they, have equal keys."""
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(f"{width}x{height}:".encode())
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def _read(source: bytes | str | Path | None) -> bytes:
    """The file's bytes, refused by size before they are read."""
    if source is None or source == "":
        raise UserError("errors.picture_missing")
    if isinstance(source, bytes | bytearray):
        size, read = len(source), lambda: bytes(source)
    elif isinstance(source, str | Path):
        size, read = _open_path(source)
    else:
        raise UserError("errors.picture_not_file")
    if size == 0:
        raise UserError("errors.picture_empty")
    if size > LIMITS.file_bytes:
        size_mb = f"{size / 1024**2:.1f}"
        raise UserError("errors.picture_too_heavy", size_mb=size_mb, limit_mb=LIMITS.file_bytes // 1024**2)
    return read()


def _open_path(source: str | Path):
    """Size and reader of a regular file; the sentence never repeats the path."""
    try:
        path = Path(source)
        if not path.is_file():
            raise UserError("errors.picture_gone")
        return path.stat().st_size, path.read_bytes
    except (OSError, ValueError) as error:
        raise UserError("errors.picture_gone") from error


def _check_size(width: int, height: int) -> None:
    values = {"width": width, "height": height}
    if min(width, height) < LIMITS.least_side_px:
        raise UserError("errors.picture_too_small", **values, least=LIMITS.least_side_px)
    if max(width, height) > LIMITS.most_side_px:
        raise UserError("errors.picture_side_too_long", **values, most=LIMITS.most_side_px)
    if width * height > LIMITS.megapixels * 1_000_000:
        megapixels = f"{width * height / 1e6:.0f}"
        raise UserError("errors.picture_too_many_pixels", megapixels=megapixels, limit=LIMITS.megapixels)
    if max(width, height) > LIMITS.most_ratio * min(width, height):
        raise UserError("errors.picture_too_narrow", **values, ratio=LIMITS.most_ratio)


def _has_several(image: Image.Image) -> bool:
    """Whether there are more frames or pages. They are not counted: a file can hold 400,000 of them."""
    if image.format == "TIFF":
        try:
            image.seek(1)
        except EOFError:
            return False
        image.seek(0)
        return True
    # A phone's MPO is a JPEG with a depth map or a preview behind it: its owner thinks of one picture.
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


@contextmanager
def _decoding(data: bytes) -> Iterator[None]:
    """Turn what a decoder throws at a bad file into a sentence.

    Decoders meet hostile bytes here and raise nearly any class (SyntaxError, struct.error, IndexError, ...),
    so every Exception means: this file cannot be read.
    """
    try:
        yield
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        pixels = re.search(r"\d+", str(error))
        megapixels = f"{int(pixels[0]) / 1e6:.0f}" if pixels else "> 178"
        raise UserError("errors.picture_too_many_pixels", megapixels=megapixels, limit=LIMITS.megapixels) from error
    except Image.UnidentifiedImageError as error:
        raise picture_kinds.refusal(data) from error
    except Exception as error:
        if "MAX_TEXT" in str(error):
            raise UserError("errors.picture_hidden_load") from error
        raise picture_kinds.refusal(data) from error
