import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from pipelines.tokenise.tiles import by_tiles, shares, starts

SIDES = st.integers(4, 40)


@given(st.integers(1, 200), SIDES)
def test_tiles_cover_a_side_and_share_at_least_a_quarter(length, side):
    begun = starts(length, side)
    if length <= side:
        assert begun == [0]
        return
    assert (begun[0], begun[-1] + side) == (0, length)
    steps = np.diff(begun)
    assert steps.min() > 0
    assert steps.max() <= side - side // 4


@given(st.integers(1, 200), SIDES, st.integers(1, 3))
def test_shares_add_up_to_one_everywhere(length, side, unit):
    total, begun = torch.zeros(length * unit), starts(length, side)
    for first, share in zip(begun, shares(begun, length, side, unit), strict=True):
        assert share.min() >= 0
        total[first * unit : first * unit + len(share)] += share
    torch.testing.assert_close(total, torch.ones_like(total))


def test_what_sees_only_a_few_neighbours_is_the_same_in_tiles_and_whole():
    """A blur that reaches one token: less than the part of the overlap where a tile has no share."""
    grid = torch.rand(3, 41, 23)
    kernel = torch.rand(3, 1, 3, 3)

    def blurred(values: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(values[None], kernel, padding=1, groups=3)[0]

    computed, tiles = by_tiles((41, 23), 16, 1, lambda place: blurred(grid[:, place.rows(), place.columns()]))
    assert tiles == (4, 2)
    torch.testing.assert_close(computed, blurred(grid))


def test_a_grid_that_fits_is_computed_once_and_not_touched():
    whole = torch.rand(3, 8, 8)
    computed, tiles = by_tiles((4, 4), 4, 2, lambda place: whole)
    assert computed is whole
    assert tiles == (1, 1)


@pytest.mark.parametrize("unit", [1, 8])
def test_what_differs_from_tile_to_tile_changes_evenly(unit):
    """Tiles of flat colours: the step of the blend is the whole difference over half of the overlap."""
    colours = iter((0.0, 1.0))
    computed, tiles = by_tiles((16, 28), 16, unit, lambda place: torch.full((1, 16 * unit, 16 * unit), next(colours)))
    assert tiles == (1, 2)
    steps = computed.diff(dim=2)
    assert steps.min() >= 0
    assert steps.max() == pytest.approx(1 / (0.5 * 4 * unit), rel=1e-4)
    assert (computed[0, 0, 0], computed[0, 0, -1]) == (0, 1)
