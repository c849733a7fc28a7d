import numpy as np
import pytest

from pipelines.runtime import principal


def test_places_and_shares_are_those_of_the_singular_values():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 6)) * (5, 3, 2, 1, 1, 0.1) + 7
    found = principal.directions(vectors)
    u, s, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    places = found.places(vectors)
    np.testing.assert_allclose(np.abs(places), np.abs(u[:, :3] * s[:3]), atol=1e-4)
    np.testing.assert_allclose(found.explained, s[:3] ** 2 / (s**2).sum(), rtol=1e-6)
    assert (found.axes[np.abs(found.axes).argmax(axis=0), range(3)] > 0).all()


def test_vectors_of_two_numbers_have_two_directions():
    vectors = np.random.default_rng(0).normal(size=(20, 2)) * (3, 1)
    found = principal.directions(vectors)
    assert found.axes.shape == (2, 3)
    assert found.explained.sum() == pytest.approx(1) and found.explained[2] == 0
    assert (found.places(vectors)[:, 2] == 0).all()


def test_colours_run_over_the_percentiles_and_equal_places_are_grey():
    among = np.stack([np.arange(101.0), np.zeros(101), np.arange(101.0)], axis=1)
    made = principal.colours(np.array([[2.0, 0, 98], [50, 5, -9]]), among)
    assert made.tolist() == [[0, 128, 255], [128, 128, 0]]
