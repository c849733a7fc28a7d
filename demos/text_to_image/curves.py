"""Small SVG curves over the steps of a run: noise left, share already fixed, spread of futures. Pure.

A curve is drawn once by Python; the page moves its marker, for which it gets the place of every step.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from demos.shell.words import say, svg_spans

WIDTH, HEIGHT = 420.0, 170.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 10.0, 36.0
LOWEST_SIGMA = 1e-3  # a last sigma of 0 has no logarithm; it is drawn at the axis


@dataclass(frozen=True)
class Curve:
    """svg: the drawing. x, y: the marker's place for each step, in the drawing's units, None without a value."""

    svg: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]

    def value(self) -> dict:
        """As the time machine takes it."""
        return {"svg": self.svg, "x": list(self.x), "y": list(self.y)}


@dataclass(frozen=True)
class Line:
    """A line of a chart: steps (from 0) and values, None or NaN where there is none; kind: "main" or "other"."""

    steps: Sequence[float]
    values: Sequence[float | None]
    kind: str = "main"


@dataclass(frozen=True)
class Plane:
    """Steps 0 .. n - 1 and values low .. high on the drawing."""

    n: int
    low: float
    high: float

    def x(self, step: float) -> float:
        share = step / (self.n - 1) if self.n > 1 else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)


def sigma(sigmas: Sequence[float]) -> Curve:
    """The noise left at each step, on a logarithmic scale: sigma = sqrt((1 - alpha_bar) / alpha_bar)."""
    logs = [math.log10(max(float(s), LOWEST_SIGMA)) for s in sigmas]
    low, high = math.floor(min(logs)), max(math.ceil(max(logs)), math.floor(min(logs)) + 1)
    plane = Plane(len(logs), low, high)
    stride = max(1, round((high - low) / 4))
    ticks = [(power, _power(power)) for power in range(low, high + 1, stride)]
    return _one(plane, logs, ticks=ticks, name="text_to_image.sigma_axis")


def fixed(shares: Sequence[float]) -> Curve:
    """How much of the final picture is already fixed at each step, 0 to 1."""
    ticks = [(share, f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1)]
    return _one(Plane(len(shares), 0.0, 1.0), list(shares), ticks=ticks, name="text_to_image.fixed_axis")


def two_fixed(was: Sequence[float], now: Line) -> str:
    """The share fixed of a run and, from where it left it, of its branch."""
    plane = Plane(max(len(was), int(max(now.steps, default=0)) + 1), 0.0, 1.0)
    ticks = [(share, f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1)]
    lines = [Line(range(len(was)), was, "other"), now]
    x = plane.x(now.steps[0])
    fork = f'<line class="t2i-fork" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
    return chart(plane, lines, ticks=ticks, name="text_to_image.fixed_axis", extra=fork)


def spread(tried: Sequence[tuple[int, float]], *, n: int) -> str:
    """The spread of the futures from each step that was tried: (step from 0, spread in percent of full brightness)."""
    points = sorted(tried)
    top = max((value for _, value in points), default=1.0) or 1.0
    top = math.ceil(top / 5) * 5
    ticks = [(value, f"{value:g} %") for value in (0, top / 2, top)]
    line = Line([k for k, _ in points], [value for _, value in points])
    return chart(Plane(n, 0.0, float(top)), [line], ticks=ticks, name="text_to_image.spread_axis", dots=True)


def chart(
    plane: Plane, lines: Sequence[Line], *, ticks: Sequence[tuple[float, str]], name: str, extra: str = "", dots=False
) -> str:
    """Axes and lines. name: the key of the value axis's name; ticks: (value, what is written there)."""
    body = "".join(_tick(plane, value, text) for value, text in ticks)
    body += "".join(_step_tick(plane, step) for step in _some_steps(plane.n))
    middle, named = (LEFT + WIDTH - RIGHT) / 2, svg_spans("text_to_image.step_axis")
    body += f'<text x="{middle:.1f}" y="{HEIGHT - 3}" text-anchor="middle">{named}</text>'
    body += extra
    for line in lines:
        places = [(plane.x(s), plane.y(v)) for s, v in zip(line.steps, line.values, strict=True) if _known(v)]
        if len(places) > 1:
            body += f'<path class="t2i-line t2i-{line.kind}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in places)}"/>'
        if dots:
            body += "".join(f'<circle class="t2i-dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in places)
    title = html.escape(f"{say(name, 'en')} / {say(name, 'zh')}")
    return (
        f'<svg class="t2i-chart" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{title}" '
        f'fill="currentColor">{body}</svg>'
    )


def _one(plane: Plane, values: Sequence[float], *, ticks, name: str) -> Curve:
    """A chart of one line with a marker that the page moves."""
    line = f'<line class="t2i-at" x1="0" x2="0" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
    marker = line + '<circle class="t2i-mark" r="5" cx="0" cy="0"/>'
    drawn = chart(plane, [Line(range(len(values)), values)], ticks=ticks, name=name, extra=marker)
    x = tuple(round(plane.x(i), 1) for i in range(len(values)))
    y = tuple(round(plane.y(v), 1) if _known(v) else None for v in values)
    return Curve(drawn, x, y)


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _tick(plane: Plane, value: float, text: str) -> str:
    y = plane.y(value)
    return (
        f'<line class="t2i-grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{html.escape(text)}</text>'
    )


def _step_tick(plane: Plane, step: int) -> str:
    return f'<text x="{plane.x(step):.1f}" y="{HEIGHT - BOTTOM + 14:.1f}" text-anchor="middle">{step + 1}</text>'


def _some_steps(n: int) -> list[int]:
    """First, last, and two between, as far as there are so many."""
    return sorted({round(share * (n - 1)) for share in (0, 1 / 3, 2 / 3, 1)})


def _power(power: int) -> str:
    return f"{10.0**power:g}" if -3 <= power <= 4 else f"1e{power}"
