import math

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from pipelines.runtime.errors import UserError
from pipelines.zero_shot.preprocess import Crop, Preprocess

CONFIGS = [
    PreprocessCfg(size=224),
    PreprocessCfg(size=64, mean=(0.5,) * 3, std=(0.5,) * 3, resize_mode="squash"),
    PreprocessCfg(size=(96, 96), interpolation="bilinear", mean=(0.0,) * 3, std=(1.0,) * 3),
    PreprocessCfg(size=64, resize_mode="longest"),
]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("size_hw", [(300, 200), (50, 333), (64, 64)])
def test_own_crop_is_open_clips_transform_bit_for_bit(config, size_hw):
    pixels = np.random.default_rng(1).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    preprocess = Preprocess(config)
    ours = preprocess.tensor(preprocess.view(pixels).pixels)
    theirs = image_transform_v2(config, is_train=False)(Image.fromarray(pixels))
    assert torch.equal(ours, theirs)


def test_squash_shows_the_whole_picture_and_center_its_middle_square():
    pixels = np.zeros((100, 300, 3), dtype=np.uint8)
    preprocess = Preprocess(PreprocessCfg(size=50))
    assert preprocess.view(pixels, Crop("squash")).region_xyxy == (0, 0, 300, 100)
    assert preprocess.view(pixels, Crop("center")).region_xyxy == (100, 0, 200, 100)


def test_longest_side_shows_more_than_the_picture():
    view = Preprocess(PreprocessCfg(size=50, resize_mode="longest")).view(np.full((100, 300, 3), 9, np.uint8))
    assert view.region_xyxy == (0, -100, 300, 200)
    assert view.pixels[0].max() == 0 and view.pixels[25].min() == 9


def test_box_is_cut_out_turned_and_kept_inside():
    pixels = np.zeros((100, 200, 3), dtype=np.uint8)
    pixels[20:60, 140:180] = 255
    preprocess = Preprocess(PreprocessCfg(size=40))
    view = preprocess.view(pixels, Crop("box", (180, 60, 140, 20)))  # reversed
    assert view.region_xyxy == (140, 20, 180, 60) and view.pixels.min() == 255
    beyond = preprocess.view(pixels, Crop("box", (150, -50, 900, 900)))
    assert beyond.region_xyxy == (150, 25, 200, 75)  # (150, 0, 200, 100) is left; its middle square is shown


@pytest.mark.parametrize(
    "box", [None, (10, 10, 10, 50), (300, 0, 400, 50), (math.nan, 0, 10, 10), (0, 0, math.inf, 5), (0, 0, 5)]
)
def test_a_box_without_a_picture_is_refused(box):
    with pytest.raises(UserError) as error:
        Preprocess(PreprocessCfg(size=40)).view(np.zeros((100, 200, 3), np.uint8), Crop("box", box))
    assert error.value.key == "errors.crop_empty"


def test_an_unknown_crop_is_refused():
    with pytest.raises(UserError) as error:
        Preprocess(PreprocessCfg(size=40)).view(np.zeros((9, 9, 3), np.uint8), Crop("../etc"))
    assert error.value.key == "errors.crop_unknown"


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3)), np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5, 4), np.uint8)],
)
def test_other_arrays_are_a_bug_of_the_caller(pixels):
    with pytest.raises(ValueError, match="expected"):
        Preprocess(PreprocessCfg(size=40)).view(pixels)
