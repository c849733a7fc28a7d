import numpy as np
import pytest

from training.intervals import estimate


def test_the_mean_counts_objects_and_the_interval_resamples_pictures():
    values = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, np.nan]])
    found = estimate(values, np.array([7, 9, 9]))
    assert found["mean"] == pytest.approx([2 / 3, 1], abs=1e-4)
    assert (found["low"][0], found["high"][0]) == (0, 1)  # both draws may be the same picture
    assert (found["low"][1], found["high"][1]) == (1, 1)
    lone = estimate(values, np.zeros(3, int))
    assert lone["low"][0] == lone["mean"][0] == lone["high"][0]
