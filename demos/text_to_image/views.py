"""Results of the text-to-image pipeline -> HTML in both languages. Pure: no gradio, no torch.

Whatever a visitor or a model made (prompts, token pieces, names of layers) is escaped here, where it enters the HTML.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from demos.shell.arrays import address
from demos.shell.prose import Prose
from demos.shell.words import spans

STYLE = f"<style>{Path(__file__).with_name('views.css').read_text('utf-8')}</style>"
_PROSE = Prose("text_to_image", "ti")
word, framed, sentence = _PROSE.word, _PROSE.framed, _PROSE.sentence


@dataclass(frozen=True)
class Drawn:
    """A finished picture's file on the server and its seed."""

    path: Path
    seed: int


# --- Picture ---


def pictures(drawn: Sequence[Drawn], *, prompt: str) -> str:
    """The finished pictures as the files that they are: saved from the browser, they still hold their settings."""
    figures = "".join(
        f'<figure><a href="{address(one.path)}" download="{html.escape(one.path.name)}">'
        f'<img src="{address(one.path)}" alt="{html.escape(prompt[:300])}"></a>'
        f'<figcaption class="numbers">{spans("shell.seed", seed=one.seed)}</figcaption></figure>'
        for one in drawn
    )
    return framed(f'<div class="ti-pictures" data-count="{len(drawn)}">{figures}</div>')


def notes(lines: Sequence[str]) -> str:
    """Sentences beside the picture, each already HTML."""
    return framed(*(f'<p class="ti-note">{line}</p>' for line in lines)) if lines else ""


def running(i: int, n: int) -> str:
    """The status line of a run: how far it is, as a sentence and as a bar."""
    return (
        f'<span class="ti-running">{spans("shell.step", i=i, n=n)}</span>'
        f'<progress class="ti-progress" value="{i}" max="{n}"></progress>'
    )


def preparing(name: str) -> str:
    """The status line before the first step: the model is loaded, or the prompt is read."""
    return f'<span class="ti-running">{word(name)}</span>'


# --- the prompt strip ---


def strip(tokens) -> str:
    """A prompt's tokens as chips: ids under them, what the limit cuts struck through, unknown pieces marked.

    tokens: `pipelines.text_to_image.prompt.PromptTokens`, or what has its fields.
    """
    read = tokens.chips[: tokens.limit]
    shown = [chip for chip in read if chip.kind != "pad"]
    cut = tokens.chips[tokens.limit :]
    chips = "".join(_chip(chip) for chip in (*shown, *cut))
    free = tokens.limit - len(shown)
    rest = f'<span class="ti-free">{word("strip_free", n=free)}</span>' if free > 0 else ""
    told = word("strip_count", used=tokens.used, limit=tokens.limit)
    warnings = ""
    if cut:
        warnings += sentence("strip_cut", kind="ti-warn", n=len(cut), limit=tokens.limit)
    if any(chip.kind == "unknown" for chip in read):
        warnings += sentence("strip_unknown", kind="ti-warn")
    return framed(f'<p class="ti-note numbers">{told}</p><div class="ti-strip">{chips}{rest}</div>{warnings}')


def _chip(chip) -> str:
    """One token. A control token is named, a piece of bytes marked, what is cut struck through."""
    kind = chip.kind if chip.kind in ("begin", "end", "unknown", "cut") else "word"
    text = word(f"chip_{kind}") if kind in ("begin", "end") else _visible(chip.text)
    even = " ti-even" if kind == "word" and chip.word is not None and chip.word % 2 else ""
    tag = "s" if kind == "cut" else "b"
    return f'<span class="ti-chip ti-{kind}{even}"><{tag}>{text}</{tag}><i>{chip.id}</i></span>'


def _visible(text: str) -> str:
    return html.escape(text) if text.strip() else "␣"
