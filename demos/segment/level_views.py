"""The levels Blocks and Numbers -> HTML in both languages. Pure: no gradio, no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from demos.segment import logit_views
from demos.segment.views import framed, sentence, word
from demos.shell import tables
from demos.shell.components import door
from demos.shell.results import milliseconds

if TYPE_CHECKING:
    from pipelines.segment.masks import Masks

STYLE = f"<style>{Path(__file__).with_name('panels.css').read_text('utf-8')}</style>"


def about(*names: str) -> str:
    """Sentences of this tab, one a paragraph."""
    return framed(*map(sentence, names))


def _heads(*names: str, numbers: bool = False) -> str:
    return tables.heading(*map(word, names), numbers=numbers)


def heading(title: str, *names: str) -> str:
    """A heading with its sentences."""
    return framed(f"<h4>{word(title)}</h4>", *map(sentence, names))


# --- Blocks ---


def slow(ms: float) -> str:
    """In place of the table, where a second run of the encoder would keep the visitor waiting."""
    return framed(sentence("blocks_about"), sentence("blocks_slow", seconds=f"{ms / 1000:.0f}"))


def blocks(parts: Sequence, *, encoder_ms: float, decoder_ms: float) -> str:
    """The model's parts as they worked on this picture and these marks.

    parts: of `pipelines.segment.blocks.Block`. encoder_ms, decoder_ms: of each half as a whole.
    """
    slowest = max((part.ms for part in parts), default=0.0) or 1.0
    ratio = encoder_ms / decoder_ms if decoder_ms else math.nan
    told = sentence(
        "blocks_clocks", encoder=milliseconds(encoder_ms), decoder=milliseconds(decoder_ms), ratio=f"{ratio:.0f}"
    )
    made = "".join(
        f"<h4>{word(f'part_{name}')}</h4>"
        + tables.parts(
            [tables.Row(_part(one), one.shape, one.parameters, one.ms) for one in parts if one.part == name],
            slowest=slowest,
        )
        for name in ("encoder", "decoder")
    )
    return framed(sentence("blocks_about"), told, made)


def _part(part) -> str:
    """The part's name in words, "block_3" as the third block, and how far it sees."""
    name, _, number = part.name.rpartition("_")
    told = word(f"part_{name}_n", n=int(number)) if number.isdigit() else word(f"part_{part.name}")
    if part.window is None:
        return told
    seen = word("part_window", side=part.window) if part.window else word("part_global")
    return f'{told}<br><small class="sg-note">{seen}</small>'


def colours(embedding: np.ndarray, picture: np.ndarray) -> str:
    """The embedding's first three principal components as colour, (h, w, 3) uint8, beside the picture of that size."""
    rows, columns = embedding.shape[:2]
    made = door.data_url(*door.encoded(embedding, longest=256))
    plain = door.data_url(*door.encoded(picture, longest=512))
    return framed(
        f"<h4>{word('pca')}</h4>",
        sentence("pca_about", rows=rows, columns=columns),
        f'<div class="sg-two">{_figure(plain, "pca_picture", picture)}{_figure(made, "pca_cells", picture)}</div>',
    )


def _figure(address: str, name: str, picture: np.ndarray) -> str:
    """In the picture's proportions: the last row or column of cells may reach over its edge."""
    height, width = picture.shape[:2]
    image = f'<img class="{name}" src="{address}" style="aspect-ratio:{width}/{height}" alt="">'
    return f"<figure>{image}<figcaption>{word(name)}</figcaption></figure>"


# --- Numbers ---


def numbers(masks: Masks, *, token: int) -> str:
    """What the model says of its four masks; token: the one that is shown."""
    counts = logit_views.stability_counts(masks)
    names = ("numbers_iou", "numbers_above", "numbers_below", "numbers_stability", "numbers_area")
    head = _heads("tokens") + _heads(*names, numbers=True)
    rows = [_mask(masks, k, counts[k], on=k == token) for k in (1, 2, 3, 0)]
    strict, loose = map(int, counts[token])
    ratio = f"{strict / loose:.3f}" if loose else "–"
    return framed(
        sentence("numbers_about"),
        tables.table(head, rows),
        f'<div class="sg-formula">{word("numbers_ratio", strict=f"{strict:,}", loose=f"{loose:,}", ratio=ratio)}</div>',
        sentence("numbers_iou_head", kind="sg-note"),
    )


def _mask(masks: Masks, token: int, counts, *, on: bool) -> str:
    name = word(f"token_{token}") + (f" · {word('token_shown')}" if on else "")
    stability = float(masks.stability[token])
    cells = (
        f"{float(masks.iou[token]):.3f}", f"{int(counts[0]):,}", f"{int(counts[1]):,}",
        f"{stability:.3f}" if math.isfinite(stability) else "–", f"{float(masks.area[token]):.1%}",
    )  # fmt: skip
    row = "".join(f'<td class="n">{cell}</td>' for cell in cells)
    return f'<tr{" class=on" if on else ""}><th scope="row">{name}</th>{row}</tr>'


def places(masks: Masks, places: Sequence[Mapping], *, square: int) -> str:
    """Where each mark lies in the picture, in the model's square and in the logits' cells.

    places: [{"label": 1, 0 or None for a corner of the box, "picture", "square", "cell": (x, y)}].
    square: side of the model's square, in pixels.
    """
    if not places:
        return ""
    head = _heads("place_mark") + _heads("place_picture", "place_square", "place_cell", numbers=True)
    rows = [
        f'<tr><th scope="row">{_mark(place["label"], i)}</th>'
        + "".join(f'<td class="n">{_pair(place[name])}</td>' for name in ("picture", "square", "cell"))
        + "</tr>"
        for i, place in enumerate(places, start=1)
    ]
    (height, width), (high, wide), side = masks.full_size, masks.input_size, masks.logits.shape[-1]
    told = sentence("place_about", width=width, height=height, wide=wide, high=high, square=square, side=side)
    return framed(f"<h4>{word('place')}</h4>", told, tables.table(head, rows))


def _mark(label: int | None, n: int) -> str:
    return word({1: "place_plus", 0: "place_minus", None: "place_corner"}[label], n=n)


def _pair(xy: Sequence[float]) -> str:
    return "(" + ", ".join(f"{value:.1f}".removesuffix(".0") for value in xy) + ")"
