"""Small SVG charts of the zero-shot tab: numbers in, escaped SVG in both languages out.

Colours are the page's own (currentColor and the classes of `views.css`), so that dark mode needs nothing. A series is
told apart by its shape or dash as well as by its colour.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from demos.shell.words import say, svg_spans

TENTHS = (0, 0.2, 0.4, 0.6, 0.8, 1)


@dataclass(frozen=True)
class Plane:
    """Data coordinates on a drawing of `width` x `height` units with room for the axes."""

    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    width: float = 380
    height: float = 250
    left: float = 44
    right: float = 14
    top: float = 12
    bottom: float = 40

    def x(self, value: float) -> float:
        low, high = self.x_range
        return self.left + (value - low) / (high - low) * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.height - self.bottom - (value - low) / (high - low) * (self.height - self.top - self.bottom)

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        """The `d` of a line through data points."""
        return "M" + "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)


def svg(plane: Plane, body: str, *, name: str) -> str:
    """The drawing with its name for a screen reader, in both languages by <title>'s plain text."""
    title = html.escape(f"{say(name, 'en')} / {say(name, 'zh')}")
    return (
        f'<svg class="zs-chart numbers" viewBox="0 0 {plane.width:g} {plane.height:g}" role="img" '
        f'aria-label="{title}" fill="currentColor">{body}</svg>'
    )


def text(x: float, y: float, content: str, *, anchor: str = "start", kind: str = "zs-soft") -> str:
    """A line of SVG text; `content` is already escaped."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{content}</text>'


def axes(plane: Plane, *, x_name: str, y_name: str, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> str:
    """Grid lines, tick numbers and the two names."""
    left, bottom = plane.left, plane.height - plane.bottom
    parts = [_level(plane, v) + text(left - 6, plane.y(v) + 4, f"{v:g}", anchor="end") for v in y_ticks]
    parts += [text(plane.x(v), bottom + 15, f"{v:g}", anchor="middle") for v in x_ticks]
    parts.append(text((left + plane.width - plane.right) / 2, plane.height - 6, svg_spans(x_name), anchor="middle"))
    middle = (plane.top + bottom) / 2
    name = text(11, middle, svg_spans(y_name), anchor="middle")
    return "".join(parts) + f'<g transform="rotate(-90 11 {middle:.1f})">{name}</g>'


def _level(plane: Plane, value: float) -> str:
    y = plane.y(value)
    return f'<line x1="{plane.left}" x2="{plane.width - plane.right}" y1="{y:.1f}" y2="{y:.1f}" class="zs-grid"/>'


def reliability(curves: Mapping) -> str:
    """Said probability against the share that was right, a line for each language: {"en": Reliability, "zh": ...}.

    A bin without pictures is left out. The area of a mark grows with the number of pictures behind it.
    """
    plane = Plane()
    body = axes(plane, x_name="zero_shot.said_axis", y_name="zero_shot.right_axis", x_ticks=TENTHS, y_ticks=TENTHS)
    body += f'<path d="{plane.path([(0, 0), (1, 1)])}" class="zs-diagonal"/>'
    for language, curve in curves.items():
        bins = [one for one in curve.bins if one.n]
        most = max((one.n for one in bins), default=1)
        if len(bins) > 1:
            body += f'<path d="{plane.path((one.said, one.right) for one in bins)}" class="zs-line zs-{language}"/>'
        for one in bins:
            size = 2.5 + 4.5 * (one.n / most) ** 0.5
            title = f"{one.said:.2f} → {one.right:.2f} (n = {one.n})"
            body += _mark(language, plane.x(one.said), plane.y(one.right), size, title)
    return svg(plane, body, name="zero_shot.reliability")


def _mark(language: str, x: float, y: float, size: float, title: str) -> str:
    """A circle for English, a square for Chinese."""
    title = f"<title>{html.escape(title)}</title>"
    if language == "en":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}" class="zs-mark zs-en">{title}</circle>'
    return (
        f'<rect x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size:.1f}" height="{2 * size:.1f}" '
        f'class="zs-mark zs-zh">{title}</rect>'
    )


def deletion(
    fractions: Sequence[float],
    ordered: Sequence[float],
    random_mean: Sequence[float],
    *,
    low: Sequence[float],
    high: Sequence[float],
) -> str:
    """The score while patches are deleted: hottest first, beside the band of the random orders.

    While the test still runs a value that is yet to come is NaN; each curve is drawn as far as it is known.
    """
    values = [float(v) for v in (*ordered, *low, *high) if math.isfinite(v)] or [0.0, 1.0]
    bottom, top = min(values), max(values)
    margin = 0.08 * (top - bottom) or 0.5
    plane = Plane(y_range=(bottom - margin, top + margin), left=60)
    body = axes(plane, x_name="zero_shot.deleted_axis", y_name="zero_shot.score_axis", x_ticks=TENTHS, y_ticks=[])
    for v in (bottom, (bottom + top) / 2, top):
        body += _level(plane, v) + text(plane.left - 6, plane.y(v) + 4, _signed(v), anchor="end")
    band = [*_known(fractions, high), *reversed(_known(fractions, low))]
    if len(band) > 4:
        body += f'<path d="{plane.path(band)}Z" class="zs-band"/>'
    for values, kind in ((random_mean, "zs-line zs-random"), (ordered, "zs-line zs-ordered")):
        points = _known(fractions, values)
        if len(points) > 2:
            body += f'<path d="{plane.path(points)}" class="{kind}"/>'
    for fraction, score in _known(fractions, ordered):
        body += f'<circle cx="{plane.x(fraction):.1f}" cy="{plane.y(score):.1f}" r="2.6" class="zs-mark zs-ordered"/>'
    return svg(plane, body, name="zero_shot.deletion")


def _known(fractions: Sequence[float], scores: Sequence[float]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in zip(fractions, scores, strict=True) if math.isfinite(y)]


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def dots(labels: Sequence[str], probabilities, *, names: Sequence[str], most: int = 8) -> str:
    """A row for each label, a dot for each template; the ensemble, last, is a large diamond.

    probabilities: (T + 1, L), each row sums to 1. Labels are ordered by the ensemble; the first `most` are drawn.
    """
    order = sorted(range(len(labels)), key=lambda i: -probabilities[-1][i])[:most]
    row, room = 34, 130
    plane = Plane(height=row * len(order) + 46, left=room, top=6, bottom=40, right=18)
    bottom = plane.height - plane.bottom
    body = "".join(
        f'<line x1="{plane.x(v):.1f}" x2="{plane.x(v):.1f}" y1="{plane.top}" y2="{bottom}" class="zs-grid"/>'
        + text(plane.x(v), bottom + 15, f"{v:g}", anchor="middle")
        for v in (0, 0.25, 0.5, 0.75, 1)
    )
    for k, i in enumerate(order):
        y = plane.top + row * (k + 0.5)
        body += text(room - 10, y + 4, _short(labels[i], room), anchor="end", kind="zs-name")
        for t, name in enumerate(names):
            p = float(probabilities[t][i])
            body += _dot(plane.x(p), y, last=t == len(names) - 1, first=t == 0, title=f"{name}: {p:.2f}")
    body += text((room + plane.width) / 2, plane.height - 6, svg_spans("zero_shot.share_axis"), anchor="middle")
    return svg(plane, body, name="zero_shot.lab")


def _short(label: str, room: float) -> str:
    """The label, cut to about the room that there is (a Chinese sign is twice as wide), escaped."""
    width, kept = 0.0, ""
    for sign in label:
        width += 12.5 if ord(sign) > 0x2E80 else 7.2
        if width > room - 22:
            return html.escape(kept) + "…"
        kept += sign
    return html.escape(kept)


def _dot(x: float, y: float, *, first: bool, last: bool, title: str) -> str:
    title = f"<title>{html.escape(title)}</title>"
    if last:
        return f'<path d="M{x:.1f} {y - 8:.1f}l8 8-8 8-8-8z" class="zs-mark zs-ordered">{title}</path>'
    if first:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5" class="zs-hollow">{title}</circle>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="zs-mark zs-zh">{title}</circle>'
