"""The tab's named functions for the Python client, REST and MCP: same limits and sentences as the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from demos.shell import jobs, sessions
from demos.shell.components.door import uploaded
from demos.shell.words import say
from demos.tokenise import answer, answering, downloads, fill_api, parts
from demos.tokenise.figures import measured
from pipelines.runtime.errors import UserError


def tokenise(picture: gr.FileData, size: int = 256, model: str = "", lang: str = "en") -> dict:
    """Turn a picture into a small grid of integers and back; gives the grid, its bytes, the picture it paints.

    Args:
        picture: the picture file, at most 20 MB and 50 megapixels
        size: 128, 256, 512 or 1024; the longer side is brought down to so many pixels, never enlarged
        model: an id of the model catalogue such as lucida-vqgan; empty for the app's choice
        lang: en or zh, the language of notes and error sentences
    """
    longest = parts.size(size)
    parts.chosen(model)  # before the picture is decoded: a wrong name costs nothing
    opened, loaded = uploaded(picture), parts.load(model)
    from pipelines.tokenise import code

    pixels = code.prepared(opened.pixels, longest=longest)
    tokens = jobs.on_device(code.encode, loaded, pixels, picture=opened.sha256)
    painted, decode_ms = answer.painted(loaded.id, tokens.indices, size=tokens.size)
    figures = measured(tokens.indices, painted, codes=tokens.codes, original=pixels)
    question = parts.Question("api", "", longest, loaded.id, size=tokens.size)
    folder = _folder()
    return {
        "model": loaded.id,
        "indices": tokens.indices.tolist(),
        "rows": figures.rows,
        "columns": figures.columns,
        "codes": tokens.codes,
        "cell": tokens.cell,
        "bits_per_token": figures.bits,
        "bytes": figures.bytes,
        "width": tokens.size[1],
        "height": tokens.size[0],
        "padded": {"bottom": tokens.padded[0], "right": tokens.padded[1]},
        "tiles": {"rows": tokens.tiles[0], "columns": tokens.tiles[1]},
        "psnr_db": round(figures.psnr_db, 3),
        "ssim": round(figures.ssim, 4),
        "milliseconds": {"encode": round(tokens.ms, 2), "decode": round(decode_ms, 2)},
        "notes": [say(note.key, lang, **note.values) for note in opened.notes],
        "reconstruction": _file(downloads.png(painted), "png", folder),
        "vq": _file(downloads.vq(question, tokens.indices), "vq", folder),
    }


def detokenise(
    file: gr.FileData | None = None, indices: list | None = None, width: int = 0, height: int = 0, model: str = "",
    lang: str = "en",
) -> dict:  # fmt: skip
    """Paint a grid of integers: out of a .vq file that was saved here, or given as rows of numbers.

    Args:
        file: a .vq file; it names its model and its size, and the other arguments are not looked at
        indices: rows of integers, each below the model's number of codes; [[3, 17], [512, 0]]
        width: of the picture in pixels; 0 for as wide as the codes reach
        height: of the picture in pixels; 0 for as high as the codes reach
        model: an id of the model catalogue such as lucida-vqgan; empty for the app's choice
        lang: en or zh, the language of error sentences
    """
    if file:
        grid, size, model_id = _from_file(file)
    else:
        grid, size, model_id = _from_numbers(indices, width, height, model)
    painted, decode_ms = answer.painted(model_id, grid, size=size)
    return {
        "model": model_id,
        "rows": grid.shape[0],
        "columns": grid.shape[1],
        "width": size[1],
        "height": size[0],
        "milliseconds": round(decode_ms, 2),
        "reconstruction": _file(downloads.png(painted), "png", _folder()),
    }


def _from_file(file: Any) -> tuple[np.ndarray, tuple[int, int], str]:
    """(grid, (H, W), model's id) of an uploaded .vq file. Raises UserError."""
    path = file.get("path") if isinstance(file, dict) else file
    if not isinstance(path, str) or not sessions.is_own_file(path):
        raise UserError("errors.vq_gone")
    parts.ready()
    from pipelines.tokenise import container

    found_bytes = Path(path).stat().st_size
    if found_bytes > container.MOST_BYTES:
        raise UserError("errors.vq_large", found=found_bytes, most=container.MOST_BYTES)
    found = container.unpack(Path(path).read_bytes())
    return found.indices, found.size, answering.model_of(found)


def _from_numbers(indices: Any, width: Any, height: Any, model: str) -> tuple[np.ndarray, tuple[int, int], str]:
    """The same of plain values. Raises UserError."""
    model_id, grid = parts.chosen(model), _grid(indices)
    loaded = parts.load(model_id)
    from pipelines.tokenise.tokens import check_indices

    grid = check_indices(grid, codes=loaded.codes)
    rows, columns = grid.shape
    whole = (rows * loaded.cell, columns * loaded.cell)
    size = tuple(_side(given, most) for given, most in zip((height, width), whole, strict=True))
    return grid, size, model_id


def _grid(value: Any) -> np.ndarray:
    """Rows of whole numbers, or the JSON text of them. Raises UserError."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise UserError("errors.tokens_grid") from None
    try:
        found = np.array(value)
    except (ValueError, TypeError):  # rows of several lengths
        raise UserError("errors.tokens_grid") from None
    if found.ndim != 2 or found.dtype.kind not in "iu":
        raise UserError("errors.tokens_grid")
    return found


def _side(given: Any, most: int) -> int:
    """A side in pixels, 0 for all that the codes reach. What does not fit the grid is refused by the decoder."""
    if isinstance(given, bool) or not isinstance(given, int | float) or given != given or not 0 <= given <= most:
        raise UserError("tokenise.side_form", value=str(given)[:20], most=most)
    return int(given) or most


def _folder() -> Path:
    return sessions.of(gr.Request()).folder  # of a session of its own


def _file(data: bytes, kind: str, folder: Path) -> dict:
    path = downloads.write(data, downloads.KINDS[kind], folder)
    return {"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}


API = {"tokenise": tokenise, "detokenise": detokenise, **fill_api.API}
