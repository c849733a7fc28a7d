"""Four futures of one step: what they draw, how far they spread, and what x0-hat is to them. Pure: no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from demos.text_to_image import curves
from demos.text_to_image.panel_views import figure, framed, grid, percent, rms, sentence, word

CLEARLY = 0.9  # x0-hat is called the average where it is at least a tenth nearer to it than to any single future


def row(eta: float, pictures: np.ndarray, *, k: int, finished: bool) -> str:
    """A row of futures (count, H, W, 3) uint8 of step k (from 0) under its eta; unfinished ones are shown as x0-hat."""
    name = {0.0: "eta_zero", 1.0: "eta_one"}.get(eta, "eta_between")
    told = word(name, eta=f"{eta:g}", k=k + 1)
    if finished:
        told += " " + (
            word("futures_same") if same(pictures) else word("futures_apart", spread=percent(apart(pictures)))
        )
    shown = grid(*(figure(picture, word("future", i=i + 1)) for i, picture in enumerate(pictures)), columns=4)
    return framed(f'<p class="t2i-row-name">{told}</p>', shown)


def same(pictures: np.ndarray) -> bool:
    """Whether all futures are one picture, to the bit."""
    return bool((pictures == pictures[:1]).all())


def apart(pictures: np.ndarray) -> float:
    """How far the futures lie from their mean, in percent of full brightness: the root mean square over everything."""
    pictures = pictures.astype(np.float64)
    return rms(pictures, pictures.mean(axis=0, keepdims=True))


def average(futures, *, k: int) -> str:
    """x0-hat at step k (from 0) beside the mean of the `Futures`, and which of them it is nearest to."""
    x0, count = futures.x0_picture, len(futures.pictures)
    to_mean, to_each = rms(x0, futures.mean_picture), [rms(x0, picture) for picture in futures.pictures]
    shown = grid(
        figure(x0, word("futures_x0", k=k + 1)),
        figure(futures.mean_picture, word("futures_mean", count=count)),
        columns=2,
    )
    rows = [(word("to_mean"), to_mean, "t2i-near"), *((word("to_one", i=i + 1), d, "") for i, d in enumerate(to_each))]
    return framed(shown, _verdict(to_mean, to_each), _distances(rows), _in_latents(futures, count))


def _verdict(to_mean: float, to_each: Sequence[float]) -> str:
    """What the distances say, whichever way they fall."""
    values = {"mean": percent(to_mean), "nearest": percent(min(to_each)), "farthest": percent(max(to_each))}
    clearly = to_mean < CLEARLY * min(to_each)
    return sentence("x0_is_mean" if clearly else "x0_is_not_mean", kind="t2i-lead", **values)


def _in_latents(futures, count: int) -> str:
    """The test of the average: the mean of N independent draws lies 1 / sqrt(N) as far from it as a single one."""
    if not futures.distance:
        return ""
    ratio = futures.mean_distance / futures.distance
    values = {"mean": f"{futures.mean_distance:.3f}", "one": f"{futures.distance:.3f}", "ratio": f"{ratio:.2f}"}
    return sentence("in_latents", kind="t2i-note", **values, expected=f"{count**-0.5:.2f}", count=count)


def _distances(rows: Sequence[tuple[str, float, str]]) -> str:
    most = max(distance for _, distance, _ in rows) or 1.0
    lines = "".join(
        f'<div class="{kind}"><span>{name}</span><span><i style="width:{100 * distance / most:.0f}%"></i></span>'
        f"<span>{percent(distance)}</span></div>"
        for name, distance, kind in rows
    )
    return f'<p class="t2i-note">{word("distances_about")}</p><div class="t2i-distances">{lines}</div>'


def tried(points: dict[int, float], *, n: int) -> str:
    """The spread from every step that was tried for this run."""
    pairs = sorted(points.items())
    return framed(f"<h4>{word('tried')}</h4>", sentence("tried_about", kind="t2i-note"), curves.spread(pairs, n=n))
