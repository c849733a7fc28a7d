"""Frames that arrive one by one, then scrub and play in the browser without asking the server.

    film = Film(strips=("segment.strip_noisy", "segment.strip_clean"))
    yield frame(i, n, noisy, clean)

Yield the frames in order from 0; each costs about 5 ms at 512 px, against 113 (PNG) and 192 (WebP) with gr.Image.
Where steps are quicker than the page, yield several at once: `frames(i, n, [(noisy, clean), ...])`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from demos.shell.components import door
from demos.shell.components.parts import script, template
from demos.shell.components.shown import Shown

LONGEST_PX = 1024
WORDS = ["step", "step_of", "play", "pause", "no_frames"]


class Film(Shown):
    """strips: the key of each strip's caption; one strip without a caption if left out. Python gets nothing from it."""

    def __init__(self, value: Mapping | None = None, *, strips: Sequence[str] = (), **kwargs: Any):
        captions = [door.in_both(key) for key in strips] or [{"en": "", "zh": ""}]
        super().__init__(
            value,
            html_template=template("film.html"),
            css_template=template("film.css"),
            js_on_load=script("common.js", "film.js"),
            apply_default_css=False,
            words=[f"components.{name}" for name in WORDS],
            strips=captions,
            **kwargs,
        )

    def postprocess(self, value: Mapping | None) -> dict | None:
        return None if value is None else dict(value)


def frame(i: int, n: int, *pictures: np.ndarray, first: int = 0) -> dict:
    """Frame `i` of `n`, from 0: a picture (H, W, 3) of uint8 for each strip.

    first: how many steps stand before frame 0, where the film begins in the middle of a run.
    """
    return frames(i, n, [pictures], first=first)


def frames(i: int, n: int, several: Sequence[Sequence[np.ndarray]], *, first: int = 0, quick: bool = False) -> dict:
    """Frames `i` and following of `n`; a whole film, if `i` is 0 and there are `n` of them.

    quick: small frames as JPEG too, in a fifth of the time, for previews of work that waits for them.
    """
    if not 0 <= i <= i + len(several) - 1 < n:
        raise ValueError(f"frame {i + len(several) - 1} is not one of {n}")
    shown = [[_address(one, quick) for one in pictures] for pictures in several]
    return {"i": i, "n": n, "first": first, "frames": shown}


def _address(pixels: np.ndarray, quick: bool) -> str:
    return door.data_url(*door.encoded(pixels, longest=LONGEST_PX, quick=quick))
