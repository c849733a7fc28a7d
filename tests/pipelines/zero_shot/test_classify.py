import dataclasses
import math

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.runtime.errors import UserError
from pipelines.zero_shot.classify import classify, compare, encode_labels, encode_picture, read_out, sigmoid

ALONG_X = np.stack([np.ones(48), np.zeros(48)])  # every picture's feature is (1, 0) after scaling
TABLE = {"cat": (1.0, 0.0), "dog": (0.0, 2.0), "fox": (0.5, math.sqrt(0.75)), "owl": (-1.0, 0.0)}


def test_cosines_and_read_outs_of_a_case_solved_by_hand(make_toy, picture):
    model = make_toy(ALONG_X, TABLE, logit_scale=2.0, logit_bias=-1.0)
    result = classify(model, picture, ("cat", "dog", "fox", "owl"))
    assert result.cosines == pytest.approx([1.0, 0.0, 0.5, -1.0], abs=1e-6)
    powers = np.exp([2.0, 0.0, 1.0, -2.0])
    assert result.softmax == pytest.approx(powers / powers.sum(), abs=1e-6)
    assert result.sigmoid == pytest.approx(1 / (1 + np.exp([-1.0, 1.0, 0.0, 3.0])), abs=1e-6)
    assert result.objective == "sigmoid"


def test_without_a_trained_bias_there_is_no_sigmoid(make_toy, picture):
    result = classify(make_toy(ALONG_X, TABLE), picture, ("cat", "dog"))
    assert result.sigmoid is None and result.logit_bias is None and result.objective == "softmax"


def test_the_order_of_labels_changes_nothing_but_the_order(tiny_clip, picture):
    labels = ("cat", "dog", "a red car", "猫")
    turned = (2, 0, 3, 1)
    here = classify(tiny_clip, picture, labels)
    there = classify(tiny_clip, picture, tuple(labels[i] for i in turned))
    assert there.softmax == pytest.approx(here.softmax[list(turned)], abs=1e-6)


def test_one_more_label_moves_every_softmax_and_no_sigmoid(tiny_siglip, picture):
    few = classify(tiny_siglip, picture, ("cat", "dog"))
    more = classify(tiny_siglip, picture, ("cat", "dog", "tree"))
    assert np.all(more.softmax[:2] < few.softmax)
    assert more.sigmoid[:2] == pytest.approx(few.sigmoid, abs=1e-7)


@pytest.mark.parametrize("logit_scale", [1e-3, 1.0, 100.0, 1e6])
def test_softmax_sums_to_one(logit_scale):
    cosines = np.random.default_rng(0).uniform(-1, 1, 1000)
    assert read_out(cosines, logit_scale=logit_scale, logit_bias=None)[0].sum() == pytest.approx(1.0, abs=1e-12)


def test_temperature_limits():
    cosines = np.array([0.3, 0.7, 0.7, -0.2])
    cold, _ = read_out(cosines, logit_scale=math.inf, logit_bias=None)
    warm, _ = read_out(cosines, logit_scale=0.0, logit_bias=None)
    assert cold == pytest.approx([0, 0.5, 0.5, 0])
    assert warm == pytest.approx([0.25] * 4)


def test_sigmoid_does_not_overflow():
    with np.errstate(all="raise"):
        assert sigmoid(np.array([-1e5, 0.0, 1e5])).tolist() == [0.0, 0.5, 1.0]


def test_ensemble_is_the_scaled_mean_of_unit_features(make_toy):
    model = make_toy(ALONG_X, TABLE)
    encoded = encode_labels(model, ("cat", "owl"), templates=("{}", "dog with {}"))
    half = math.sqrt(0.5)  # (1, 0) and (0, 1) -> (1, 1) / sqrt(2); (-1, 0) and (0, 1) -> (-1, 1) / sqrt(2)
    assert encoded.features == pytest.approx(np.array([[half, half], [-half, half]]), abs=1e-6)


def test_same_logits_as_open_clip(tiny_siglip, picture):
    result = classify(tiny_siglip, picture, ("cat", "a photo of a dog"))
    image = tiny_siglip.preprocess.tensor(result.view)[None]
    with torch.no_grad():
        logits, _ = tiny_siglip.module.get_logits(image, tiny_siglip.tokenizer(["cat", "a photo of a dog"]))
    ours = result.logit_scale * result.cosines + result.logit_bias
    assert ours == pytest.approx(logits[0].numpy(), abs=1e-4)


def test_a_text_is_encoded_once(make_toy, picture):
    model = make_toy(ALONG_X, TABLE)
    first = classify(model, picture, ("cat", "dog"))
    again = classify(model, picture, ("dog", "cat"))
    third = classify(model, picture, ("dog", "fox"))
    assert (first.computed_texts, again.computed_texts, third.computed_texts) == (2, 0, 1)
    assert model.module.encoded_texts == 3


def test_a_thousand_labels_go_through_in_batches(tiny_clip):
    labels = tuple(f"thing {number}" for number in range(300))
    encoded = encode_labels(tiny_clip, labels)
    alone = encode_labels(dataclasses.replace(tiny_clip, text_cache=type(tiny_clip.text_cache)()), labels[-1:])
    assert encoded.features[-1] == pytest.approx(alone.features[0], abs=1e-6)
    assert encoded.blocks[0].shape[0] == 300


def test_blocks_are_the_model_at_work(tiny_clip, picture):
    result = classify(tiny_clip, picture, ("never seen before", "nor this"))
    blocks = {block.name: block for block in result.blocks}
    assert blocks["preprocess"].shape == (1, 3, 32, 32)
    assert blocks["patches"].shape == (1, 17, 32)
    assert blocks["projection"].shape == (1, 16)
    assert blocks["text_layers_2_2"].shape == (2, 77, 32)
    assert blocks["text_projection"].shape == (2, 16)
    assert blocks["readout"].shape == (2,)
    assert all(block.ms > 0 for block in result.blocks)
    assert sum(block.parameters for block in result.blocks) == sum(p.numel() for p in tiny_clip.module.parameters())


def test_blocks_of_a_cached_text_took_no_time(tiny_clip, picture):
    first = classify(tiny_clip, picture, ("cached label",))
    again = classify(tiny_clip, picture, ("cached label",))
    texts = [block for block in again.blocks if block.name.startswith("text_")]
    assert [block.name for block in texts] == [b.name for b in first.blocks if b.name.startswith("text_")]
    assert {block.ms for block in texts} == {0.0}


def test_no_hook_is_left_behind(tiny_clip, picture):
    classify(tiny_clip, picture, ("cat",))
    assert not any(module._forward_hooks for module in tiny_clip.module.modules())


def test_long_text_is_cut_and_says_where(make_toy, picture):
    result = classify(make_toy(ALONG_X, TABLE), picture, ("cat", "dog " * 30))
    assert result.cut == (False, True)
    assert result.kept == (1, 14)  # 16 tokens, two of them control tokens
    assert len(result.tokens[1]) == 30


def test_half_precision_that_overflows_is_computed_again_in_float32(make_toy):
    table = {"cat": (1.0, 0.0)}
    model = make_toy(ALONG_X * 60000, table, dtype=torch.float16)
    encoded = encode_picture(model, np.full((30, 30, 3), 255, dtype=np.uint8))
    assert encoded.dtype == "float32"
    assert encoded.feature == pytest.approx([1.0, 0.0], abs=1e-6)


def test_a_model_that_is_never_finite_is_refused(make_toy, picture):
    model = make_toy(ALONG_X * math.nan, TABLE)
    with pytest.raises(UserError) as error:
        encode_picture(model, picture)
    assert error.value.key == "errors.model_not_finite"


def test_no_label_is_a_bug_of_the_caller(tiny_clip):
    with pytest.raises(ValueError, match="at least one"):
        encode_labels(tiny_clip, ())


def test_compare_runs_no_model(make_toy, picture):
    model = make_toy(ALONG_X, TABLE)
    encoded, text = encode_picture(model, picture), encode_labels(model, ("cat", "dog"))
    model.module.visual = None
    assert compare(model, encoded, text).cosines == pytest.approx([1.0, 0.0], abs=1e-6)


def test_the_view_is_what_the_model_saw(tiny_clip, picture):
    result = classify(tiny_clip, picture, ("cat",))
    middle = Image.fromarray(picture).resize((48, 32), Image.Resampling.BICUBIC).crop((8, 0, 40, 32))
    assert np.array_equal(result.view, np.asarray(middle))
    assert result.region_xyxy == (10.0, 0.0, 50.0, 40.0)
