import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.runtime.errors import UserError
from pipelines.zero_shot.classify import encode_picture
from pipelines.zero_shot.evidence import as_evidence, deletion, gradient_map, occlusion
from pipelines.zero_shot.models import wrap
from pipelines.zero_shot.preprocess import Crop

FIRST = np.array([1.0, 0.0], dtype=np.float32)
SECOND = np.array([0.0, 1.0], dtype=np.float32)


def last(steps):
    *_, final = steps
    return final


@pytest.fixture
def seeing_one_cell(make_toy):
    """Feature 0 is the redness of cell (1, 2); feature 1 is always there."""
    weight = np.zeros((2, 3, 4, 4))
    weight[0, 0, 1, 2] = 1.0
    weight[1, 2] = 1 / 16
    return make_toy(weight.reshape(2, 48), {})


@pytest.fixture
def red_spot():
    """28 px, blue, with red in the cell that matters and in one that does not."""
    pixels = np.zeros((28, 28, 3), dtype=np.uint8)
    pixels[..., 2] = 255
    pixels[7:14, 14:21] = (255, 0, 255)
    pixels[21:28, 0:7] = (255, 0, 255)
    return pixels


def test_gradient_of_a_linear_model_is_its_weights(make_toy):
    weight = np.random.default_rng(0).normal(size=(2, 3, 4, 4))
    white = np.full((28, 28, 3), 255, dtype=np.uint8)  # every activation is 1
    model = make_toy(weight.reshape(2, 48), {})
    found = gradient_map(model, white, FIRST)
    length = np.linalg.norm(weight.reshape(2, -1).sum(axis=1))
    assert found.values == pytest.approx(weight[0].sum(axis=0) / length, abs=1e-5)


def test_gradient_map_adds_up_to_the_score(make_toy, picture):
    model = make_toy(np.random.default_rng(1).normal(size=(5, 48)), {})
    feature = np.random.default_rng(2).normal(size=5).astype(np.float32)
    found = gradient_map(model, picture, feature)
    assert found.values.sum() == pytest.approx(found.score, abs=1e-5)
    assert found.score == pytest.approx(float(encode_picture(model, picture).feature @ feature), abs=1e-5)


@pytest.mark.parametrize("method", ["gradient", "occlusion"])
def test_label_a_minus_b_is_the_difference_of_the_maps(tiny_clip, picture, method):
    a, b = np.eye(16, dtype=np.float32)[:2]

    def values(feature, against=None):
        if method == "gradient":
            return gradient_map(tiny_clip, picture, feature, against=against).values
        return last(occlusion(tiny_clip, picture, feature, against=against, grid=3)).values

    assert values(a, against=b) == pytest.approx(values(a) - values(b), abs=1e-5)


def test_occlusion_finds_the_cell(seeing_one_cell, red_spot):
    step = last(occlusion(seeing_one_cell, red_spot, FIRST, grid=4, fill="mean"))
    assert np.unravel_index(step.values.argmax(), step.values.shape) == (1, 2)
    assert step.values[1, 2] > 10 * np.abs(np.delete(step.values, 6)).max()
    found = as_evidence(step, ms=1.0)
    assert (found.method, found.score) == ("occlusion", step.score)


def test_occlusion_streams_what_is_still_to_come_as_nan(seeing_one_cell, red_spot):
    steps = list(occlusion(seeing_one_cell, red_spot, FIRST, grid=4))
    assert [step.done for step in steps] == [8, 16]
    assert np.isnan(steps[0].values).sum() == 8 and not np.isnan(steps[1].values).any()


def test_an_occlusion_value_is_the_real_score_drop(tiny_clip, picture):
    feature = np.eye(16, dtype=np.float32)[3]
    step = last(occlusion(tiny_clip, picture, feature, grid=2, fill="mean"))
    view = encode_picture(tiny_clip, picture).view.copy()
    view[16:, :16] = view.mean(axis=(0, 1)).round()
    covered = encode_picture(tiny_clip, view).feature @ feature
    assert step.values[1, 0] == pytest.approx(step.score - covered, abs=1e-5)


def test_deletion_falls_at_once_when_the_map_is_right(seeing_one_cell, red_spot):
    right = np.zeros((4, 4))
    right[1, 2] = 1.0
    test = last(deletion(seeing_one_cell, red_spot, FIRST, evidence=right, steps=16, random_orders=8, fill="mean"))
    assert test.ordered[0] > 3 * test.ordered[1]
    assert test.ordered[1:] == pytest.approx(test.ordered[1], abs=0.02)
    assert test.area_between > 0.1
    wrong = last(deletion(seeing_one_cell, red_spot, FIRST, evidence=-right, steps=16, random_orders=8, fill="mean"))
    assert wrong.area_between < 0 < wrong.done == wrong.total


def test_the_deletion_curve_of_a_sum_falls_monotonically(make_toy, picture):
    weight = np.stack([np.ones(48), np.zeros(48)])
    weight[1, 0] = 5.0  # feature 1 sees one cell only
    model = make_toy(weight, {})
    evidence = np.zeros((4, 4))
    evidence[0, 0] = 1.0
    white = np.full((28, 28, 3), 255, dtype=np.uint8)
    white[7:] = 128
    test = last(deletion(model, white, SECOND, evidence=evidence, steps=4, random_orders=2, fill="mean"))
    assert np.all(np.diff(test.ordered) <= 1e-6)


def test_all_orders_share_both_ends_and_repeat_with_the_seed(tiny_clip, picture):
    feature, evidence = np.eye(16, dtype=np.float32)[0], np.random.default_rng(0).normal(size=(4, 4))

    def run(seed):
        return last(deletion(tiny_clip, picture, feature, evidence=evidence, steps=4, seed=seed))

    test, again, other = run(0), run(0), run(1)
    assert np.all(test.random[:, 0] == test.ordered[0]) and np.all(test.random[:, -1] == test.ordered[-1])
    assert np.array_equal(test.random, again.random) and not np.array_equal(test.random, other.random)
    assert np.all(test.random_low <= test.random_mean) and np.all(test.random_mean <= test.random_high)


def test_deletion_shows_the_ordered_curve_first(tiny_clip, picture):
    feature = np.eye(16, dtype=np.float32)[0]
    steps = list(deletion(tiny_clip, picture, feature, evidence=np.zeros((4, 4)), steps=9))
    assert not np.isnan(steps[0].ordered).any() and np.isnan(steps[0].random).any()
    assert [step.done for step in steps] == [10, 18, 26, 34]


def test_area_is_the_trapezoid_between_the_curves(tiny_clip, picture):
    feature = np.eye(16, dtype=np.float32)[0]
    test = last(deletion(tiny_clip, picture, feature, evidence=np.zeros((4, 4)), steps=2))
    by_hand = (test.random_mean[1] - test.ordered[1]) / 2  # the ends are shared
    assert test.area_between == pytest.approx(by_hand, abs=1e-9)


def test_maps_say_which_part_of_the_picture_they_cover(tiny_clip, picture):
    feature = np.eye(16, dtype=np.float32)[0]
    assert gradient_map(tiny_clip, picture, feature).region_xyxy == (10, 0, 50, 40)
    step = next(occlusion(tiny_clip, picture, feature, crop=Crop("squash"), grid=2))
    assert step.region_xyxy == (0, 0, 60, 40)


def test_open_clips_resnet_has_a_map_too(picture):
    """The other kinds of image tower are tried where they are loaded, in test_models.py."""
    import open_clip
    from open_clip.tokenizer import SimpleTokenizer

    from pipelines.runtime.device import CPU

    torch.manual_seed(0)
    module = open_clip.create_model("RN50", load_weights=False, pretrained_text=False)
    model = wrap("rn50", module, SimpleTokenizer(), placement=CPU)
    feature = encode_picture(model, picture).feature
    found = gradient_map(model, picture, feature)
    assert found.values.shape == (7, 7) and np.ptp(found.values) > 0
    assert found.score == pytest.approx(1.0, abs=1e-4)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_a_tower_without_a_known_map_is_refused(make_toy, picture):
    model = make_toy(np.ones((2, 48)), {})
    model.module.visual.pool = model.module.visual.final_conv
    del model.module.visual.final_conv
    with pytest.raises(UserError) as error:
        gradient_map(model, picture, FIRST)
    assert error.value.key == "errors.evidence_no_map"


@pytest.mark.parametrize("choice", [{"grid": 1}, {"grid": 33}, {"fill": "red"}])
def test_choices_out_of_range_are_refused(tiny_clip, picture, choice):
    with pytest.raises(UserError) as error:
        next(occlusion(tiny_clip, picture, np.eye(16, dtype=np.float32)[0], **choice))
    assert error.value.key == "errors.evidence_choice"


@pytest.mark.parametrize("choice", [{"steps": 0}, {"steps": 65}, {"random_orders": 0}, {"random_orders": 11}])
def test_tests_out_of_range_are_refused(tiny_clip, picture, choice):
    with pytest.raises(UserError) as error:
        next(deletion(tiny_clip, picture, np.eye(16, dtype=np.float32)[0], evidence=np.zeros((2, 2)), **choice))
    assert error.value.key == "errors.evidence_choice"


def test_blurred_filling_keeps_colours(tiny_clip):
    """A plain picture does not change when its cells are covered with its own blur."""
    plain = np.asarray(Image.new("RGB", (50, 50), (10, 200, 30)))
    step = last(occlusion(tiny_clip, plain, np.eye(16, dtype=np.float32)[0], grid=2))
    assert step.values == pytest.approx(np.zeros((2, 2)), abs=1e-6)
