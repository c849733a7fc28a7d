"""Frames of the film: hatching, colours of the maps, what stands where nothing is known."""

import math

import numpy as np
import pytest

from demos.tokenise import fill_views
from pipelines.tokenise.fill import Filling

CODES = 32


def step_of(i: int, indices, committed, confidence, entropy) -> Filling:
    arrays = [np.array(indices, np.int32), np.array(committed, bool)]
    numbers = [np.array(values, np.float32) for values in (confidence, entropy)]
    return Filling(*arrays, *numbers, step=i, steps=2, left=int((arrays[0] == CODES).sum()), hidden=CODES)


@pytest.fixture
def steps():
    """A 2 x 2 grid: three places hidden, one of them committed first, then the other two."""
    first = step_of(1, [[7, 5], [32, 32]], [[0, 1], [0, 0]], [[0, 0.5], [0, 0]], [[0, 1], [4, 5]])
    second = step_of(2, [[7, 5], [3, 4]], [[0, 0], [1, 1]], [[0, 0], [0.25, 1]], [[0, 0], [2, 1]])
    return [first, second]


HOLE = np.array([[False, True], [True, True]])


def test_confidence_is_kept_from_the_step_that_committed(steps):
    assert np.array_equal(fill_views.confidence(steps[:1], HOLE), [[np.nan, 0.5], [np.nan, np.nan]], equal_nan=True)
    assert np.array_equal(fill_views.confidence(steps, HOLE), [[np.nan, 0.5], [0.25, 1]], equal_nan=True)


def test_entropy_is_that_of_what_was_hidden_before_the_step(steps):
    assert np.array_equal(fill_views.entropy(steps[0]), [[np.nan, 1], [4, 5]], equal_nan=True)
    assert np.array_equal(fill_views.entropy(steps[1]), [[np.nan, np.nan], [2, 1]], equal_nan=True)


def test_points_are_means_over_the_places_they_speak_of(steps):
    assert fill_views.point(steps[0]) == {
        "left": 2,
        "committed": 1,
        "confidence": 0.5,
        "entropy": pytest.approx(10 / 3, abs=1e-3),
    }
    assert fill_views.point(steps[1]) == {"left": 0, "committed": 2, "confidence": 0.625, "entropy": 1.5}
    nothing = step_of(1, [[7, 5], [3, 4]], np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2)))
    assert fill_views.point(nothing) == {"left": 0, "committed": 0, "confidence": None, "entropy": None}


def test_hidden_cells_are_hatched_and_the_rest_is_the_picture(steps):
    pixels = np.full((14, 16, 3), 200, np.uint8)  # the last row of cells is cut
    shown = fill_views.picture(pixels, steps[0], cell=8)
    assert shown.shape == (14, 16, 3)
    assert (shown[:8] == 200).all()
    colours = {tuple(colour) for colour in shown[8:].reshape(-1, 3).tolist()}
    assert colours == {fill_views.PAPER, fill_views.LINE}


def test_maps_are_coloured_where_known_hatched_where_not_yet_and_grey_beside_the_hole(steps):
    shown = fill_views.over_hole(fill_views.confidence(steps[:1], HOLE), HOLE, most=1.0, cell=8, size=(16, 16))
    assert (shown[:8, :8] == 128).all()
    assert (shown[:8, 8:] == fill_views.coloured(np.array([[0.5]]), most=1.0)[0, 0]).all()
    assert {tuple(colour) for colour in shown[8:].reshape(-1, 3).tolist()} == {fill_views.PAPER, fill_views.LINE}


def test_colours_go_from_the_dark_end_to_the_light_one_and_stay_there():
    dark, light, beyond = fill_views.coloured(np.array([[0.0, 5.0, 9.0]]), most=5.0)[0].astype(int)
    assert dark.sum() < 150 < 600 < light.sum()
    assert np.array_equal(light, beyond)


def test_a_frame_has_three_pictures_and_large_ones_are_made_smaller(steps):
    pixels = np.full((1024, 1024, 3), 90, np.uint8)
    value = fill_views.frame(pixels, steps, HOLE, cell=512, codes=CODES)
    assert (value["i"], value["n"], value["count"], value["bits"]) == (1, 2, 3, math.log2(CODES))
    assert [len(value["frames"]), len(value["frames"][0])] == [1, 3]
    assert fill_views.fitted(pixels).shape == (512, 512, 3)
