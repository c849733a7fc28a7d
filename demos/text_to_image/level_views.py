"""The levels Blocks and Numbers -> HTML in both languages. Pure: no gradio, no torch."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from demos.shell import tables
from demos.shell.results import milliseconds
from demos.shell.words import LANGUAGES, say, spans
from demos.text_to_image.views import framed, sentence, word

PARTS = ("text_encoder", "text_encoder_2", "unet", "vae")
CLOCKS = ("text", "steps", "vae", "total")
NAMED_VALUES = ("t", "alpha_bar", "sigma", "alpha_bar_next", "sigma_next", "guidance_scale", "eta", "h")
SYMBOLS = {
    "t": "t", "alpha_bar": "ᾱ", "sigma": "σ", "alpha_bar_next": "ᾱ′", "sigma_next": "σ′", "guidance_scale": "w",
    "eta": "η", "h": "h",
}  # fmt: skip


# --- Blocks ---


def blocks(parts: Sequence, ms: Mapping[str, float], *, k: int, n: int, calls: int) -> str:
    """The model's parts as they worked on call k (from 0) of n: shapes, time, and where the text enters the UNet.

    parts: of `pipelines.text_to_image.blocks.Block`. ms: of the whole run, by "text", "steps", "vae", "total".
    calls: of the UNet in the run.
    """
    slowest = max((part.ms for part in parts), default=0) or 1
    made = "".join(
        f"<h4>{word(f'part_{name}')}</h4>{_table(those, slowest)}"
        for name in PARTS
        if (those := [part for part in parts if part.part == name])
    )
    return framed(sentence("blocks_about", k=k + 1, n=n), _clock(ms, calls), made)


def _clock(ms: Mapping[str, float], calls: int) -> str:
    rows = "".join(
        f"<dt>{word(f'clock_{name}', n=calls)}</dt><dd>{milliseconds(ms[name])}</dd>" for name in CLOCKS if name in ms
    )
    return f'<h4>{word("clock")}</h4><dl class="ti-facts">{rows}</dl>'


def _table(parts: Sequence, slowest: float) -> str:
    head = tables.heading(spans("shell.part"), spans("shell.part_output"))
    head += tables.heading(spans("shell.part_parameters"), spans("shell.part_time"), numbers=True)
    body = "".join(_block(part, slowest) for part in parts)
    table = f'<table class="ti-blocks"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="ti-scroll">{table}</div>'


def _block(part, slowest: float) -> str:
    entering = ""
    if part.text_layers:
        layers = "<br>".join(html.escape(name) for name in part.text_layers)
        told = word("text_enters", n=len(part.text_layers))
        entering = f'<details class="ti-enters"><summary>{told}</summary><code>{layers}</code></details>'
    shape = " × ".join(map(str, part.shape))
    bar = f'<i style="width:{100 * part.ms / slowest:.0f}%"></i>'
    return (
        f'<tr><th scope="row"><code>{_named(part.name)}</code>{entering}</th><td class="numbers">{shape}</td>'
        f'<td class="n">{tables.counted(part.parameters)}</td><td class="n">{part.ms:.1f} ms{bar}</td></tr>'
    )


def _named(name: str) -> str:
    """The part's name, which may go on in the next line after an underscore."""
    return html.escape(name).replace("_", "_<wbr>")


# --- Numbers ---


def numbers(formula, glyphs: Mapping[str, str], *, k: int, n: int) -> str:
    """The arithmetic of call k (from 0) of n with its numbers.

    formula: `pipelines.text_to_image.formula.Formula`. glyphs: how a tensor is written, by symbol.
    """
    lines = "".join(_line(line, glyphs) for line in formula.lines)
    second = sentence("second_call", kind="ti-note") if formula.second_call else ""
    return framed(
        sentence("numbers_about", k=k + 1, n=n, sampler=_sampler(formula.sampler)),
        second,
        _values(formula.values),
        lines,
        _checked(formula.max_difference),
    )


def _sampler(name: str) -> dict[str, str]:
    """The sampler's name in both languages, to stand inside a sentence."""
    return {lang: say(f"text_to_image.sampler_{name}", lang) for lang in LANGUAGES}


def _values(values: Mapping[str, float]) -> str:
    cells = "".join(
        f"<div><var>{SYMBOLS[name]}</var><b>{number(values[name])}</b><small>{word(f'value_{name}')}</small></div>"
        for name in NAMED_VALUES
        if name in values
    )
    return f'<div class="ti-values">{cells}</div>'


def _line(line, glyphs: Mapping[str, str]) -> str:
    """A weighted sum: with this step's numbers, then in symbols, with the size of each tensor."""
    put_in = "".join(_summand(i, term, glyphs) for i, term in enumerate(line.terms)) or "0"
    rows = "".join(
        f"<tr><td><var>{glyphs[term.symbol]}</var></td><td>{html.escape(term.written)}</td>"
        f'<td class="n">{number(term.weight)}</td><td class="n">{number(term.rms)}</td></tr>'
        for term in line.terms
    )
    head = "".join(
        f"<th{kind}>{word(name)}</th>"
        for name, kind in (("tensor", ""), ("weight", ""), ("weight_now", ' class="n"'), ("rms", ' class="n"'))
    )
    return (
        f"<h4>{word(f'line_{line.result}')}</h4>"
        f'<div class="ti-formula"><var>{glyphs[line.result]}</var> = {put_in}</div>'
        f'<div class="ti-scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<p class="ti-note">{html.escape(line.source)}</p>'
    )


def _summand(i: int, term, glyphs: Mapping[str, str]) -> str:
    sign = "−" if term.weight < 0 else "+" if i else ""
    return f" {sign} <b>{number(abs(term.weight))}</b>&thinsp;·&thinsp;<var>{glyphs[term.symbol]}</var>"


def _checked(difference: float | None) -> str:
    if difference is None:
        return sentence("formula_inpainted", kind="ti-note")
    return sentence("formula_checked", kind="ti-note", difference=f"{difference:.1e}")


def number(x: float) -> str:
    """Four digits that count: 0.1234, 12.34, 4096, 3.0e-05."""
    if x != x:
        return "–"
    size = abs(x)
    text = f"{x:.4f}" if 0.001 <= size < 10 or x == 0 else f"{x:.2f}" if 10 <= size < 1000 else f"{x:.4g}"
    return text.replace("-", "−")


def empty() -> str:
    """What stands there before a picture was made."""
    return framed(f'<p class="ti-note">{spans("text_to_image.run_first")}</p>')
