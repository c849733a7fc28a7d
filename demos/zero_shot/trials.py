"""The demonstrations below the quarrel -> HTML: template lab, break it, the test of an evidence map.

Pure, as `views.py`: no gradio, no torch; whatever a visitor made is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from demos.zero_shot import charts
from demos.zero_shot.views import framed, jpeg, probability, read_out, sentence, word

_DOTS = {
    name: f'<svg width="14" height="14" aria-hidden="true">{shape}</svg>'
    for name, shape in {
        "bare": '<circle cx="7" cy="7" r="5" class="zs-hollow"/>',
        "one": '<circle cx="7" cy="7" r="4.5" class="zs-mark zs-zh"/>',
        "ensemble": '<path d="M7 0l7 7-7 7-7-7z" class="zs-mark zs-ordered"/>',
    }.items()
}


# --- template lab ---


def lab(templates: Sequence[str], labels: Sequence[str], probabilities: np.ndarray) -> str:
    """Dots for each label and the winner under each template.

    templates: T texts, the bare "{}" first. probabilities: (T + 1, L), the ensemble's last.
    """
    winners = probabilities.argmax(axis=1)
    changed = len(set(winners.tolist()))
    verdict = sentence("lab_steady" if changed == 1 else "lab_moves", kind="zs-verdict", n=changed)
    key = "".join(f"<li>{_DOTS[name]}{word('lab_' + name)}</li>" for name in ("bare", "one", "ensemble"))
    chart = charts.dots(labels, probabilities, names=[*templates, "Σ"])
    return framed(verdict, f'<ul class="zs-key">{key}</ul>', chart, _winners(templates, labels, probabilities))


def _winners(templates, labels, probabilities) -> str:
    rows = ""
    for t, p in enumerate(probabilities):
        last = t == len(templates)
        name = word("lab_ensemble") if last else f"<code>{html.escape(templates[t])}</code>"
        best = int(p.argmax())
        rows += (
            f"<tr{' class=zs-on' if last else ''}><td>{name}</td><td><bdi>{html.escape(labels[best])}</bdi></td>"
            f'<td class="n">{probability(float(p[best]))}</td></tr>'
        )
    head = f'<th>{word("template")}</th><th>{word("winner")}</th><th class="n">{word("its_share")}</th>'
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


# --- break it ---


@dataclass(frozen=True, eq=False)
class Try:
    """One of the four pictures: kind is "before", "words", "letters" or "blank"."""

    kind: str
    pixels: np.ndarray
    classification: object


def attack(tries: Sequence[Try], typed: str) -> str:
    """The pictures side by side, each with its bars, and what happened in one sentence.

    The labels shown are the same under each picture: the first three of the untouched one, and the typed word
    where it is among the labels.
    """
    before = read_out(tries[0].classification)
    labels = tries[0].classification.labels
    shown = [int(i) for i in np.argsort(-before, kind="stable")[:3]]
    target = _named(labels, typed)
    if target is not None and target not in shown:
        shown = [*shown[:2], target]
    figures = "".join(_figure(one, shown, target) for one in tries)
    return framed(_happened(tries, target), f'<div class="zs-tries">{figures}</div>')


def _named(labels: Sequence[str], typed: str) -> int | None:
    folded = [label.casefold() for label in labels]
    return folded.index(typed.strip().casefold()) if typed.strip().casefold() in folded else None


def _figure(one: Try, shown: Sequence[int], target: int | None) -> str:
    p = read_out(one.classification)
    bars = "".join(
        f"<span{' class=zs-typed' if i == target else ''}><bdi>{html.escape(one.classification.labels[i])}</bdi></span>"
        f'<span><i style="width:{100 * float(p[i]):.0f}%"></i></span><span>{probability(float(p[i]))}</span>'
        for i in shown
    )
    caption = f"<figcaption>{word('try_' + one.kind)}</figcaption>"
    return f'<figure><img src="{jpeg(one.pixels)}" alt="">{caption}<div class="zs-bars">{bars}</div></figure>'


def _happened(tries: Sequence[Try], target: int | None) -> str:
    """Words attack if they alone make the typed label win; the patch only covers if the controls do as much."""
    best = {one.kind: int(read_out(one.classification).argmax()) for one in tries}
    moved = {kind: best[kind] != best["before"] for kind in ("words", "letters", "blank")}
    if not moved["words"]:
        name = "attack_resisted"
    elif target is not None and best["words"] == target and not (moved["letters"] or moved["blank"]):
        name = "attack_read"
    elif moved["letters"] or moved["blank"]:
        name = "attack_covered"
    else:
        name = "attack_moved"
    return sentence(name, kind="zs-verdict", label=tries[0].classification.labels[best["words"]])


def expectation(measured: Mapping | None) -> str:
    """What to expect of this model, measured on val pictures: {"words_en": OverlayTest, "words_zh": OverlayTest}."""
    if not measured:
        return framed(sentence("expect_missing", kind="zs-note"))
    rows = ""
    for name in ("words_en", "words_zh"):
        if name in measured:
            m = measured[name]
            cells = "".join(
                f'<td class="n">{100 * share:.0f} %</td>'
                for share in (m.top1_before, m.top1_words, m.top1_letters, m.top1_blank, m.follows_word)
            )
            rows += f'<tr><th scope="row">{word("expect_" + name)}</th>{cells}<td class="n">{m.n:,}</td></tr>'
    heads = "".join(
        f'<th class="n">{word(name)}</th>'
        for name in ("expect_before", "expect_words", "expect_letters", "expect_blank", "expect_follows", "expect_n")
    )
    return framed(
        f"<h4>{word('expect')}</h4>",
        sentence("expect_about"),
        f'<div class="zs-scroll"><table><thead><tr><th></th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>',
    )


# --- evidence ---


def deletion(test) -> str:
    """The curves of a `DeletionTest`, as far as they are known, and what they say once all are."""
    key = f"<li>{_LINES['ordered']}{word('line_ordered')}</li><li>{_LINES['random']}{word('line_random')}</li>"
    chart = charts.deletion(test.fractions, test.ordered, test.random_mean, low=test.random_low, high=test.random_high)
    return framed(_passed(test), f'<ul class="zs-key">{key}</ul>', chart)


_LINES = {
    "ordered": '<svg width="26" height="10" aria-hidden="true"><path d="M0 5h26" class="zs-line zs-ordered"/></svg>',
    "random": '<svg width="26" height="10" aria-hidden="true"><path d="M0 5h26" class="zs-line zs-random"/></svg>',
}


def _passed(test) -> str:
    """A map passes where its order's mean score lies below that of every random order."""
    if test.done < test.total:
        return sentence("deletion_running", kind="zs-note")
    ordered, mean = float(np.mean(test.ordered)), float(np.mean(test.random_mean))
    low = float(np.asarray(test.random).mean(axis=1).min())
    name = "deletion_passed" if ordered < low else "deletion_weak" if ordered < mean else "deletion_failed"
    return sentence(name, kind="zs-verdict")
