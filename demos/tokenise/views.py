"""Figures of the tokenise tab -> HTML in both languages. Pure: no gradio, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from demos.shell.prose import Prose
from demos.tokenise.figures import Figures

STYLE = f"<style>{Path(__file__).with_name('views.css').read_text('utf-8')}</style>"
_PROSE = Prose("tokenise", "tk")
word, framed, sentence, warnings = _PROSE.word, _PROSE.framed, _PROSE.sentence, _PROSE.warnings


def card(figures: Figures) -> str:
    """What the grid on the board costs and how well it keeps its picture."""
    cells = [
        ("card_tokens", f"{figures.rows} × {figures.columns} = {figures.rows * figures.columns:,}"),
        ("card_bits", f"{figures.bits}"),
        ("card_bytes", f"{figures.bytes:,}"),
        ("card_ratio", word("card_times", n=_times(figures.ratio))),
    ]
    if figures.psnr_db is not None:
        cells += [("card_psnr", f"{figures.psnr_db:.1f} dB"), ("card_ssim", f"{figures.ssim:.2f}")]
    rows = "".join(f"<div><dt>{word(name)}</dt><dd>{value}</dd></div>" for name, value in cells)
    return framed(f'<dl class="tk-card">{rows}</dl>', _belongs(figures))


def _belongs(figures: Figures) -> str:
    """What the figures belong to, where that is not simply the picture's own codes."""
    told = sentence("card_no_picture", kind="tk-note") if figures.psnr_db is None else ""
    if not figures.edited:
        return told
    share = figures.edited / (figures.rows * figures.columns)
    return told + sentence("card_edited", kind="tk-note tk-warn", n=f"{figures.edited:,}", share=f"{share:.1%}")


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


def nothing() -> str:
    """What stands there while there is no grid."""
    return framed(sentence("nothing_shown", kind="tk-note"))


def fitted(tokens, full_size: tuple[int, int]) -> list[str]:
    """What was done to the picture before it was encoded: shrunk, padded, cut into tiles; each sentence is HTML."""
    height, width = tokens.size
    said = []
    if (height, width) != tuple(full_size):
        said.append(word("shrunk", from_width=full_size[1], from_height=full_size[0], width=width, height=height))
    else:
        said.append(word("kept_size", width=width, height=height))
    for side, added in zip(("bottom", "right"), tokens.padded, strict=True):
        said += [word(f"padded_{side}", n=added, cell=tokens.cell)] if added else []
    rows, columns = tokens.tiles
    said.append(word("whole") if (rows, columns) == (1, 1) else word("tiled", rows=rows, columns=columns))
    return said


def notes(lines: Sequence[str]) -> str:
    """Sentences about how a picture got through, each already HTML, in one paragraph."""
    space = '<span lang="en"> </span>'  # Chinese sentences follow one another without
    return framed(f'<p class="tk-note">{space.join(lines)}</p>') if lines else ""


def working(name: str) -> str:
    """The status line while a large model works."""
    return f"<span>{word(name)}</span>"
