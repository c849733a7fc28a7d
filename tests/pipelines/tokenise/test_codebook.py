import math

import numpy as np
import pytest
from PIL import Image

from pipelines.tokenise import codebook, surgery
from pipelines.tokenise.code import encode
from tests.pipelines.tokenise.conftest import make_picture


def test_usage_counts_over_all_grids():
    found = codebook.usage([np.array([[0, 1], [1, 3]]), np.array([[3, 3, 3]])], 5)
    np.testing.assert_array_equal(found.counts, [1, 2, 0, 4, 0])
    assert (found.tokens, found.used, found.codes) == (7, 3, 5)
    np.testing.assert_array_equal(found.dead, [2, 4])
    shares = np.array([1, 2, 4]) / 7
    assert found.perplexity == pytest.approx(math.exp(-(shares * np.log(shares)).sum()))


def test_perplexity_of_even_use_is_the_number_of_codes_used():
    assert codebook.usage([np.arange(12).reshape(3, 4)], 16).perplexity == pytest.approx(12)
    assert codebook.usage([np.full((5, 5), 2)], 16).perplexity == 1


def test_a_picture_of_few_tokens_cannot_have_a_high_perplexity():
    """The warning that the tab gives: the same source, other samples."""
    drawn = np.random.default_rng(0).integers(64, size=4096)
    few, many = (codebook.usage([drawn[:n].reshape(1, -1)], 64).perplexity for n in (32, 4096))
    assert few <= 32
    assert many == pytest.approx(64, rel=0.02)


@pytest.mark.parametrize("grid", [np.array([[5]]), np.array([[-1]]), np.zeros((0, 3), int)])
def test_what_cannot_be_counted_is_refused(grid):
    with pytest.raises(ValueError, match=r"indices|no tokens"):
        codebook.usage([grid], 5)


def test_the_fixed_set_is_encoded_at_its_size(tiny_model, tmp_path):
    paths = []
    for seed, size in enumerate([(100, 50), (40, 40)]):
        paths.append(tmp_path / f"{seed}.png")
        Image.fromarray(make_picture(*size, seed=seed)).save(paths[-1])
    steps = list(codebook.fixed_set(tiny_model, paths, longest=48))
    assert [(step.done, step.total) for step in steps] == [(1, 2), (2, 2)]
    assert [step.indices.shape for step in steps] == [(6, 3), (5, 5)]  # shrunk; never enlarged
    np.testing.assert_array_equal(steps[1].indices, encode(tiny_model, make_picture(40, 40, seed=1)).indices)


# --- the map ---


@pytest.mark.parametrize("codes", [1, 2, 7, 32, 1024, 8192, 16384])
def test_every_code_has_one_place(codes):
    rows, columns = codebook.extent(codes)
    assert rows <= columns
    places = codebook.arranged(np.random.default_rng(0).normal(size=(codes, 2)))
    assert places.shape == (rows, columns)
    np.testing.assert_array_equal(np.sort(places[places >= 0]), np.arange(codes))


@pytest.mark.parametrize(("codes", "found"), [(1024, (32, 32)), (8192, (64, 128)), (16384, (128, 128)), (7, (3, 3))])
def test_the_map_is_near_a_square(codes, found):
    assert codebook.extent(codes) == found


def test_points_of_a_lattice_are_put_where_they_lie():
    rows, columns = np.mgrid[0:3, 0:4]
    points = np.stack([columns.ravel() * 10.0, rows.ravel() * 1.0], axis=1)
    order = np.random.default_rng(0).permutation(12)
    np.testing.assert_array_equal(order[codebook.arranged(points[order])], np.arange(12).reshape(3, 4))


def test_like_codes_lie_near_one_another(tiny_model):
    places, vectors = codebook.layout(tiny_model), surgery.codebook_of(tiny_model)
    beside = np.linalg.norm(vectors[places[:, 1:]] - vectors[places[:, :-1]], axis=-1).mean()
    everywhere = np.linalg.norm(vectors[:, None] - vectors, axis=-1).mean()
    assert beside < everywhere
    assert 0 < codebook.explained(tiny_model) <= 1
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    strengths = np.linalg.svd(centred, compute_uv=False) ** 2
    assert codebook.explained(tiny_model) == pytest.approx(strengths[:2].sum() / strengths.sum())


def test_the_sheet_shows_each_codes_patch_at_its_place(tiny_model):
    places, sheet = codebook.layout(tiny_model), codebook.sheet(tiny_model)
    assert sheet.shape == (places.shape[0] * 8, places.shape[1] * 8, 3)
    for row, column in ((0, 0), (3, 5), (1, 7)):
        patch = surgery.patches(tiny_model, places[row : row + 1, column])[0]
        shown = sheet[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
        assert np.abs(shown.astype(int) - patch).max() <= 1


def test_a_place_without_a_code_is_white():
    pictures = np.zeros((3, 2, 2, 3), np.uint8)
    made = codebook.assembled(pictures, np.array([[0, 1], [2, -1]]))
    assert made.shape == (4, 4, 3)
    assert (made[2:, 2:] == 255).all()
    assert not made[:2].any()
