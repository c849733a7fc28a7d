"""How bright a level of grey is: a topic as small as one can be."""

import time
from collections.abc import Iterator

from pipelines.runtime.errors import UserError

MOST = 255
STEP_S = 0.03  # as long as a small model's step


def brightness(level: int) -> float:
    """The share of white of an 8-bit level of grey, in [0, 1].

    Raises UserError outside 0..255.
    """
    if not 0 <= level <= MOST:
        raise UserError("errors.example_level", most=MOST)
    return level / MOST


def count_up(level: int) -> Iterator[float]:
    """The brightness of each level from 0 to `level` - 1, one a step."""
    for step in range(level):
        time.sleep(STEP_S)
        yield brightness(step)


def load(entry, placement):
    """What the catalogue's entry names as loader: here there is nothing to load."""
    return brightness
