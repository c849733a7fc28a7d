"""A branch beside the run that it left: both pictures, how far they are apart, both curves. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from demos.text_to_image import curves
from demos.text_to_image.panel_views import difference, figure, framed, grid, percent, rms, sentence, word

VISIBLE_PERCENT = 3.0  # of full brightness: about 8 of 255 levels


@dataclass(frozen=True, eq=False)
class Fork:
    """Two futures of one step, k from 0 of n. was, now: (B, H, W, 3) uint8.

    was_fixed: the share fixed at each step of the run; now_fixed: the same of the branch, at `now_steps`.
    """

    was: np.ndarray
    now: np.ndarray
    k: int
    n: int
    was_fixed: Sequence[float]
    now_fixed: Sequence[float]
    now_steps: Sequence[float]


def fork(it: Fork) -> str:
    """Both pictures of the batch side by side, and in one number how far apart they are."""
    if it.was.shape != it.now.shape:
        raise ValueError(f"the two futures have shapes {it.was.shape} and {it.now.shape}")
    pairs = [
        figure(picture, word(name))
        for pair in zip(it.was, it.now, strict=True)
        for picture, name in zip(pair, ("branch_was", "branch_now"), strict=True)
    ]
    return framed(_said(it), grid(*pairs, columns=2))


def _said(it: Fork) -> str:
    where = {"k": it.k + 1, "n": it.n}
    if np.array_equal(it.was, it.now):
        return sentence("branch_equal", kind="t2i-lead", **where)
    share = float((difference_of(it) > VISIBLE_PERCENT).mean() * 100)
    values = {**where, "rms": percent(rms(it.was, it.now)), "share": f"{share:.0f} %"}
    return sentence("branch_differs", kind="t2i-lead", **values)


def difference_of(it: Fork) -> np.ndarray:
    """The first picture's difference map, in percent of full brightness."""
    return difference(it.was[0], it.now[0])


def fork_curves(it: Fork) -> str:
    """How much was fixed at each step, of the run and of the branch, each measured against its own last picture."""
    drawn = curves.two_fixed(it.was_fixed, curves.Line(it.now_steps, it.now_fixed))
    key = "".join(
        f'<li><svg class="t2i-chart" width="28" height="8" aria-hidden="true" style="width:28px;display:inline-block">'
        f'<path class="t2i-line t2i-{kind}" d="M0 4L28 4"/></svg>{word(name)}</li>'
        for kind, name in (("other", "branch_was"), ("main", "branch_now"))
    )
    return framed(f"<h4>{word('branch_curves')}</h4>", drawn, f'<ul class="t2i-key">{key}</ul>')
