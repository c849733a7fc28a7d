"""What is known to lie under the marks, where an example has masks known to the pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from demos.segment import examples
from demos.shell.examples import table

if TYPE_CHECKING:
    from pipelines.segment.marks import Prompt


@dataclass(frozen=True, eq=False)
class Truth:
    """An object of an example. name: {"en", "zh"}. mask: (H, W) bool."""

    name: dict[str, str]
    mask: np.ndarray


@cache
def of(example_id: str) -> tuple[Truth, ...]:
    """The objects of an example; none where nothing is known. They overlap: a cup, and the coffee in it."""
    known = examples.find(example_id)
    if known is None or known.masks is None:
        return ()
    objects = table()[known.id]["objects"]
    with Image.open(known.masks) as file:
        index = np.asarray(file)
    return tuple(Truth(each["name"], np.isin(index, each["regions"])) for each in objects)


def meant(known: Sequence[Truth], prompt: Prompt) -> tuple[Truth, ...]:
    """The objects that the marks can mean: under every positive click and under no negative one.

    With a box alone, those of which the greater part lies in it.
    """
    if not prompt.points:
        return tuple(truth for truth in known if prompt.box is not None and _mostly_in(truth.mask, prompt.box))
    return tuple(
        truth for truth in known if all(bool(truth.mask[click.y, click.x]) == click.positive for click in prompt.points)
    )


def _mostly_in(mask: np.ndarray, box: tuple[float, float, float, float]) -> bool:
    x0, y0, x1, y1 = (round(edge) for edge in box)
    return 2 * mask[y0:y1, x0:x1].sum() > mask.sum()
