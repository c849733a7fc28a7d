import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.pose.detector import load_folder
from pipelines.runtime.device import CPU
from training import pose_detector
from training.pose_detector import Picture, frame, middle_loss, middle_targets

BLOCK = (20, 10, 50, 60)  # left, top, right, bottom of the one person, who is a white block


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Three pictures with the block, one of them val."""
    folder = tmp_path_factory.mktemp("data")
    pixels = np.zeros((72, 96, 3), np.uint8)
    pixels[BLOCK[1] : BLOCK[3], BLOCK[0] : BLOCK[2]] = 255
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    with zipfile.ZipFile(folder / "masks_people.zip", "w") as pack:
        lines = [{"file": f"{number}.png", "split": "val" if number == 2 else "train"} for number in range(3)]
        pack.writestr("index.jsonl", "\n".join(json.dumps(line) for line in lines))
        for line in lines:
            pack.writestr(line["file"], content.getvalue())
    return folder


@pytest.fixture
def teacher(monkeypatch):
    monkeypatch.setattr(pose_detector, "teach", lambda teachers, pictures: [np.array([BLOCK], float)] * len(pictures))


def options(data: Path, out: Path, steps: int, *more: str):
    paths = ["--data", str(data), "--teachers", str(data), "--out", str(out), "--device", "cpu"]
    return [
        *paths,
        "--packs",
        "masks_people",
        "--size",
        "64",
        "--width",
        "8",
        "--batch",
        "4",
        "--steps",
        str(steps),
        *more,
    ]


def test_boxes_go_with_their_picture():
    pixels = np.zeros((72, 96, 3), np.uint8)
    pixels[BLOCK[1] : BLOCK[3], BLOCK[0] : BLOCK[2]] = 255
    seen = 0
    for seed in range(15):
        framed, boxes = frame(Picture(pixels, np.array([BLOCK], float)), 128, np.random.default_rng(seed))
        for left, top, right, bottom in boxes:
            ys, xs = (framed.min(axis=2) > 160).nonzero()
            assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == pytest.approx((left, top, right, bottom), abs=3)
            seen += 1
    assert seen > 8


def test_targets_and_their_loss():
    target = middle_targets(torch.tensor([[16.0, 8.0, 48.0, 56.0]]), 8, 0.15)
    assert target[4, 4] == 1
    assert (target == 1).sum() == 1
    assert target[4, 5].item() == pytest.approx(np.exp(-0.5 * (1 / 0.6) ** 2), abs=1e-4)
    perfect, blind = torch.where(target == 1, 20.0, -20.0), torch.full((8, 8), -20.0)
    assert middle_loss(perfect, target).item() < 1e-3
    assert middle_loss(blind, target).item() == pytest.approx(20, abs=0.1)


def test_a_run_writes_what_the_app_loads_and_asks_the_teacher_once(data, tmp_path, teacher, monkeypatch):
    pose_detector.main(options(data, tmp_path, 3))
    figures = json.loads((tmp_path / "run.json").read_text())["figures"]
    assert {"recall", "precision", "bytes"} <= set(figures)
    assert figures["people"] == 1
    assert load_folder(tmp_path / "model", placement=CPU).config.size == 64
    assert (tmp_path / "sheet.png").stat().st_size > 300
    monkeypatch.setattr(pose_detector, "teach", None)
    again = pose_detector.create(pose_detector.parse(options(data, tmp_path, 3, "--resume")))
    assert again.trainer.state.step == 3
