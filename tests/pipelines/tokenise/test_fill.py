"""Holes in grids of any size, against the loop on one square and against windows averaged by hand."""

import numpy as np
import pytest
import torch

from pipelines.runtime.errors import UserError
from pipelines.tokenise import fill as fill_module
from pipelines.tokenise import second_stage
from pipelines.tokenise.code import decode, decode_latents
from pipelines.tokenise.fill import check_settings, fill, read, so_far, windows
from pipelines.tokenise.pairs import stage_of
from pipelines.tokenise.second_stage import MaskedTransformer, SecondStage, SecondStageConfig, hidden_counts
from tests.pipelines.tokenise.conftest import make_model

TINY = SecondStageConfig(codes=20, side=4, width=16, layers=1, heads=2, condition=8)


@pytest.fixture(scope="module")
def stage():
    torch.manual_seed(0)
    module = MaskedTransformer(TINY).eval().requires_grad_(False)
    torch.nn.init.normal_(module.codes.weight)  # not as flat as fresh weights
    return SecondStage("tiny", "tiny-vq", "tiny-clip", module, "cpu", torch.float32)


def grid_of(rows: int, columns: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 20, (rows, columns)).astype(np.int32)


def block(rows: int, columns: int, where: tuple[slice, slice]) -> np.ndarray:
    hole = np.zeros((rows, columns), bool)
    hole[where] = True
    return hole


def unit(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("condition", [None, unit(1)])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_on_the_stages_own_square_it_is_the_plain_loop_to_the_bit(stage, condition, temperature):
    indices, hole = grid_of(4, 4), block(4, 4, (slice(0, 3), slice(1, 4)))
    settings = {"steps": 5, "temperature": temperature}
    ours = list(fill(stage, indices, hole, condition=condition, seed=7, **settings))
    feature = None if condition is None else torch.from_numpy(condition)
    random = torch.Generator().manual_seed(7)
    grid = torch.from_numpy(indices.astype(np.int64))
    theirs = second_stage.fill(
        stage.module, grid, torch.from_numpy(hole), condition=feature, generator=random, **settings
    )
    for one, other in zip(ours, theirs, strict=True):
        for name in ("indices", "committed", "confidence", "entropy"):
            assert np.array_equal(getattr(one, name), getattr(other, name).numpy()), name


@pytest.mark.parametrize(
    ("length", "side", "expected"), [(16, 16, [0]), (32, 16, [0, 8, 16]), (24, 16, [0, 8]), (40, 16, [0, 8, 16, 24]),
    (17, 16, [0, 1]), (5, 1, [0, 1, 2, 3, 4])],
)  # fmt: skip
def test_windows_overlap_by_half_and_end_at_the_edge(length, side, expected):
    assert windows(length, side) == expected


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (6, 9), (2, 11), (1, 1), (4, 3)])
def test_any_grid_is_filled_and_nothing_beside_the_hole_changes(stage, rows, columns):
    indices, hole = grid_of(rows, columns), np.random.default_rng(1).random((rows, columns)) < 0.6
    hole[0, 0] = True
    steps = list(fill(stage, indices, hole, steps=6))
    last = steps[-1].indices
    assert np.array_equal(last[~hole], indices[~hole])
    assert ((last >= 0) & (last < 20)).all()
    assert np.array_equal(sum(step.committed.astype(int) for step in steps), hole.astype(int))
    assert [step.left for step in steps] == hidden_counts(int(hole.sum()), len(steps))
    assert [int((step.indices == step.hidden).sum()) for step in steps] == [step.left for step in steps]
    for step in steps:
        assert ((step.confidence > 0) == step.committed).all()
        assert (step.entropy[hole] <= np.log2(20) + 1e-4).all()
        assert (step.entropy[~hole] == 0).all()


def test_overlapping_windows_are_averaged_and_give_the_likeliest_code(stage):
    """One hidden place of a 4 x 6 grid lies in both windows: columns 0 to 3 and 2 to 5."""
    indices, hole = grid_of(4, 6), block(4, 6, (slice(1, 2), slice(3, 4)))
    (step,) = fill(stage, indices, hole, steps=1, temperature=0.0)
    seen = torch.from_numpy(np.where(hole, 20, indices).astype(np.int64))
    nothing, off = torch.zeros(1, 8), torch.tensor([False])
    first, second = (stage.module(seen[None, :, c : c + 4], nothing, off)[0, 1, 3 - c] for c in (0, 2))
    mean = (first.log_softmax(-1) + second.log_softmax(-1)) / 2
    shares = mean.softmax(-1)
    assert step.indices[1, 3] == int(mean.argmax())
    assert step.confidence[1, 3] == pytest.approx(float(shares.max()), rel=1e-5)
    assert step.entropy[1, 3] == pytest.approx(float(-(shares * shares.log2()).sum()), rel=1e-4)


def test_only_windows_that_touch_the_hole_are_asked_and_all_at_once(stage, monkeypatch):
    asked = []
    whole = SecondStage.logits
    monkeypatch.setattr(
        SecondStage, "logits", lambda self, grids, condition: asked.append(len(grids)) or whole(self, grids, condition)
    )
    list(fill(stage, grid_of(8, 8), block(8, 8, (slice(0, 1), slice(0, 2))), steps=2))
    assert asked == [1, 1]
    asked.clear()
    list(fill(stage, grid_of(8, 8), np.ones((8, 8), bool), steps=3))
    assert asked == [9, 9, 9]


def test_many_windows_go_in_several_batches_to_the_same_end(stage, monkeypatch):
    hole = np.ones((8, 8), bool)
    together = list(fill(stage, grid_of(8, 8), hole, steps=2))[-1]
    asked = []
    whole = SecondStage.logits
    monkeypatch.setattr(fill_module, "MOST_LOGITS", 4 * 4 * 20 * 4)
    monkeypatch.setattr(
        SecondStage, "logits", lambda self, grids, condition: asked.append(len(grids)) or whole(self, grids, condition)
    )
    apart = list(fill(stage, grid_of(8, 8), hole, steps=2))[-1]
    assert asked == [4, 4, 1] * 2
    assert np.array_equal(together.indices, apart.indices)


def test_a_small_grid_lies_in_the_middle_of_hidden_codes(stage):
    indices, hole = grid_of(2, 3), block(2, 3, (slice(0, 1), slice(0, 1)))
    (step,) = fill(stage, indices, hole, temperature=0.0)
    square = torch.full((1, 4, 4), 20)
    square[0, 1:3, 0:3] = torch.from_numpy(np.where(hole, 20, indices).astype(np.int64))
    logits = stage.module(square, torch.zeros(1, 8), torch.tensor([False]))[0, 1, 0]
    assert step.indices[0, 0] == int(logits.argmax())


def test_the_seed_decides_and_what_stood_in_the_hole_does_not(stage):
    hole = np.ones((6, 6), bool)

    def last(indices, seed):
        return list(fill(stage, indices, hole, seed=seed))[-1].indices

    assert np.array_equal(last(grid_of(6, 6), 3), last(grid_of(6, 6, seed=5), 3))
    assert not np.array_equal(last(grid_of(6, 6), 3), last(grid_of(6, 6), 4))


def test_guidance_goes_beyond_the_condition(stage):
    indices, hole, feature = grid_of(4, 4), np.ones((4, 4), bool), unit(2)

    def entropy(condition, guidance):
        return next(fill(stage, indices, hole, condition=condition, guidance=guidance)).entropy

    assert np.allclose(entropy(feature, 0.0), entropy(None, 5.0), atol=1e-4)
    assert not np.allclose(entropy(feature, 1.0), entropy(None, 1.0), atol=1e-4)
    without, named = (
        stage.logits(torch.full((1, 4, 4), 20), condition)[0] for condition in (None, torch.from_numpy(feature))
    )
    shares = (without + 3 * (named - without)).softmax(-1)
    expected = -(shares * shares.log2()).sum(-1).numpy()
    assert np.allclose(entropy(feature, 3.0), expected, atol=1e-4)


def test_the_picture_so_far_is_the_decoded_one_at_the_end_and_has_no_say_of_hidden_codes(stage):
    model = make_model(codes=20)
    indices, hole = grid_of(4, 6), np.ones((4, 6), bool)
    first, *_, last = fill(stage, indices, hole, steps=4)
    size = (30, 44)  # some of it padded
    assert np.array_equal(so_far(model, last, size=size), decode(model, last.indices, size=size))
    codebook = model.module.quantize.embedding.weight.detach().numpy()
    vectors = codebook[np.minimum(first.indices, 19)]
    vectors[first.indices == 20] = codebook.mean(axis=0)
    assert np.array_equal(so_far(model, first, size=size), decode_latents(model, vectors, size=size))


def test_nothing_to_fill_is_one_step_that_changes_nothing(stage):
    indices = grid_of(5, 5)
    (step,) = fill(stage, indices, np.zeros((5, 5), bool), steps=9)
    assert np.array_equal(step.indices, indices)
    assert not step.committed.any()


def test_a_hole_of_few_places_takes_no_empty_steps(stage):
    steps = list(fill(stage, grid_of(4, 4), block(4, 4, (slice(0, 1), slice(0, 3))), steps=64))
    assert [int(step.committed.sum()) for step in steps] == [1, 1, 1]


def test_closing_stops_before_the_next_step(stage, monkeypatch):
    calls = []
    whole = SecondStage.logits
    monkeypatch.setattr(SecondStage, "logits", lambda self, *a: calls.append(1) or whole(self, *a))
    running = fill(stage, grid_of(4, 4), np.ones((4, 4), bool), steps=8)
    assert calls == []
    next(running)
    running.close()
    assert calls == [1]
    assert next(running, None) is None


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"steps": 0}, "errors.fill_steps"),
        ({"steps": 65}, "errors.fill_steps"),
        ({"steps": 2.5}, "errors.fill_steps"),
        ({"steps": True}, "errors.fill_steps"),
        ({"temperature": -0.1}, "errors.fill_temperature"),
        ({"temperature": float("nan")}, "errors.fill_temperature"),
        ({"guidance": 11}, "errors.fill_guidance"),
        ({"guidance": None}, "errors.fill_guidance"),
        ({"seed": -1}, "errors.fill_seed"),
        ({"seed": 2**32}, "errors.fill_seed"),
    ],
)
def test_settings_have_limits(changed, key):
    usual = {"steps": 12, "temperature": 1.0, "guidance": 1.0, "seed": 0}
    check_settings(**usual)
    with pytest.raises(UserError) as refused:
        check_settings(**usual | changed)
    assert refused.value.key == key


def test_grids_that_do_not_fit_are_refused(stage):
    hole = np.ones((4, 4), bool)
    for indices, here, key in (
        (grid_of(4, 5), hole, "errors.fill_grid"),
        (grid_of(4, 4).astype(float), hole, "errors.fill_grid"),
        (np.zeros((0, 4), int), np.zeros((0, 4), bool), "errors.fill_grid"),
        (grid_of(4, 4) + 15, ~hole, "errors.fill_codes"),
        (grid_of(4, 4) - 5, ~hole, "errors.fill_codes"),
    ):
        with pytest.raises(UserError) as refused:
            fill(stage, indices, here)
        assert refused.value.key == key
    list(fill(stage, grid_of(4, 4) + 100, hole, steps=1))  # all of it is to be found


def test_numbers_that_are_not_finite_are_told(stage, monkeypatch):
    monkeypatch.setattr(SecondStage, "logits", lambda self, grids, condition: torch.full((*grids.shape, 20), torch.nan))
    with pytest.raises(UserError) as refused:
        next(fill(stage, grid_of(4, 4), np.ones((4, 4), bool)))
    assert refused.value.key == "errors.model_not_finite"


def test_a_tokeniser_knows_its_second_stage_or_that_it_has_none():
    assert stage_of("lucida-vqgan") == "lucida-masked"
    assert stage_of("amused-256") == "amused-256-masked"
    with pytest.raises(UserError) as refused:
        stage_of("lucida-vqvae")
    assert refused.value.key == "errors.no_second_stage"


def test_a_text_has_a_length():
    for text in ("", "   ", "x" * 201):
        with pytest.raises(UserError) as refused:
            read(None, text)
        assert refused.value.key == "errors.fill_text"
