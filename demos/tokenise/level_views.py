"""The levels Blocks and Numbers -> HTML in both languages, and what quantiser.js takes. Pure: no gradio, no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from demos.shell import tables
from demos.shell.components import door
from demos.shell.results import milliseconds
from demos.tokenise.views import framed, sentence, word

if TYPE_CHECKING:
    from pipelines.tokenise.blocks import Colours, Run
    from pipelines.tokenise.code import Tokens
    from pipelines.tokenise.formula import Quantising

STYLE = f"<style>{Path(__file__).with_name('levels.css').read_text('utf-8')}</style>"
PARTS = ("encoder", "quantiser", "decoder")
LONGEST_PX = 512  # of the picture beside its latents


def about(*names: str) -> str:
    """Sentences of this tab, one a paragraph."""
    return framed(*map(sentence, names))


def heading(title: str, *names: str) -> str:
    """A heading with its sentences."""
    return framed(f"<h4>{word(title)}</h4>", *map(sentence, names))


# --- Blocks ---


def slow(ms: float) -> str:
    """In place of the table, where another run of the model would keep the visitor waiting."""
    return framed(sentence("blocks_about"), sentence("blocks_slow", seconds=f"{ms / 1000:.0f}"))


def blocks(run: Run, *, tiles: tuple[int, int]) -> str:
    """The model's parts as they worked on the picture. tiles: rows and columns of tiles in which it went through."""
    clocks = {name: sum(block.ms for block in run.blocks if block.part == name) for name in PARTS}
    told = sentence("blocks_clocks", **{name: milliseconds(ms) for name, ms in clocks.items()})
    if tiles != (1, 1):
        told += sentence("blocks_tiles", rows=tiles[0], columns=tiles[1], height=run.size[0], width=run.size[1])
    slowest, p = max(block.ms for block in run.blocks), math.isqrt(run.blocks[0].shape[1] // 3)
    made = "".join(
        f"<h4>{word(f'part_{part}')}</h4>"
        + tables.parts(
            [tables.Row(_named(one, p), one.shape, one.parameters, one.ms) for one in run.blocks if one.part == part],
            slowest=slowest,
        )
        for part in PARTS
    )
    return framed(sentence("blocks_about"), told, made)


def _named(block, p: int) -> str:
    """The part's name in words, "level_3" as the third level, and what it does where that helps. p: side of a patch."""
    name, _, number = block.name.rpartition("_")
    if number.isdigit():
        return word(f"part_{name}_n", n=int(number))
    told = word(f"part_{block.name}")
    if block.name not in DOES:
        return told
    return f'{told}<br><small class="tk-note">{word(f"does_{block.name}", p=p)}</small>'


DOES = ("patches", "quant_conv", "nearest", "codebook", "post_quant_conv", "pixels")


def colours(found: Colours, tokens: Tokens) -> str:
    """The picture, its latents and the codes chosen for them, each cell as a colour."""
    height, width = tokens.size
    rows, columns = tokens.indices.shape
    share = (columns * tokens.cell / width, rows * tokens.cell / height)  # the last cells may reach over the edge
    figures = [_figure(_address(tokens.pixels, LONGEST_PX), "pca_picture", (height, width))]
    for name, cells in (("pca_latents", found.latents), ("pca_codes", found.codes)):
        figures.append(_figure(_address(cells, max(rows, columns)), name, (height, width), share))
    values = {"rows": rows, "columns": columns, "width": tokens.latents.shape[-1]}
    return framed(
        f"<h4>{word('pca')}</h4>",
        sentence("pca_about", **values, share=f"{found.explained.sum():.0%}"),
        f'<div class="tk-three">{"".join(figures)}</div>',
    )


def _address(pixels: np.ndarray, longest: int) -> str:
    return door.data_url(*door.encoded(pixels, longest=longest))


def _figure(address: str, name: str, size: tuple[int, int], share: tuple[float, float] | None = None) -> str:
    """In the picture's proportions. share: of cells, how much wider and higher than the picture they reach."""
    kind, style = "", ""
    if share is not None:
        kind, style = ' class="cells"', f' style="width:{100 * share[0]:.2f}%;height:{100 * share[1]:.2f}%"'
    frame = f'<div style="aspect-ratio:{size[1]}/{size[0]}"><img{kind}{style} src="{address}" alt=""></div>'
    return f"<figure>{frame}<figcaption>{word(name)}</figcaption></figure>"


# --- Numbers ---


def numbers(found: Quantising, *, codes: int, bundled: bool) -> str:
    """Codebook and commitment loss of the whole picture, with how training used them.

    codes: size of the codebook. bundled: whether the model was trained by this project.
    """
    rows, columns, width = found.latents.shape
    values = {"cells": f"{rows * columns:,}", "width": width, "codes": f"{codes:,}"}
    heads = tables.heading(word("term")) + tables.heading(word("term_picture"), numbers=True)
    heads += tables.heading(word("term_gradient"))
    beta = f"{found.beta:g}"
    terms = (
        ("‖sg(z) − e‖²", "term_codebook", found.codebook_loss, "gradient_codebook"),
        (f"β ‖z − sg(e)‖², β = {beta}", "term_commitment", found.commitment_loss, "gradient_commitment"),
    )
    table = tables.table(heads, [_term(*term) for term in terms])
    trained = "trained_here" if bundled else "trained_elsewhere"
    return framed(
        f"<h4>{word('numbers_whole')}</h4>",
        sentence("numbers_about", **values),
        table,
        sentence(trained, beta=beta),
        sentence("numbers_sources", kind="tk-note"),
    )


def _term(formula: str, name: str, value: float, gradient: str) -> str:
    return (
        f'<tr><th scope="row">{formula}<br><small class="tk-note">{word(name)}</small></th>'
        f'<td class="n">{number(value)}</td><td>{word(gradient)}</td></tr>'
    )


def number(x: float) -> str:
    """Four digits that count: 0.01234, 12.30, 1,234, 3.0e-05."""
    size = abs(x)
    text = f"{x:,.0f}" if size >= 1000 or x == 0 else f"{x:#.4g}" if size >= 1e-4 else f"{x:.2e}"
    return text.replace("-", "−")


def cells(found: Quantising, *, cell: int) -> dict:
    """What quantiser.js takes of every cell, but the picture and the files: `arrays` are still to be packed.

    It begins at the cell that rounding moved most. cell: pixels that a token covers.
    """
    rows, columns, width = found.latents.shape
    errors = found.errors
    row, column = np.unravel_index(errors.argmax(), errors.shape)
    return {
        "map": errors,
        "range": (0.0, float(errors.max())),
        "box": (0, 0, columns * cell, rows * cell),
        "width_of_code": width,
        "kept": found.nearest.shape[-1],
        "beta": found.beta,
        "spot": {"row": int(row), "column": int(column)},
        "arrays": arrays(found),
    }


def arrays(found: Quantising) -> Mapping[str, np.ndarray]:
    """By cell: z and e (D numbers each), the chosen code's index, the best codes and their squared distances."""
    return {
        "latents": found.latents,
        "codes": found.codes,
        "indices": found.indices.astype(np.uint16),
        "nearest": found.nearest.astype(np.uint16),
        "distances": found.distances,
    }
