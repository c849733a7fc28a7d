"""What the surgery panel says, as HTML in both languages, and the maps it lays over a picture. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from demos.shell.arrays import pack
from demos.shell.prose import Prose
from demos.shell.words import spans
from demos.tokenise import decoded

if TYPE_CHECKING:
    from pipelines.tokenise.surgery import Footprint

PROSE = Prose("tokenise", "tk")
BRIGHTEST = 24.0  # of 255: changes of that much and more get the brightest colour, so that faint ones show as well


def heading(name: str, *about: str) -> str:
    """A part of the panel: its title, and what it is for."""
    return PROSE.framed(f"<h4>{PROSE.word(name)}</h4>", *map(PROSE.sentence, about))


def reached(found: Footprint, *, cell: int) -> str:
    """How far one token reaches, in a sentence."""
    values = {
        "row": found.row + 1,
        "column": found.column + 1,
        "other": found.other,
        "cell": cell,
        "inside": f"{found.inside:.0%}",
        "around": f"{found.around:.0%}",
        "seen": f"{found.seen_px:.0f}",
        "reach": f"{found.reach_px:.0f}",
    }
    if not found.change.any():
        return PROSE.framed(PROSE.sentence("surgery_reach_none", **values))
    wide = found.reach_px > found.seen_px
    return PROSE.framed(
        PROSE.sentence("surgery_reach", **values),
        PROSE.sentence("surgery_reach_wide" if wide else "surgery_reach_near", **values),
    )


def over(found: Footprint) -> dict:
    """The footprint's map over the picture as it was before, for `HeatMap`; a large one averaged down."""
    brightest = max(1.0, min(BRIGHTEST, float(found.change.max())))
    px = -(-max(found.change.shape) // decoded.CHANGE_PX)
    values = decoded.averaged(found.change, px)
    height, width = (side * px for side in values.shape)
    return {
        "picture": found.before,
        "map": pack(values.astype(np.float16)),
        "box": (0, 0, width, height),
        "range": (0.0, brightest),
    }


def did(name: str, *, places: int, region: bool, **values) -> str:
    """The status line after an edit: what was done, and to how many tokens."""
    where = spans("tokenise.surgery_in_region" if region else "tokenise.surgery_in_all", n=places)
    return f"{PROSE.word(name, **values)} {where}"


def second(size: tuple[int, int], part: tuple[int, int], grid: tuple[int, int]) -> str:
    """What was done to the second picture. size: (H, W) that it was brought to; part: of its middle that was taken."""
    values = {"width": part[1], "height": part[0], "to_width": size[1], "to_height": size[0]}
    return PROSE.word("surgery_second_ready", **values, rows=grid[0], columns=grid[1])
