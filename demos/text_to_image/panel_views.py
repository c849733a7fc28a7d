"""What the panels write: pictures, numbers and sentences as HTML in both languages. Pure: no gradio, no torch."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from demos.shell.components import colours
from demos.shell.prose import Prose

STYLE = f"<style>{Path(__file__).with_name('panels.css').read_text('utf-8')}</style>"
MAP_CELLS = 128  # longest side of a difference map: a page needs no more
LEVELS = 255.0


_PROSE = Prose("text_to_image", "t2i")
word, framed, sentence = _PROSE.word, _PROSE.framed, _PROSE.sentence


def text(name: str, *, kind: str = "", **values) -> str:
    """A paragraph."""
    return framed(sentence(name, kind=kind, **values))


def figure(pixels: np.ndarray, caption: str, *, coarse: bool = False, name: str = "") -> str:
    """A picture (H, W, 3) uint8 with HTML under it. coarse: its pixels are cells, and stay sharp."""
    kind = ' class="t2i-coarse"' if coarse else ""
    return f'<figure><img{kind} src="{address(pixels)}" alt="{name}"><figcaption>{caption}</figcaption></figure>'


def address(pixels: np.ndarray) -> str:
    """A data address: without loss if small, else as JPEG."""
    pixels = np.ascontiguousarray(pixels, np.uint8)
    stream = io.BytesIO()
    small = pixels.shape[0] * pixels.shape[1] <= 64 * 64
    Image.fromarray(pixels).save(stream, **({"format": "PNG"} if small else {"format": "JPEG", "quality": 90}))
    return f"data:image/{'png' if small else 'jpeg'};base64,{base64.b64encode(stream.getvalue()).decode()}"


def grid(*figures: str, columns: int) -> str:
    """Figures in rows of two (large) or four (small)."""
    kind = {2: " t2i-two", 4: " t2i-four"}.get(columns, "")
    return f'<div class="t2i-grid-of{kind}" style="--columns:{columns}">{"".join(figures)}</div>'


# --- numbers about pictures ---


def rms(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference of two pictures in percent of full brightness, over pixels and colours."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return float(np.sqrt(np.mean(difference**2)) / LEVELS * 100)


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(h, w) float32: |a - b| in percent of full brightness, mean over colours; at most MAP_CELLS cells a side."""
    per_pixel = np.abs(np.asarray(a, np.float32) - np.asarray(b, np.float32)).mean(axis=2) / LEVELS * 100
    return coarsened(per_pixel)


def coarsened(values: np.ndarray) -> np.ndarray:
    """The map with the mean of each block of pixels, so that no side passes MAP_CELLS."""
    block = -(-max(values.shape) // MAP_CELLS)
    rows, columns = (side // block for side in values.shape)
    kept = values[: rows * block, : columns * block]
    return kept.reshape(rows, block, columns, block).mean(axis=(1, 3)).astype(np.float32)


def percent(value: float) -> str:
    """4.2 %, 0.03 %, 0 %."""
    return f"{value:.3g} %"


def channel_picture(values: np.ndarray, most: float) -> np.ndarray:
    """(h, w) of signed values -> (h, w, 3) uint8 in the diverging colours, -most to most."""
    table = np.frombuffer(bytes.fromhex(colours.stored()["diverging"]), np.uint8).reshape(-1, 3)
    places = np.clip((np.asarray(values, np.float64) / (most or 1.0) + 1) / 2 * (len(table) - 1), 0, len(table) - 1)
    return table[np.round(places).astype(int)]
