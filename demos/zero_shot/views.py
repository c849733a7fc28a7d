"""Results of the zero-shot pipeline -> HTML in both languages. Pure: no gradio, no torch.

Whatever a visitor or a model made (labels, templates, token pieces) is escaped here, once, where it enters the HTML.
"""

from __future__ import annotations

import base64
import html
import io
import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from demos.shell.prose import Prose
from demos.shell.tables import counted
from demos.zero_shot import charts

STYLE = f"<style>{Path(__file__).with_name('views.css').read_text('utf-8')}</style>"
_PROSE = Prose("zero_shot", "zs")
word, framed, sentence = _PROSE.word, _PROSE.framed, _PROSE.sentence
MOST_ROWS = 20  # rows of a table before it says how many more there are


def jpeg(pixels: np.ndarray) -> str:
    """(H, W, 3) uint8 -> a data address that an <img> shows."""
    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(stream, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def probability(p: float) -> str:
    """As the quarrel writes it: two digits, three below 0.1."""
    if 0 < p < 0.001:
        return "&lt;0.001"
    return f"{p:.3f}" if p < 0.0995 else f"{p:.2f}"


def signed(x: float, digits: int) -> str:
    return f"{x:.{digits}f}".replace("-", "−")


def read_out(classification) -> np.ndarray:
    """The probabilities of the read-out that the model was trained for, (L,)."""
    return classification.softmax if classification.objective == "softmax" else classification.sigmoid


# --- Blocks ---


def blocks(classification) -> str:
    """What the model saw, its parts as they worked on this picture, and the pieces it read of each label."""
    view = (
        f'<figure><img src="{jpeg(classification.view)}" alt="">'
        f"<figcaption>{word('view', size=classification.view.shape[0])}</figcaption></figure>"
    )
    parts = classification.blocks
    slowest = max((block.ms for block in parts), default=0) or 1
    text = [block for block in parts if block.name.startswith("text_")]
    last = [block for block in parts if block.name in READ_OUT]
    image = [block for block in parts if block not in text and block not in last]
    rows = "".join(
        f"<h4>{word(name)}</h4>{_row(those, slowest)}"
        for name, those in (("tower_image", image), ("tower_text", text), ("tower_read_out", last))
        if those
    )
    return framed(
        f'<div class="zs-split">{view}{_clock(classification.ms)}</div>',
        sentence("blocks_about"),
        rows,
        _tokens(classification),
    )


READ_OUT = ("cosine", "readout")


def _row(parts, slowest: float) -> str:
    items = [
        f"<li><b>{html.escape(_named(block.name)).replace('_', '_<wbr>')}</b>"
        f"<span>{'×'.join(map(str, block.shape))}</span>"
        f"<span>{word('parameters', n=counted(block.parameters))}</span>"
        f'<span>{block.ms:.1f} ms</span><i style="width:{100 * block.ms / slowest:.0f}%"></i></li>'
        for block in parts
    ]
    return f'<ol class="zs-blocks">{"".join(items)}</ol>'


def _named(name: str) -> str:
    """The part's name in its tower; a group of one layer by that layer: "text_layers_3_3" -> "layer_3"."""
    return re.sub(r"^layers_(\d+)_\1$", r"layer_\1", name.removeprefix("text_"))


def _clock(ms: dict[str, float]) -> str:
    rows = "".join(
        f"<dt>{word('ms_' + name) if name in _CLOCKS else html.escape(name)}</dt><dd>{value:.1f} ms</dd>"
        for name, value in ms.items()
    )
    return f'<div><h4>{word("clock")}</h4><dl class="zs-facts">{rows}</dl></div>'


_CLOCKS = ("preprocess", "image", "text", "total")


def _tokens(classification) -> str:
    rows = []
    read = [*zip(classification.labels, classification.tokens, classification.cut, strict=True)]
    for label, pieces, cut in read[:MOST_ROWS]:
        boxes = "".join(f'<span class="zs-token">{html.escape(piece)}</span>' for piece in pieces)
        end = f' <span class="zs-cut">{word("cut_here")}</span>' if cut else ""
        rows.append(
            f'<tr><th scope="row"><bdi>{html.escape(label)}</bdi></th><td>{boxes}{end}</td>'
            f'<td class="n">{len(pieces)}</td></tr>'
        )
    head = f'<tr><th>{word("labels")}</th><th>{word("pieces")}</th><th class="n">{word("count")}</th></tr>'
    return (
        f"<h4>{word('tokens')}</h4>{sentence('tokens_about', kind='zs-note')}"
        f'<div class="zs-scroll"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'
        + _more(len(classification.labels))
    )


def _more(total: int) -> str:
    return sentence("more_rows", kind="zs-note", n=total - MOST_ROWS) if total > MOST_ROWS else ""


# --- Numbers ---


def numbers(classification, *, chosen: int, temperature: float) -> str:
    """The formula with the live values of one label, then every label's cosine, logit and read-out."""
    z = logits(classification) / temperature
    softmax = classification.objective == "softmax"
    p = _softmax(z) if softmax else 1 / (1 + np.exp(-z))
    write = _softmax_formula if softmax else _sigmoid_formula
    formula = write(classification, z, p, chosen=chosen, temperature=temperature)
    return framed(formula, _table(classification, z, p, chosen=chosen))


def logits(classification) -> np.ndarray:
    """cosine x scale (+ bias), float64 (L,)."""
    cosines = np.asarray(classification.cosines, np.float64)
    return cosines * classification.logit_scale + (classification.logit_bias or 0.0)


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


def _softmax_formula(classification, z, p, *, chosen: int, temperature: float) -> str:
    cosine, scale = classification.cosines[chosen], classification.logit_scale
    top = [j for j in np.argsort(-z, kind="stable") if j != chosen][:2]
    shift = float(z.max())
    terms = " + ".join(f"e<sup>{signed(z[j] - shift, 2)}</sup>" for j in [chosen, *top])
    rest = " + …" if len(z) > len(top) + 1 else ""
    name, product = html.escape(classification.labels[chosen]), f"{signed(cosine, 4)} × {scale:.2f}"
    return (
        f'<div class="zs-formula"><div><var>z</var> = {_divided(product, temperature)} = '
        f"<b>{signed(z[chosen], 3)}</b></div>"
        f'<div>softmax(<bdi>{name}</bdi>) = <span class="zs-frac">'
        f"<span>e<sup>{signed(z[chosen] - shift, 2)}</sup></span><span>{terms}{rest}</span></span>"
        f" = <b>{p[chosen]:.4f}</b></div></div>" + sentence("softmax_note", kind="zs-note", shift=signed(shift, 2))
    )


def _sigmoid_formula(classification, z, p, *, chosen: int, temperature: float) -> str:
    cosine, scale, bias = classification.cosines[chosen], classification.logit_scale, classification.logit_bias
    sign = "−" if bias < 0 else "+"
    name = html.escape(classification.labels[chosen])
    inner = f"({signed(cosine, 4)} × {scale:.2f} {sign} {abs(bias):.2f})"
    return (
        f'<div class="zs-formula zs-right"><div><var>z</var> = {_divided(inner, temperature)} = '
        f"<b>{signed(z[chosen], 3)}</b></div>"
        f'<div>sigmoid(<bdi>{name}</bdi>) = <span class="zs-frac"><span>1</span>'
        f"<span>1 + e<sup>{signed(-z[chosen], 2)}</sup></span></span> = <b>{p[chosen]:.4f}</b></div></div>"
        + sentence("sigmoid_note", kind="zs-note")
    )


def _divided(inner: str, temperature: float) -> str:
    return inner if math.isclose(temperature, 1.0) else f"{inner} ÷ {temperature:.2f}"


def _table(classification, z, p, *, chosen: int) -> str:
    order = np.argsort(-z, kind="stable")[:MOST_ROWS]
    rows = "".join(
        f"<tr{' class=zs-on' if i == chosen else ''}>"
        f'<th scope="row"><bdi>{html.escape(classification.labels[i])}</bdi></th>'
        f'<td class="n">{signed(classification.cosines[i], 4)}</td><td class="n">{signed(z[i], 2)}</td>'
        f'<td class="n">{p[i]:.4f}</td></tr>'
        for i in order
    )
    head = "".join(f'<th class="n">{word(name)}</th>' for name in ("cosine", "logit", classification.objective))
    return (
        f'<div class="zs-scroll"><table><thead><tr><th>{word("labels")}</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>" + _more(len(z))
    )


def reliability(curves: Mapping | None) -> str:
    """The reliability curve of this model, or the sentence that it was not measured."""
    head = f"<h4>{word('reliability')}</h4>"
    if not curves:
        return framed(head, sentence("reliability_missing", kind="zs-note"))
    key = "".join(
        f"<li>{_SWATCH[language]}{word('ece_' + language, ece=format(curve.ece, '.3f'))}</li>"
        for language, curve in curves.items()
    )
    return framed(
        head,
        sentence("reliability_about"),
        charts.reliability(curves),
        f'<ul class="zs-key">{key}</ul>',
        sentence("ece_note", kind="zs-note"),
    )


_SWATCH = {
    language: f'<svg width="12" height="12" aria-hidden="true">{shape}</svg>'
    for language, shape in {
        "en": '<circle cx="6" cy="6" r="5" class="zs-mark zs-en"/>',
        "zh": '<rect x="1" y="1" width="10" height="10" class="zs-mark zs-zh"/>',
    }.items()
}
