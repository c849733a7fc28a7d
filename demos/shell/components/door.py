"""From what a browser sent to a checked picture: which files may be opened at all, and what is shown of them.

Gradio checks a path only if the client marks it as a file, so that a client could name any file of the server.
Here only two kinds of file are ever opened: what lies in Gradio's cache, and the examples that a component offers.
"""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gradio.processing_utils import save_bytes_to_cache, save_file_to_cache
from PIL import Image

from demos.shell import sessions
from demos.shell.words import LANGUAGES, say
from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import Picture, open_picture

THUMBNAIL_PX = 144
PREVIEW_PX = 4096  # longest side of a preview; marks are kept in pixels of the picture itself
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Example:
    """A picture of the app's own. `title`: {"en", "zh"}, with the credit; its id in links is the file's stem."""

    path: Path
    title: Mapping[str, str]

    @property
    def id(self) -> str:
        return self.path.stem


def example(given: Example | tuple) -> Example:
    """An `Example` out of (path, key of its title) or (path, {"en", "zh"})."""
    if isinstance(given, Example):
        return given
    path, title = given
    return Example(Path(path).resolve(), title if isinstance(title, Mapping) else in_both(title))


def in_both(key: str, **values: Any) -> dict[str, str]:
    """The sentence in both languages, for a script to choose from."""
    return {lang: say(key, lang, **values) for lang in LANGUAGES}


def uploaded(picture: Any) -> Picture:
    """The picture of a file that a call of the API uploaded here: what Gradio's client sends, or its path.

    Raises UserError: nothing was sent, no file, or one that does not lie in the cache.
    """
    path = picture.get("path") if isinstance(picture, Mapping) else picture
    if not path:
        raise UserError("errors.picture_missing")
    if not isinstance(path, str):
        raise UserError("errors.picture_not_file")
    if not sessions.is_own_file(path):
        raise UserError("errors.picture_gone")
    return open_picture(Path(path))


def allowed_file(payload: Mapping, *, cache: str, examples: Mapping[str, Example]) -> Path:
    """The file that `payload` names: one of `examples` by id, else a file in `cache` by path; UserError otherwise.

    A path outside the cache and a file that is gone get the same sentence: nothing is told about the server's files.
    """
    chosen = payload.get("example")
    if isinstance(chosen, str):
        if chosen not in examples:
            raise UserError("errors.picture_gone")
        return examples[chosen].path
    file = payload.get("picture")
    name = file.get("path") if isinstance(file, Mapping) else None
    if not isinstance(name, str) or not name:
        raise UserError("errors.picture_not_file")
    try:
        path = Path(name).resolve()
        ours = path.is_relative_to(Path(cache).resolve()) and path.is_file()
    except (OSError, ValueError) as error:  # a NUL in the name, a name of 10,000 letters
        raise UserError("errors.picture_gone") from error
    if not ours:
        raise UserError("errors.picture_gone")
    return path


def shown(picture: Picture, path: Path) -> dict:
    """What the page needs to show the picture as the model sees it.

    {"width", "height", "notes": sentences in both languages, "preview": data URL, or None if a browser shows the file
    itself the same way}.
    """
    height, width = picture.pixels.shape[:2]
    notes = [in_both(note.key, **note.values) for note in picture.notes]
    same = not notes and _browsers_agree(path)
    preview = None if same else data_url(*encoded(picture.pixels, longest=PREVIEW_PX))
    return {"width": width, "height": height, "notes": notes, "preview": preview}


def encoded(pixels: np.ndarray, *, longest: int, quick: bool = False) -> tuple[bytes, str]:
    """(file, MIME type) of H x W x 3 uint8, made smaller if a side is over `longest` px; small ones without loss,
    unless it has to be quick."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    if image.width * image.height <= 256 * 256 and not quick:
        image.save(stream, "PNG", compress_level=1)
        return stream.getvalue(), "image/png"
    image.save(stream, "JPEG", quality=90)
    return stream.getvalue(), "image/jpeg"


def data_url(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def thumbnail(path: Path) -> str:
    """A small JPEG of an example, as a data URL."""
    pixels = open_picture(path).pixels
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return data_url(stream.getvalue(), "image/jpeg")


def cached_file(picture: Picture | np.ndarray | str | Path, cache: str) -> dict:
    """A Gradio file in the cache with this picture in it, without loss: what a component's value carries."""
    if isinstance(picture, str | Path):
        path = save_file_to_cache(picture, cache)
    else:
        stream = io.BytesIO()
        pixels = picture if isinstance(picture, np.ndarray) else picture.pixels
        Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
        path = save_bytes_to_cache(stream.getvalue(), "picture.png", cache)
    return file_data(path)


def preview_file(url: str, cache: str) -> dict:
    """A data URL as a Gradio file in the cache, which a component's value can carry at the cost of its name."""
    head, data = url.split(",", 1)
    suffix = head.removeprefix("data:image/").removesuffix(";base64")
    return file_data(save_bytes_to_cache(base64.b64decode(data), f"preview.{suffix}", cache))


def file_data(path: str) -> dict:
    return {"path": path, "orig_name": Path(path).name, "meta": {"_type": "gradio.FileData"}}


def _browsers_agree(path: Path) -> bool:
    """Whether a browser shows this file as `open_picture` reads it: upright, still, opaque, 8 bit."""
    with Image.open(path) as file:
        if file.format in ("JPEG", "MPO"):
            return file.mode in ("RGB", "L")
        still = getattr(file, "n_frames", 1) == 1
        upright = file.getexif().get(_ORIENTATION, 1) == 1
        return file.format in ("PNG", "WEBP") and file.mode in ("RGB", "L") and still and upright
