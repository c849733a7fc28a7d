"""Answers of the segment pipeline -> HTML in both languages. Pure: no gradio, no torch.

Whatever a visitor made (names of objects) is escaped here, where it enters the HTML.
"""

from __future__ import annotations

import html
from pathlib import Path

from demos.segment.parts import Layer
from demos.shell.prose import Prose
from demos.shell.results import milliseconds
from demos.shell.words import spans

STYLE = f"<style>{Path(__file__).with_name('views.css').read_text('utf-8')}</style>"
_PROSE = Prose("segment", "sg")
word, framed, sentence, notes = _PROSE.word, _PROSE.framed, _PROSE.sentence, _PROSE.warnings


def title(layer: Layer) -> str:
    """An object's name, or its number where it has none; as HTML."""
    return html.escape(layer.name) if layer.name else word("object_n", n=layer.number)


def card(layer: Layer | None) -> str:
    """What the decoder says of the chosen object's mask; without one, what to do."""
    if layer is None:
        return framed(sentence("mark_here", kind="sg-note"))
    masks, token = layer.masks, layer.token
    rule = "token_chosen" if layer.chosen else "token_best"
    facts = [
        ("card_iou", f"{float(masks.iou[token]):.2f}"),
        ("card_stability", _ratio(masks.stability[token])),
        ("card_area", f"{float(masks.area[token]):.1%}"),
        ("card_token", word(rule, token=token)),
        ("card_ms", milliseconds(masks.ms)),
    ]
    cells = "".join(f"<div><dt>{word(name)}</dt><dd>{value}</dd></div>" for name, value in facts)
    return framed(f'<h3>{title(layer)}</h3><dl class="sg-card">{cells}</dl>')


def no_picture() -> str:
    """What the card says before there is a picture."""
    return framed(f'<p class="sg-note">{spans("errors.picture_missing")}</p>')


def _ratio(value) -> str:
    """A stability for the page; an empty mask has none."""
    return "–" if value != value else f"{float(value):.2f}"


def cut_out(source: str, layer: Layer) -> str:
    """The cut-out on a chequered ground; source: an address or a data URL of ours."""
    told = word("cut_out_of", title=layer.name) if layer.name else word("cut_out_of_n", n=layer.number)
    figure = f'<figure class="sg-cut"><img src="{html.escape(source)}" alt=""></figure>'
    return framed(f'{figure}<p class="lucida-unseen">{told}</p>')


def encoding(i: int, n: int) -> str:
    """The status line while a large encoder runs: its blocks, as a sentence and as a bar."""
    return f'{word("encoding", i=i, n=n)} <progress value="{i}" max="{n}"></progress>'
