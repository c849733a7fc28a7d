import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipelines.runtime.errors import UserError
from pipelines.tokenise import surgery
from pipelines.tokenise.code import decode, encode
from pipelines.tokenise.models import TokeniseModel, codes_of, pictures_of
from tests.pipelines.tokenise.conftest import make_picture

REGION = (1, 2, 4, 6)


@pytest.fixture(scope="module")
def tokens(tiny_model):
    return encode(tiny_model, make_picture(40, 60))  # 5 x 8 tokens, 4 px of padding to the right


def book(model: TokeniseModel) -> np.ndarray:
    return model.module.quantize.embedding.weight.double().numpy()


def grid(*shape: int, codes: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(codes, size=shape).astype(np.int32)


def outside(indices: np.ndarray, region) -> np.ndarray:
    """The tokens that are not in the region."""
    mask = np.ones(indices.shape, bool)
    mask[region[0] : region[2], region[1] : region[3]] = False
    return indices[mask]


# --- looking at one token ---


def test_a_place_of_the_pictures_own_grid_holds_the_nearest_code(tiny_model, tokens):
    found = surgery.look(tiny_model, tokens, tokens.indices, 2, 3)
    ranked = np.sort(np.linalg.norm(book(tiny_model) - tokens.latents[2, 3], axis=1))
    assert found.index == found.fit.best == tokens.indices[2, 3]
    assert found.fit.rank == 0
    assert (found.fit.distance, found.fit.second) == pytest.approx(tuple(ranked[:2]), rel=1e-5)
    assert found.fit.margin == pytest.approx(ranked[1] - ranked[0], rel=1e-4)
    errors = np.linalg.norm(tokens.latents - book(tiny_model)[tokens.indices], axis=-1)
    assert found.fit.typical == pytest.approx(np.median(errors), rel=1e-5)


def test_after_an_edit_the_rank_says_how_many_codes_would_lie_nearer(tiny_model, tokens):
    order = np.linalg.norm(book(tiny_model) - tokens.latents[0, 1], axis=1).argsort()
    edited = tokens.indices.copy()
    edited[0, 1] = order[5]
    fit = surgery.look(tiny_model, tokens, edited, 0, 1).fit
    assert (fit.rank, fit.best) == (5, order[0])
    assert fit.distance > fit.second > fit.best_distance


def test_neighbours_and_uses_are_those_of_a_search_by_hand(tiny_model, tokens):
    indices = tokens.indices.copy()
    indices[4, 7] = indices[0, 0] = indices[2, 2]
    found = surgery.look(tiny_model, tokens, indices, 2, 2, nearest=5)
    distances = np.linalg.norm(book(tiny_model) - book(tiny_model)[indices[2, 2]], axis=1)
    np.testing.assert_array_equal(found.nearest, distances.argsort()[1:6])
    np.testing.assert_allclose(found.distances, np.sort(distances)[1:6], rtol=1e-5)
    assert {(0, 0), (2, 2), (4, 7)} <= {tuple(place) for place in found.uses.tolist()}
    assert len(found.uses) == (indices == indices[2, 2]).sum()
    np.testing.assert_array_equal(found.neighbours, surgery.patches(tiny_model, found.nearest))


def test_without_a_picture_there_is_no_fit_and_few_codes_are_enough(tiny_model):
    found = surgery.look(tiny_model, None, grid(2, 2), 0, 0, nearest=1000)
    assert found.fit is None
    assert len(found.nearest) == 31
    assert found.index not in found.nearest


@pytest.mark.parametrize("place", [(-1, 0), (5, 0), (0, 8)])
def test_a_place_outside_of_the_grid_is_refused(tiny_model, tokens, place):
    with pytest.raises(UserError, match="token_outside"):
        surgery.look(tiny_model, tokens, tokens.indices, *place)


def test_patches_are_grids_of_one_token(tiny_model, monkeypatch):
    monkeypatch.setattr(surgery, "BATCH", 3)
    codes = np.array([4, 0, 31, 4, 7])
    found = surgery.patches(tiny_model, codes)
    assert (found.shape, found.dtype) == ((5, 8, 8, 3), np.uint8)
    for code, patch in zip(codes, found, strict=True):
        alone = decode(tiny_model, np.array([[code]], np.int32), size=(8, 8))
        assert np.abs(patch.astype(int) - alone).max() <= 1  # batches of another size round otherwise
    np.testing.assert_array_equal(found[0], found[3])
    assert len(surgery.patches(tiny_model, codes[:0])) == 0


def test_patches_that_are_no_numbers_are_refused(tiny_model):
    broken = replace(tiny_model, module=copy.deepcopy(tiny_model.module))
    broken.module.decoder.conv_out.bias.fill_(float("nan"))
    with pytest.raises(UserError, match="model_not_finite"):
        surgery.patches(broken, np.array([0]))


@pytest.mark.parametrize("place", [(0, 0), (2, 3), (4, 7)])
def test_a_code_in_its_place_looks_as_in_the_grid(tiny_model, tokens, place, monkeypatch):
    monkeypatch.setattr(surgery, "AROUND", 8)  # then the window is the whole grid
    row, column = place
    edited = tokens.indices.copy()
    edited[place] = 7
    found = surgery.in_place(tiny_model, tokens.indices, row, column, codes=np.array([tokens.indices[place], 7]))
    for grid_, patch in zip((tokens.indices, edited), found, strict=True):
        whole = decode(tiny_model, grid_, size=(40, 64))
        there = whole[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
        assert np.abs(patch.astype(int) - there).max() <= 1


def test_a_code_in_its_place_depends_on_what_stands_around_it(tiny_model, tokens):
    other = tokens.indices.copy()
    other[2, 4] = (other[2, 4] + 9) % 32
    one, two = (surgery.in_place(tiny_model, each, 2, 3, codes=np.array([5])) for each in (tokens.indices, other))
    assert not np.array_equal(one, two)
    found = surgery.look(tiny_model, tokens, tokens.indices, 2, 3, nearest=3)
    assert found.here.shape == (4, 8, 8, 3)
    alone = surgery.patches(tiny_model, np.array([found.index]))[0]
    assert not np.array_equal(found.here[0], alone)


# --- how far one token reaches ---


def test_the_footprint_is_the_difference_of_two_decodings(tiny_model, tokens):
    other = (tokens.indices[2, 3] + 9) % 32
    found = surgery.footprint(tiny_model, tokens.indices, 2, 3, other=int(other), size=tokens.size)
    edited = tokens.indices.copy()
    edited[2, 3] = other
    pictures = []
    for indices in (tokens.indices, edited):
        latents = codes_of(tiny_model.module, torch.from_numpy(indices.astype(np.int64))[None])
        pictures.append((pictures_of(tiny_model.module, latents)[0].clamp(0, 1) * 255).permute(1, 2, 0).numpy())
    by_hand = np.abs(pictures[1].astype(np.float64) - pictures[0]).mean(axis=2)[:40, :60]
    np.testing.assert_allclose(found.change, by_hand, atol=1e-3)
    assert found.inside == pytest.approx(by_hand[16:24, 24:32].sum() / by_hand.sum(), rel=1e-4)
    assert found.around == pytest.approx(by_hand[8:32, 16:40].sum() / by_hand.sum(), rel=1e-4)
    assert 0 < found.inside < found.around < 1  # a token is not a patch
    y, x = np.mgrid[0:40, 0:60] + 0.5
    radius = np.hypot(y - 20, x - 28)
    held = [by_hand[radius <= found.reach_px + wider].sum() / by_hand.sum() for wider in (1e-6, -1e-6)]
    assert held[0] >= 0.99 > held[1]
    assert found.seen_px == pytest.approx(radius[by_hand >= 1].max())
    np.testing.assert_array_equal(found.before, decode(tiny_model, tokens.indices, size=tokens.size))
    np.testing.assert_array_equal(found.after, decode(tiny_model, edited, size=tokens.size))


def test_the_same_code_leaves_no_footprint(tiny_model, tokens):
    found = surgery.footprint(tiny_model, tokens.indices, 0, 0, other=int(tokens.indices[0, 0]), size=tokens.size)
    assert (found.inside, found.around, found.reach_px, found.seen_px) == (0, 0, 0, 0)
    assert not found.change.any()


def test_reach_and_shares_of_a_change_that_is_known():
    change = np.zeros((24, 24), np.float32)
    change[8:16, 8:16] = 3  # the cell (1, 1)
    change[0, 0] = 3
    assert surgery._share(change, 1, 1, cell=8, cells=0) == pytest.approx(64 / 65)
    assert surgery._share(change, 1, 1, cell=8, cells=1) == 1
    y, x = np.indices(change.shape) + 0.5
    radius = np.hypot(y - 12, x - 12)
    assert surgery._reach(change, radius) == pytest.approx(np.hypot(11.5, 11.5))
    change[0, 0] = 0.1
    assert surgery._reach(change, radius) == pytest.approx(np.hypot(3.5, 3.5))


def test_a_code_that_is_none_is_refused(tiny_model, tokens):
    with pytest.raises(UserError, match="token_index"):
        surgery.footprint(tiny_model, tokens.indices, 0, 0, other=32, size=tokens.size)


def test_difference_is_the_mean_over_channels():
    before, after = np.zeros((2, 1, 3), np.uint8), np.zeros((2, 1, 3), np.uint8)
    before[0, 0], after[1, 0] = (255, 0, 0), (1, 2, 3)
    np.testing.assert_array_equal(surgery.difference(before, after), np.array([[85], [2]], np.float32))


# --- edits ---


@pytest.mark.parametrize("region", [None, REGION])
def test_shuffling_permutes_the_region_alone(region):
    indices = grid(6, 8)
    made = surgery.shuffled(indices, seed=3, region=region)
    assert made.dtype == np.int32
    whole = region or (0, 0, 6, 8)
    np.testing.assert_array_equal(outside(made, whole), outside(indices, whole))
    top, left, bottom, right = whole
    parts = [each[top:bottom, left:right] for each in (indices, made)]
    assert not np.array_equal(*parts)
    np.testing.assert_array_equal(*(np.sort(part, axis=None) for part in parts))
    np.testing.assert_array_equal(indices, grid(6, 8))  # what was given is left alone
    np.testing.assert_array_equal(made, surgery.shuffled(indices, seed=3, region=region))
    assert not np.array_equal(made, surgery.shuffled(indices, seed=4, region=region))


def test_random_codes_come_from_the_whole_codebook():
    indices = np.full((40, 40), 5, np.int32)
    made = surgery.randomised(indices, 32, seed=0, region=(0, 0, 20, 40))
    assert set(made[:20].ravel()) == set(range(32))
    assert (made[20:] == 5).all()


@pytest.mark.parametrize("k", [0, 1, 2, 31])
def test_the_kth_nearest_is_that_of_a_search_in_float64(tiny_model, k, monkeypatch):
    monkeypatch.setattr(surgery, "BATCH", 5)
    indices, vectors = grid(6, 8), book(tiny_model)
    made = surgery.nearest_kth(tiny_model, indices, k)
    for before, after in zip(indices.ravel(), made.ravel(), strict=True):
        order = np.linalg.norm(vectors - vectors[before], axis=1).argsort()
        assert after == order[k]


def test_of_two_equal_codes_each_is_its_own_nearest(tiny_model):
    twins = replace(tiny_model, module=copy.deepcopy(tiny_model.module))
    twins.module.quantize.embedding.weight[3] = twins.module.quantize.embedding.weight[9]
    indices = np.array([[3, 9]], np.int32)
    np.testing.assert_array_equal(surgery.nearest_kth(twins, indices, 0), indices)
    np.testing.assert_array_equal(surgery.nearest_kth(twins, indices, 1), [[9, 3]])


def test_swapping_twice_gives_both_back():
    a, b = grid(6, 8), grid(6, 8, seed=1)
    one, other = surgery.swapped(a, b, REGION)
    np.testing.assert_array_equal(one[1:4, 2:6], b[1:4, 2:6])
    np.testing.assert_array_equal(outside(one, REGION), outside(a, REGION))
    again = surgery.swapped(one, other, REGION)
    np.testing.assert_array_equal(again[0], a)
    np.testing.assert_array_equal(again[1], b)
    np.testing.assert_array_equal(surgery.swapped(a, b)[0], b)
    with pytest.raises(ValueError, match="shape"):
        surgery.swapped(a, b[:5])


@pytest.mark.parametrize("region", [(0, 0, 0, 4), (2, 2, 1, 4), (0, 0, 7, 8), (-1, 0, 2, 2), (0, 5, 3, 9)])
def test_a_region_that_is_none_is_refused(region):
    with pytest.raises(UserError, match="token_region"):
        surgery.shuffled(grid(6, 8), seed=0, region=region)


def test_numbers_that_cannot_be_are_refused(tiny_model):
    for seed in (-1, 2**32, 1.5, True, None):
        with pytest.raises(UserError, match="token_seed"):
            surgery.randomised(grid(2, 2), 32, seed=seed)
    for k in (-1, 32, 1.5):
        with pytest.raises(UserError, match="token_nearest"):
            surgery.nearest_kth(tiny_model, grid(2, 2), k)
