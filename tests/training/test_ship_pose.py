import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from pipelines.pose.joints import LIMBS
from pipelines.pose.models import PoseConfig, PoseNet, load_folder
from pipelines.runtime.device import CPU
from pipelines.runtime.manifest import sha256_of
from training import ship_pose
from training.card_pose import OCCLUSION, PARTS
from training.evaluate_pose import HEADS
from training.pose import save_model

TINY = PoseConfig(crop=64, head_width=16, regression_width=16, couplings=2, flow_width=8)


def estimated(value: float) -> dict:
    return {"mean": value, "low": value - 0.1, "high": value + 0.1}


def measured(value: float) -> dict:
    names = (*HEADS, "heatmap_24", "heatmap_12", "rle_lead")
    return {
        "n": 71,
        "joints": 1234,
        "hidden_joints": 9,
        "heads": {name: estimated(value) for name in names},
        "pck_joints": {name: dict.fromkeys(LIMBS, value) for name in HEADS},
        "pck_hidden": dict.fromkeys(HEADS),
        "sigma_spearman": 0.456,
        "regions": {"n": 1234, "scale": 1.25, "raw": [0.4, 0.8], "scaled": [0.5, 0.9]},
        "occlusion": {"n": 60} | {name: estimated(value) for name in OCCLUSION},
    }


@pytest.fixture
def runs(tmp_path) -> Path:
    """What two trainings and a measurement left."""
    loop = {"optimiser": "adamw", "learning_rate": 0.001, "average": 0.999, "seed": 0}
    versions = {"torch": "2.15.0", "revision": "0123456789abcdef"}
    found = {"parameters": 4321, "recall": 0.75, "precision": 0.5, "people": 250}
    for name in ("lucida", "detector"):
        folder = tmp_path / "runs" / name
        save_model(PoseNet(TINY), folder / "model")
        record = {"settings": {"loop": loop}, "versions": versions, "threads": 1, "figures": found}
        (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
        (folder / "curve.csv").write_text("step,seconds,map\n1234,3600.0,0.2\n", encoding="utf-8")
        Image.new("RGB", (8, 8)).save(folder / "curve.png")
    part = {"parameters": 99, "flops": 5_000_000, "ms": 1.25, "output_bytes": 2048}
    figures = {
        "weights": sha256_of(tmp_path / "runs/lucida/model/model.safetensors"),
        "sets": {name: measured(value) for name, value in (("pose_coco", 0.7), ("pose_lspet", 0.5), ("val", 0.6))},
        "cost": {"load": 2.0, "parts": dict.fromkeys(PARTS, part)},
    }
    (tmp_path / "runs/lucida/figures.json").write_text(json.dumps(figures), encoding="utf-8")
    return tmp_path / "runs"


def test_the_folders_load_and_their_cards_say_what_was_measured(runs, tmp_path):
    out = tmp_path / "pose"
    ship_pose.main(["--runs", str(runs), "--out", str(out)])
    loaded = load_folder("x", out / "lucida", placement=CPU).module
    assert torch.isfinite(loaded(torch.zeros(1, 3, 64, 64)).regression).all()
    card, detector = ((out / name / "CARD.md").read_text(encoding="utf-8") for name in ("lucida", "detector"))
    assert not re.findall(r"<[a-z]+>", card + detector)
    assert "| heat map, DARK | 70.0 (60.0 to 80.0) | 50.0 (40.0 to 60.0) | 60.0 (50.0 to 70.0) |" in card
    assert "| hidden, 9 joints | – | – | – | – |" in card
    assert "| both | 40.0 | 80.0 | 1.25 | 50.0 | 90.0 | 0.46 |" in card
    assert "| trunk | 99 | 5 | 1.2 | 2.0 |" in card
    assert "recall 75.0 %, precision 50.0 %" in detector
    assert "1,234 steps in 60 minutes" in card and "1,234 steps in 60 minutes" in detector
    assert (out / "lucida/curve.png").exists() and (out / "detector/curve.png").exists()


def test_figures_of_other_weights_are_refused(runs, tmp_path):
    save_model(PoseNet(TINY), runs / "lucida/model")
    with pytest.raises(ValueError, match="other weights"):
        ship_pose.main(["--runs", str(runs), "--out", str(tmp_path / "pose")])
