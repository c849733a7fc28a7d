"""The same picture by others at the same number of bytes: the other bundled autoencoder, JPEG, WebP.

    rivals = Rivals(value(question, rows))          # rows: of `autoencoders`, then of `codecs` as well

A tap on one puts its picture under the board's slider (the board's window event `lucida-compare`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from demos.shell import model_switch, models
from demos.shell.arrays import address
from demos.shell.components.shown import Shown, files
from demos.shell.words import LANGUAGES, say
from demos.tokenise import answer, parts
from demos.tokenise.decoded import file_of
from demos.tokenise.parts import Question

CODECS = {"JPEG": "JPEG", "WEBP": "WebP"}
_WORDS = (
    *("rival_bytes", "rival_psnr", "rival_ssim", "rival_compare", "rival_chosen", "rivals_waiting", "rivals_about"),
)


@dataclass(frozen=True)
class Row:
    """One of them. label, detail: {"en", "zh"}; detail may be empty. src: where the page fetches its picture.

    own: whether it is the grid on the board itself.
    """

    label: dict[str, str]
    src: str
    bytes: int
    psnr_db: float
    ssim: float
    detail: dict[str, str]
    own: bool = False


class Rivals(Shown):
    """Only shown. Its value is what `value` made, or None."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        words = [f"tokenise.{name}" for name in _WORDS]
        super().__init__(value, **files(Path(__file__).parent, "rivals"), words=words, **kwargs)


def value(asked: Question, rows: Sequence[Row], *, waiting: bool = False) -> dict:
    """What the page gets. waiting: further ones are still being computed."""
    return {"name": asked.name, "rows": [asdict(row) for row in rows], "waiting": waiting}


def page_file(pixels: np.ndarray) -> str:
    """A picture as a file that the page may fetch; its address."""
    return address(Path(file_of(pixels)["path"]))


def autoencoders(answered: str, request: gr.Request) -> list[Row]:
    """The model of the grid, and the bundled autoencoders besides, each with its own codes of the picture.

    Raises UserError.
    """
    asked, begun = parts.question(answered), answer.grid(answered, request)
    tokens = parts.encoded(asked.picture, asked.longest, asked.model_id, request).tokens
    found = [row(title(asked.model_id), begun.pixels, tokens.pixels, bytes=tokens.bytes, own=True)]
    for model_id in (parts.BUNDLED, parts.TWIN):
        if model_id != asked.model_id and model_switch.is_ready(model_id):
            other = parts.encoded(asked.picture, asked.longest, model_id, request).tokens
            pixels, _ = answer.painted(model_id, other.indices, size=other.size)
            found.append(row(title(model_id), pixels, tokens.pixels, bytes=other.bytes))
    return found


def codecs(original: np.ndarray, most_bytes: int, *, save: Callable[[np.ndarray], str] = page_file) -> list[Row]:
    """JPEG and WebP. original: (H, W, 3) uint8, the picture at the size that was encoded. save: as of `row`."""
    from pipelines.tokenise import compare

    return [
        Row(
            label=dict.fromkeys(LANGUAGES, CODECS[each.codec]),
            src=save(each.coded.pixels),
            bytes=each.coded.bytes,
            psnr_db=round(each.psnr, 2),
            ssim=round(each.ssim, 3),
            detail=_detail(each.coded, original.shape, fits=each.fits),
        )
        for each in compare.rivals(original, most_bytes)
    ]


def _detail(coded, shape: Sequence[int], *, fits: bool) -> dict[str, str]:
    """At which size and quality a codec reached the bytes; or that it could not."""
    height, width = (max(1, round(side * coded.scale)) for side in shape[:2])
    key = "tokenise.rival_codec" if fits else "tokenise.rival_too_large"
    return {lang: say(key, lang, width=width, height=height, quality=coded.quality) for lang in LANGUAGES}


def title(model_id: str) -> dict[str, str]:
    """A model's name in both languages."""
    return dict(models.runtime().catalogue.find(model_id).title)


def row(
    label: dict[str, str], pixels: np.ndarray, original: np.ndarray, *, bytes: int, own: bool = False,
    save: Callable[[np.ndarray], str] = page_file,
) -> Row:  # fmt: skip
    """Measure an autoencoder's picture. pixels, original: (H, W, 3) uint8. save: keeps a picture, gives its `src`."""
    from pipelines.tokenise import compare

    return Row(
        label=label,
        src=save(pixels),
        bytes=bytes,
        psnr_db=round(compare.psnr_db(original, pixels), 2),
        ssim=round(compare.ssim(original, pixels), 3),
        detail=dict.fromkeys(LANGUAGES, ""),
        own=own,
    )
