"""The ambiguity ladder -> what its cards say, and the curve of the spread over clicks. Pure: no gradio, no torch."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from demos.segment.views import framed, sentence, word
from demos.shell.words import say, svg_spans

WIDTH, HEIGHT = 420.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 10.0, 40.0
LEAST_CLICKS = 5  # the axis is at least so long


@dataclass(frozen=True)
class Measured:
    """How the spread went on objects of val, clicked as the protocol says. means: after 1, 2, ... clicks.

    second, further: share of the objects for which the second click, and any further click, made it smaller.
    """

    n: int
    pictures: int
    means: tuple[float, ...]
    second: float
    further: float


def measured(figures: Mapping) -> Measured | None:
    """What `figures.json` of the model's folder says of the spread; None where it says nothing."""
    val = figures.get("sets", {}).get("val")
    if not isinstance(val, Mapping) or not {"spread", "shrinks", "shrinks_any"} <= set(val):
        return None
    return Measured(
        n=int(val["n"]),
        pictures=int(val["pictures"]),
        means=tuple(float(mean) for mean in val["spread"]["mean"]),
        second=float(val["shrinks"]["mean"][0]),
        further=float(val["shrinks_any"]["mean"][0]),
    )


def why(*, token: int, best: int, chosen: bool) -> str:
    """The key's end of the sentence that says why this mask is shown."""
    if chosen:
        return "ladder_why_chosen"
    return "ladder_why_best" if token == best else "ladder_why_single"


def finite(value: float) -> float | None:
    """A number that JSON can hold: the stability of an empty mask is not one."""
    return float(value) if math.isfinite(value) else None


def spread(history: Mapping[int, float], known: Measured | None) -> str:
    """The spread after each mark of this object, beside what was measured; a sentence for each.

    history: {number of marks, from 1: spread, 0 to 1}.
    """
    if not history:
        return framed(sentence("spread_none", kind="sg-note"))
    now = max(history)
    told = [sentence("spread_now", n=now, spread=f"{history[now]:.2f}"), *_change(history), chart(history, known)]
    if known is not None:
        told.append(_key())
        told.append(_measured(known))
    return framed(f"<h4>{word('spread')}</h4>", *told)


def _measured(known: Measured) -> str:
    return sentence(
        "spread_measured",
        n=known.n,
        pictures=known.pictures,
        second=f"{known.second:.0%}",
        further=f"{known.further:.0%}",
        last=len(known.means),
        first_mean=f"{known.means[0]:.2f}",
        last_mean=f"{known.means[-1]:.2f}",
    )


def _change(history: Mapping[int, float]) -> list[str]:
    first, last = min(history), max(history)
    if first == last:
        return [sentence("spread_one", kind="sg-note")]
    name = "spread_smaller" if history[last] < history[first] else "spread_larger"
    return [sentence(name, first=first, last=last, was=f"{history[first]:.2f}", now=f"{history[last]:.2f}")]


def chart(history: Mapping[int, float], known: Measured | None) -> str:
    """Dots joined by a line: this object; a dashed line with squares: the mean that was measured."""
    most = max(LEAST_CLICKS, max(history), len(known.means) if known else 0)
    body = "".join(_level(share) for share in (0, 0.5, 1))
    body += "".join(_tick(n, most) for n in range(1, most + 1) if most <= 12 or n % math.ceil(most / 10) == 1)
    middle = (LEFT + WIDTH - RIGHT) / 2
    body += f'<text x="{middle:.1f}" y="{HEIGHT - 4}" text-anchor="middle">{svg_spans("segment.spread_axis")}</text>'
    if known is not None:
        places = [(_x(n, most), _y(mean)) for n, mean in enumerate(known.means, start=1)]
        body += _path(places, "sg-other") + "".join(
            f'<rect class="sg-square" x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"/>' for x, y in places
        )
    places = [(_x(n, most), _y(history[n])) for n in sorted(history)]
    body += _path(places, "sg-line") + "".join(
        f'<circle class="sg-dot" cx="{x:.1f}" cy="{y:.1f}" r="5"/>' for x, y in places
    )
    values = ", ".join(f"{n}: {history[n]:.2f}" for n in sorted(history))
    title = html.escape(f"{say('segment.spread', 'en')} / {say('segment.spread', 'zh')}: {values}")
    return f'<svg class="sg-chart" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{title}">{body}</svg>'


def _key() -> str:
    mine = '<svg viewBox="0 0 30 12" width="30" height="12" aria-hidden="true"><path class="sg-line" d="M1 6H29"/>'
    mine += '<circle class="sg-dot" cx="15" cy="6" r="4.5"/></svg>'
    mean = '<svg viewBox="0 0 30 12" width="30" height="12" aria-hidden="true"><path class="sg-other" d="M1 6H29"/>'
    mean += '<rect class="sg-square" x="11.5" y="2.5" width="7" height="7"/></svg>'
    return f'<ul class="sg-key"><li>{mine}{word("spread_here")}</li><li>{mean}{word("spread_mean")}</li></ul>'


def _x(n: int, most: int) -> float:
    return LEFT + (n - 1) / max(most - 1, 1) * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)


def _level(share: float) -> str:
    y = _y(share)
    return (
        f'<line class="sg-grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share:g}</text>'
    )


def _tick(n: int, most: int) -> str:
    return f'<text x="{_x(n, most):.1f}" y="{HEIGHT - BOTTOM + 16:.1f}" text-anchor="middle">{n}</text>'


def _path(places: Sequence[tuple[float, float]], kind: str) -> str:
    return f'<path class="{kind}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in places)}"/>' if len(places) > 1 else ""
