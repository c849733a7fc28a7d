import json

import numpy as np
import pytest
import torch

from pipelines.pose.flow import RealNVP
from pipelines.pose.joints import JOINTS
from pipelines.pose.models import PoseConfig, PoseNet, write_config
from tests.training.test_pose import data  # noqa: F401 (a fixture)
from training import measure_pose, pose
from training.measure_pose import Answers, Crops, cover_joints, head_figures, levels, peaks, region_figures

TINY = PoseConfig(crop=64, head_width=16, regression_width=16, couplings=2, flow_width=8)
WRIST, SHOULDER, HIP = (JOINTS.index(name) for name in ("right_wrist", "right_shoulder", "left_hip"))


@pytest.fixture
def crops() -> Crops:
    """Two people whose torsos are half a crop long; the second one's right wrist is not visible."""
    joints, seen = np.zeros((2, 14, 2)), np.full((2, 14), 2)
    joints[:, SHOULDER], joints[:, HIP], joints[:, WRIST] = (0, -0.25), (0, 0.25), (0.25, 0.25)
    seen[1, WRIST] = 1
    return Crops(np.full((2, 40, 40, 3), 200, np.uint8), joints, seen)


def test_pck_and_the_lead_of_rle_are_counted_over_visible_joints(crops):
    right, wrong = crops.joints.copy(), crops.joints + 1.0
    half = np.where(np.arange(14)[None, :, None] < 6, right, wrong)
    found = head_figures(crops, Answers({"rle": right, "regression": half}, None, None, None))
    assert found["rle"]["mean"] == 1.0
    assert found["regression"]["mean"] == pytest.approx(12 / 23, abs=1e-4)  # the hidden wrist is not counted
    assert found["rle_lead"]["mean"] == pytest.approx(11 / 23, abs=1e-4)
    assert found["rle_lead"]["low"] <= found["rle_lead"]["mean"] <= found["rle_lead"]["high"]


def test_a_second_peak_is_one_that_lies_away():
    heatmaps = torch.zeros(1, 3, 16, 16)
    heatmaps[0, :, 4, 4] = 0.8
    heatmaps[0, 1, 5, 5] = 0.7  # beside the first
    heatmaps[0, 2, 12, 4] = 0.4
    peak, second = peaks(heatmaps)
    assert peak[0].tolist() == pytest.approx([0.8] * 3)
    assert second[0].tolist() == pytest.approx([0, 0, 0.5])


def test_regions_of_an_identity_flow_hold_what_a_laplace_times_a_normal_says():
    flow, rng = RealNVP(2, 8), np.random.default_rng(0)
    draws = rng.laplace(size=(100000, 2))
    kept = draws[rng.random(len(draws)) < np.exp(-0.5 * np.square(draws).sum(axis=1))]
    found = region_figures(flow, kept)
    assert found["raw"] == pytest.approx([0.5, 0.9], abs=0.02)
    assert found["scale"] == pytest.approx(1, abs=0.05)
    assert region_figures(flow, 2 * kept)["scale"] == pytest.approx(2, rel=0.05)
    assert levels(flow)[0] > levels(flow)[1]


def test_the_patch_lies_on_a_visible_joint(crops):
    pixels, chosen = cover_joints(crops)
    assert chosen.tolist() == [WRIST, JOINTS.index("left_wrist")]
    grey = np.argwhere((pixels[0] == 127).all(axis=-1))
    assert grey.mean(axis=0) == pytest.approx([29.5, 29.5], abs=1)  # the wrist: three quarters of the crop
    assert np.ptp(grey[:, 0]) + 1 == pytest.approx(0.6 * 0.5 * 40, abs=1)
    assert (crops.pixels == 200).all()


def test_all_figures_of_a_network(data, tmp_path):  # noqa: F811
    torch.manual_seed(0)
    write_config(TINY, tmp_path / "model")
    pose.save_model(PoseNet(TINY), tmp_path / "model")
    measure_pose.main(["--data", str(data), "--run", str(tmp_path)])
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert figures["sets"]["val"]["n"] == 2
    assert figures["sets"]["val"]["heads"]["heatmap"]["mean"] == figures["sets"]["val"]["pck"]["heatmap"]
    assert figures["sets"]["pose_coco"]["occlusion"]["n"] == 1
    cost = figures["cost"]["parts"]
    assert cost["trunk"]["flops"] > cost["regression"]["flops"] > 0
    assert cost["heatmap"]["output_bytes"] == 14 * 16 * 16 * 4
