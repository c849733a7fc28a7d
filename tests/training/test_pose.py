import io
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from pipelines.pose.decode import argmax, dark
from pipelines.pose.joints import JOINTS
from pipelines.pose.models import PoseConfig, PoseModel, PoseNet, load_folder
from pipelines.runtime.device import CPU
from training import evaluate_pose, pose
from training.pose_data import People, load_people, upright
from training.pose_steps import StepConfig, head_losses, map_loss, targets, trimmed_mean


def person(number: int, split: str, source: str = "lspet") -> tuple[dict, bytes]:
    """A white figure on black: right side red, left side blue; the head is not labelled in COCO."""
    rng = np.random.default_rng(number)
    names = {
        name: (40 + 30 * ("left" in name) + rng.uniform(-4, 4), 12 * (1 + index % 6) + rng.uniform(-3, 3), 2)
        for index, name in enumerate(JOINTS)
        if source == "lspet" or name not in ("neck", "head_top")
    }
    drawn = Image.new("RGB", (110, 90), "black")
    pen = ImageDraw.Draw(drawn)
    for name, (x, y, _) in names.items():
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill="blue" if "left" in name else "red")
    content = io.BytesIO()
    drawn.save(content, "PNG")
    line = {"file": f"images/{number}.png", "joints": names, "box": [30, 5, 50, 75], "source": source, "split": split}
    return line, content.getvalue()


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for pack, source in (("pose_lspet", "lspet"), ("pose_coco", "coco")):
        with zipfile.ZipFile(folder / f"{pack}.zip", "w") as file:
            rows = [person(number, "val" if number == 3 else "train", source) for number in range(4)]
            file.writestr("index.jsonl", "\n".join(json.dumps(line) for line, _ in rows))
            for line, content in rows:
                file.writestr(line["file"], content)
    return folder


@pytest.fixture(scope="module")
def crops(data) -> People:
    return People(load_people(data, "train"), coco_share=0.5, seed=0)


def options(data: Path, out: Path, steps: int, *more: str) -> list[str]:
    paths = ["--data", str(data), "--out", str(out), "--device", "cpu"]
    shape = ["--crop", "64", "--head-width", "16", "--regression-width", "16", "--couplings", "2", "--flow-width", "8"]
    return [*paths, *shape, "--batch", "4", "--steps", str(steps), *more]


def test_joints_that_coco_lacks_are_missing(data):
    people = load_people(data, "train", packs=("pose_coco",))
    assert [person.seen[12:].tolist() for person in people] == [[0, 0]] * 3
    assert (people[0].seen[:12] == 2).all()


def test_crops_show_each_joint_where_it_is_said_to_be(crops):
    """Left joints are blue, right ones red; where the crop is mirrored it is the other way round, for all of them."""
    batch = crops.batch(0, 40, 128)
    agreeing, mirrored = [], 0
    for picture, joints, weights in zip(batch.pictures, batch.joints, batch.weights, strict=True):
        right = []
        for place in weights[:12].nonzero()[:, 0].tolist():
            x, y = ((joints[place] + 0.5) * 128 - 0.5).round().long().clamp(0, 127).tolist()
            red, _, blue = picture[:, y, x].tolist()
            right.append((blue > red + 40) if "left" in JOINTS[place] else (red > blue + 40))
        agreeing.append(max(np.mean(right), 1 - np.mean(right)))
        mirrored += np.mean(right) < 0.5
    assert np.mean(agreeing) > 0.93  # patches cover the others
    assert 10 < mirrored < 30
    assert torch.equal(batch.joints[7:9], crops.batch(7, 2, 128).joints)


def test_targets_have_their_maximum_at_the_joint():
    joints = torch.tensor([[[0.1, -0.2], [0.0, 0.3]]])
    maps = targets(joints, 48, 2.0)
    torch.testing.assert_close((dark(maps) + 0.5) / 48 - 0.5, joints, atol=1e-3, rtol=0)
    assert argmax(maps)[1].min() > 0.9
    assert map_loss(torch.zeros_like(maps), joints, 2.0).flatten().tolist() == pytest.approx([1, 1], abs=0.02)
    assert map_loss(maps, joints, 2.0).max() == 0


def test_the_largest_losses_are_left_out_and_missing_joints_too():
    losses, weights = torch.tensor([[1.0, 2.0, 100.0, 50.0]]), torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    assert trimmed_mean(losses, weights, dropped=0.0).item() == pytest.approx(103 / 3)
    assert trimmed_mean(losses, weights, dropped=0.3).item() == pytest.approx(1.5)
    assert trimmed_mean(losses, torch.zeros_like(weights), dropped=0.3).item() == 0


def test_every_head_prefers_the_truth():
    torch.manual_seed(0)
    net, joints = PoseNet(PoseConfig(crop=64, head_width=16, regression_width=16)), torch.rand(2, 14, 2) - 0.5

    def losses(shift: float) -> dict[str, float]:
        moved = joints + shift
        output = SimpleNamespace(
            heatmap=targets(moved, 16, 2.0),
            soft=20 * targets(moved, 16, 2.0),
            regression=moved,
            rle_mean=moved,
            rle_sigma=torch.full_like(moved, 0.05),
            small=tuple(targets(moved, side, 1.0) for side in (8, 4)),
        )
        found = head_losses(output, joints, net.flow, StepConfig(), warm=False)
        return {name: value.mean().item() for name, value in found.items()}

    true, wrong = losses(0.0), losses(0.1)
    assert set(true) == {"heatmap", "soft", "regression", "rle", "small_8", "small_4"}
    assert all(true[name] < wrong[name] for name in true)


def test_a_run_learns_and_writes_what_the_app_loads(data, tmp_path):
    made = pose.create(pose.parse(options(data, tmp_path, 12)))
    first = made.trainer.step(made.steps)
    pose.main(options(data, tmp_path, 12, "--l1-until", "0"))
    rows = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["rows"]
    assert rows[-1]["heatmap"] < first["heatmap"]
    figures = json.loads((tmp_path / "run.json").read_text())["figures"]
    assert set(figures["pck"]) == {"heatmap", "soft_argmax", "regression", "rle", "heatmap_8", "heatmap_4"}
    assert figures["n"] == 2
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    assert load_folder("run", tmp_path / "model", placement=CPU).module.config.crop == 64


def test_a_resumed_run_is_the_same_to_the_bit(data, tmp_path):
    def made(folder: str, *more: str) -> pose.Run:
        return pose.create(pose.parse(options(data, tmp_path / folder, 4, *more)))

    whole, first = made("whole"), made("parts")
    for _ in range(3):
        whole.trainer.step(whole.steps)
    first.trainer.step(first.steps)
    first.trainer.save()
    second = made("parts", "--resume")
    for _ in range(2):
        second.trainer.step(second.steps)
    ours, theirs = second.trainer.model.state_dict(), whole.trainer.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_bundled_shape_fits_and_starts_from_imagenet():
    net = PoseNet(PoseConfig())
    assert sum(value.numel() for value in net.state_dict().values()) * 2 <= 9.5 * 2**20
    before = net.trunk.conv_stem.weight.clone()
    pose.load_trunk(net)
    assert not torch.equal(net.trunk.conv_stem.weight, before)
    with torch.no_grad():
        output = net.eval()(torch.zeros(1, 3, 192, 192))
    assert output.heatmap.shape == (1, 14, 48, 48)
    assert [one.shape[-1] for one in output.small] == [24, 12]


def test_figures_of_heads_that_know_the_truth(data, monkeypatch):
    people = load_people(data, "val")
    truth = np.stack([upright(one, 64)[1] for one in people])
    wrong = truth.copy()
    wrong[0] += 10
    sigma = np.linspace(0.1, 0.2, truth[..., 0].size).reshape(truth.shape[:2])
    known = {"heatmap": truth, "soft_argmax": wrong, "regression": truth, "rle": truth + sigma[..., None]}
    monkeypatch.setattr(evaluate_pose, "predict", lambda net, pixels: (known, sigma))
    model = PoseModel("x", PoseNet(PoseConfig(crop=64, head_width=16)), "cpu", torch.float32)
    figures = evaluate_pose.figures_of(model.module, people)
    assert (figures["n"], figures["joints"]) == (2, 24)
    assert figures["pck"]["heatmap"] == 1
    assert figures["pck"]["soft_argmax"] == 0.5
    assert figures["pck_joints"]["soft_argmax"]["left_knee"] == 0.5
    assert figures["pck_hidden"]["rle"] is None
    assert figures["sigma_spearman"] > 0.9
