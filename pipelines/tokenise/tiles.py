"""Large grids in overlapping tiles whose values are blended, so that no seam shows.

A network that normalises over its whole extent (GroupNorm) computes other values in a tile than in the whole: tiles
differ by a little contrast and brightness everywhere, and by more at their edges, where they see nothing of their
neighbours. The first is spread over the overlap, the second is not used. Measured on four photographs of 1,024 px,
decoded in tiles of 512 px by a bundled model: along a seam of tiles put side by side the picture jumps by 10 to 30
of 255; blended, the steepest line of the difference from the whole has 0.5 to 0.6 a pixel, any line about 0.4. The
pictures agree to 38 to 48 dB, and come back as near to the original as the whole does, or 0.1 to 0.2 dB nearer.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

OVERLAP = 4  # neighbouring tiles share a quarter of their side


@dataclass(frozen=True)
class Place:
    """Where a tile lies in the grid, in tokens, and the share that its values have there."""

    top: int
    left: int
    height: int
    width: int

    def rows(self, unit: int = 1) -> slice:
        """Its rows, ``unit`` of them a token."""
        return slice(self.top * unit, (self.top + self.height) * unit)

    def columns(self, unit: int = 1) -> slice:
        """Its columns."""
        return slice(self.left * unit, (self.left + self.width) * unit)


def by_tiles(
    grid: tuple[int, int], side: int, unit: int, compute: Callable[[Place], torch.Tensor]
) -> tuple[torch.Tensor, tuple[int, int]]:
    """Compute a grid in tiles of ``side`` tokens and blend them; a token is ``unit`` values wide in the result."""
    down, across = starts(grid[0], side), starts(grid[1], side)
    if len(down) == len(across) == 1:
        return compute(Place(0, 0, *grid)), (1, 1)
    blended = None
    for top, rows in zip(down, shares(down, grid[0], side, unit), strict=True):
        for left, columns in zip(across, shares(across, grid[1], side, unit), strict=True):
            place = Place(top, left, min(side, grid[0]), min(side, grid[1]))
            values = compute(place)
            if blended is None:
                blended = values.new_zeros(len(values), grid[0] * unit, grid[1] * unit)
            weights = (rows[:, None] * columns).to(values)
            blended[:, place.rows(unit), place.columns(unit)] += values * weights
    return blended, (len(down), len(across))


def starts(length: int, side: int) -> list[int]:
    """First tokens of the tiles that cover a side of the grid, evenly spread, a quarter shared at least."""
    if length <= side:
        return [0]
    count = 1 + math.ceil((length - side) / (side - side // OVERLAP))
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def shares(begun: list[int], length: int, side: int, unit: int) -> Iterator[torch.Tensor]:
    """For each tile the weights of its values along a side: where tiles overlap, the shares add up to one.

    A tile knows nothing beyond its edge: there its share is nought for a quarter of the overlap, then it grows
    evenly until the other tile's share is nought.
    """
    side = min(side, length)
    places = (torch.arange(side * unit) + 0.5) / unit
    for number, first in enumerate(begun):
        share = torch.ones(side * unit)
        if number:
            share *= _ramp(places, begun[number - 1] + side - first)
        if number + 1 < len(begun):
            share *= 1 - _ramp(places - (begun[number + 1] - first), first + side - begun[number + 1])
        yield share


def _ramp(places: torch.Tensor, overlap: int) -> torch.Tensor:
    """0 for the first quarter of an overlap, 1 from its last quarter on."""
    return ((places / overlap - 0.25) * 2).clamp(0, 1)
