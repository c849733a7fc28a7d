"""Steps of filling -> the frames and curves that the page scrubs through. Pure: no gradio, no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from demos.shell.components import colours
from demos.shell.components.film import frames
from demos.shell.prose import Prose

if TYPE_CHECKING:
    from pipelines.tokenise.fill import Filling

LONGEST_PX = 512  # of a frame
PAPER, LINE = (58, 55, 51), (138, 132, 123)  # of the hatching, as the board draws it
STRIPE_PX = 8
FADED = 0.25  # how much is left of the colours of what was never hidden
PROSE = Prose("tokenise", "tk")


def about() -> str:
    """What the panel is, and what to expect of the bundled stage."""
    return PROSE.framed(PROSE.sentence("fill_about"), PROSE.sentence("fill_small", kind="tk-note"))


def hatched(pixels: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 with the hidden cells hatched; hidden: (H, W) bool."""
    height, width = hidden.shape
    y, x = np.mgrid[:height, :width]
    striped = np.where(((x + y) % STRIPE_PX < 2)[..., None], LINE, PAPER)
    return np.where(hidden[..., None], striped, pixels).astype(np.uint8)


def in_pixels(cells: np.ndarray, *, cell: int, size: tuple[int, int]) -> np.ndarray:
    """(h, w) of cells to (H, W) of pixels, what was padded cut off."""
    return cells.repeat(cell, axis=0).repeat(cell, axis=1)[: size[0], : size[1]]


def coloured(values: np.ndarray, *, most: float) -> np.ndarray:
    """(h, w) from 0 to `most` -> (h, w, 3) uint8 in the app's sequential colours."""
    places = np.clip(np.rint(255 * values / most), 0, 255).astype(int)
    return _table()[places]


def confidence(steps: Sequence[Filling], hole: np.ndarray) -> np.ndarray:
    """(h, w) float32: of each code that was committed so far, how probable it was then; NaN elsewhere."""
    shown = np.full(hole.shape, np.nan, np.float32)
    for step in steps:
        shown[step.committed] = step.confidence[step.committed]
    return shown


def entropy(step: Filling) -> np.ndarray:
    """(h, w) float32, in bits, of the places that were hidden before the step; NaN elsewhere."""
    return np.where(step.committed | (step.indices == step.hidden), step.entropy, np.nan)


def picture(pixels: np.ndarray, step: Filling, *, cell: int) -> np.ndarray:
    """The picture so far, hidden cells hatched."""
    hidden = in_pixels(step.indices == step.hidden, cell=cell, size=pixels.shape[:2])
    return fitted(hatched(pixels, hidden))


def over_hole(values: np.ndarray, hole: np.ndarray, *, most: float, cell: int, size: tuple[int, int]) -> np.ndarray:
    """A map as a picture: coloured where there is a value, hatched in the rest of the hole, grey beside it."""
    known = np.isfinite(values)
    cells = np.where(known[..., None], coloured(np.nan_to_num(values), most=most), 128).astype(np.uint8)
    large = np.stack([in_pixels(cells[..., k], cell=cell, size=size) for k in range(3)], axis=-1)
    return fitted(hatched(large, in_pixels(hole & ~known, cell=cell, size=size)))


def fitted(pixels: np.ndarray) -> np.ndarray:
    """Made smaller where a side is over LONGEST_PX; cells stay sharp."""
    factor = -(-max(pixels.shape[:2]) // LONGEST_PX)
    return pixels[::factor, ::factor] if factor > 1 else pixels


def frame(pixels: np.ndarray, steps: Sequence[Filling], hole: np.ndarray, *, cell: int, codes: int) -> dict:
    """What the film takes after the last of these steps: three pictures, and the curves so far.

    pixels: (H, W, 3) uint8, the picture of that step. hole: (h, w) bool, all that was to be filled. Confidence is
    coloured by its square root: of a thousand codes even a good guess seldom has a tenth of the probability.
    """
    last, size = steps[-1], pixels.shape[:2]
    pictures = (
        picture(pixels, last, cell=cell),
        over_hole(np.sqrt(confidence(steps, hole)), hole, most=1.0, cell=cell, size=size),
        over_hole(entropy(last), np.zeros_like(hole), most=math.log2(codes), cell=cell, size=size),
    )
    return {
        **frames(last.step - 1, last.steps, [pictures]),
        "count": int(hole.sum()),
        "bits": math.log2(codes),
        "points": [point(step) for step in steps],
    }


def point(step: Filling) -> dict:
    """Of one step: {"left", "committed", "confidence" (mean), "entropy" (mean over what was hidden, in bits)}."""
    asked = step.committed | (step.indices == step.hidden)
    return {
        "left": step.left,
        "committed": int(step.committed.sum()),
        "confidence": _mean(step.confidence[step.committed]),
        "entropy": _mean(step.entropy[asked]),
    }


def _mean(values: np.ndarray) -> float | None:
    return round(float(values.mean()), 4) if values.size else None


def _table() -> np.ndarray:
    return np.frombuffer(bytes.fromhex(colours.stored()["sequential"]), np.uint8).reshape(256, 3)
