import cv2
import numpy as np
import pytest

from pipelines.pose.crop import Crop, crop_of_box, cut, to_crop, to_picture
from pipelines.pose.joints import JOINTS, MIRRORED
from pipelines.pose.metrics import found, torso_px

CROPS = [
    Crop(70, 50, 90),
    Crop(70, 50, 60, turn=0.7),
    Crop(60, 45, 150, turn=-2.5),
    Crop(75, 55, 80, turn=0.4, mirrored=True),
]


@pytest.mark.parametrize("crop", CROPS)
def test_a_spot_of_the_picture_is_where_its_position_says(crop):
    pixels = np.zeros((100, 140, 3), np.uint8)
    cv2.circle(pixels, (68, 52), 4, (255, 255, 255), -1)
    seen = cut(pixels, crop, 96)[..., 0].astype(float)
    seen[seen < 150] = 0  # grey lies beyond the picture
    ys, xs = np.mgrid[0:96, 0:96]
    middle = np.array([(seen * xs).sum(), (seen * ys).sum()]) / seen.sum()
    expected = (to_crop(np.array([68.0, 52.0]), crop) + 0.5) * 96 - 0.5
    assert middle == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("crop", CROPS)
def test_positions_come_back(crop):
    points = np.random.default_rng(0).uniform(0, 100, (14, 2))
    np.testing.assert_allclose(to_picture(to_crop(points, crop), crop), points, atol=1e-9)


def test_the_crop_of_a_box_holds_it_with_a_margin():
    crop = crop_of_box((10, 20, 41, 81))
    assert (crop.x, crop.y, crop.side) == (30, 60, 81 * 1.25)
    assert to_crop(np.array([30.0, 60.0]), crop).tolist() == [0, 0]


def test_mirroring_exchanges_left_and_right_and_nothing_else():
    names = [JOINTS[place] for place in MIRRORED]
    assert names[JOINTS.index("left_knee")] == "right_knee"
    assert names[JOINTS.index("neck")] == "neck"
    assert [MIRRORED[place] for place in MIRRORED] == list(range(14))


def test_pck_by_hand():
    truth = np.zeros((14, 2))
    truth[JOINTS.index("right_shoulder")] = (0, 0)
    truth[JOINTS.index("left_hip")] = (30, 40)
    assert torso_px(truth) == 50
    predicted = truth.copy()
    predicted[0] += (9.9, 0)
    predicted[1] += (6, 8.1)
    assert found(predicted, truth).tolist() == [True, False, *[True] * 12]
