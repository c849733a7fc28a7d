"""What the decoder made of an edit, on its way to the board; and how long that took, for the visitor.

    return answer(edited.name, edited.serial, pixels, change=difference(before, pixels), ms=ms)
    return answer(edited.name, edited.serial, pixels, indices=shuffled, ms=ms)        # an edit that the server made
    yield answer(edited.name, edited.serial, pixels, indices=step, hole=still_hidden)  # one that comes in steps
    return answer(edited.name, edited.serial, other=indices, other_pixels=pixels)      # a second grid to swap with

Answers do not go to the board itself: its visitor paints on while they travel. The board takes the newest and drops
what is older than what it shows. Indices are taken as one undo step, if nothing was edited since `serial`; further
answers to the same serial go on with that step.
"""

import io
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from PIL import Image

from demos.shell.arrays import pack
from demos.shell.components import door
from demos.shell.components.shown import Shown, files

_HERE = Path(__file__).parent
_WORDS = ("decoded_ms", "decoded_none")
LOSSLESS_PIXELS = 512 * 512  # above that JPEG at quality 95, whose error is below 1 level: a PNG would be 3 MB
CHANGE_PX = 256  # longest side of a change map; a larger one is averaged down


class Decoded(Shown):
    """Only shown: Python gets nothing from it. Its value is what `answer` made, or None."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        super().__init__(value, **files(_HERE, "decoded"), words=[f"tokenise.{name}" for name in _WORDS], **kwargs)


def answer(
    name: str,
    serial: int,
    pixels: np.ndarray | None = None,
    *,
    change: np.ndarray | None = None,
    ms: float | None = None,
    indices: np.ndarray | None = None,
    hole: np.ndarray | None = None,
    other: np.ndarray | None = None,
    other_pixels: np.ndarray | None = None,
    note: Mapping[str, str] | None = None,
) -> dict:
    """What one edit decodes to.

    name, serial: of the `Edited` that it answers. pixels: (H, W, 3) uint8, None where the picture stays as it is.
    change: (H, W) float, how far each pixel is from the picture before the first edit, 0 to 255. ms: what decoding
    took. indices: (h, w), the grid as the server edited it. hole: (h, w) bool, in place of the board's. other: (h, w),
    another grid to swap with; other_pixels: what the other grid decodes to. note: {"en", "zh"}, a sentence to show.
    """
    return {
        "name": name,
        "serial": serial,
        "stamp": secrets.randbits(50),
        "picture": None if pixels is None else url_of(pixels),
        "change": None if change is None else _change(change),
        "ms": ms,
        "indices": None if indices is None else pack(indices.astype(np.uint16)),
        "hole": None if hole is None else pack(hole.astype(np.uint8)),
        "other": None if other is None else pack(other.astype(np.uint16)),
        "other_picture": None if other_pixels is None else url_of(other_pixels),
        "note": None if note is None else dict(note),
    }


def _change(values: np.ndarray) -> dict:
    """{"map": packed uint8, "most", "px"}: 255 of the map stands for `most`, which is at least one level, and each of
    its values for px x px pixels. The page shows 256 colours, so that nothing finer would be seen."""
    px = max(1, -(-max(values.shape) // CHANGE_PX))
    means = averaged(values, px)
    most = max(float(means.max()), 1.0)
    return {"map": pack(np.round(255 * means / most).astype(np.uint8)), "most": most, "px": px}


def averaged(values: np.ndarray, factor: int) -> np.ndarray:
    """(H, W) as means of factor x factor pixels; those at the end may hold fewer."""
    places = [np.arange(0, side, factor) for side in values.shape]
    sums = np.add.reduceat(np.add.reduceat(values.astype(np.float64), places[0], axis=0), places[1], axis=1)
    rows, columns = (np.diff([*place, side]) for place, side in zip(places, values.shape, strict=True))
    return sums / np.outer(rows, columns)


def url_of(pixels: np.ndarray) -> str:
    """(H, W, 3) uint8 as a data URL."""
    return door.data_url(*_coded(pixels))


def file_of(picture: np.ndarray | str | Path) -> dict:
    """A picture as a file that the page may fetch: pixels, or a file of the app's."""
    cache = get_upload_folder()
    if isinstance(picture, str | Path):
        return door.cached_file(picture, cache)
    data, mime = _coded(picture)
    return door.file_data(save_bytes_to_cache(data, "grid." + mime.removeprefix("image/"), cache))


def _coded(pixels: np.ndarray) -> tuple[bytes, str]:
    """Closer than the shell's previews: beside JPEG as a rival, no other error may show."""
    stream, image = io.BytesIO(), Image.fromarray(pixels)
    if image.width * image.height <= LOSSLESS_PIXELS:
        image.save(stream, "PNG", compress_level=1)
        return stream.getvalue(), "image/png"
    image.save(stream, "JPEG", quality=95, subsampling=0)
    return stream.getvalue(), "image/jpeg"
