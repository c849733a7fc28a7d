import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from pipelines.runtime.device import CPU
from pipelines.runtime.manifest import sha256_of
from pipelines.segment.models import SamConfig, create_sam, load_folder
from training import ship_segment
from training.card_segment import accuracy_table
from training.segment import save_model
from training.segment_model import Student

TINY = SamConfig(image_size=64, width=16, depth=2, heads=2, window=4, global_blocks=(1,), out_channels=16)
COLUMNS = "clicks clicks_oracle clicks_single box box_oracle box_single grabcut_box iou_error iou_bias spread shrinks"


def measured(value: float) -> dict:
    """A set whose every figure is the value, up to 10 clicks."""
    columns = {
        name: {"mean": [value] * 10, "low": [value - 0.1] * 10, "high": [value + 0.1] * 10} for name in COLUMNS.split()
    }
    return {"n": 12, "pictures": 9, **columns, "shrinks_any": columns["shrinks"]}


def figures(weights: str) -> dict:
    one = {"iou": 0.7, "stability": 0.85, "f2": 0.4, "recall": 0.5, "precision": 0.25, "kept": 12.3}
    everything = {"side": 16, "nms": 0.7, "pictures": 24, "chosen": one, "library": one | {"iou": 0.88}, "table": [one]}
    spent = {"median_ms": 130.4, "least_ms": 120.2}
    return {
        "weights": weights,
        "sets": {"masks_people": measured(0.5), "outside_photos": measured(0.625)},
        "everything": everything,
        "time": {"size": [192, 288], "load": 2.5, "by_threads": {"1": {"encode": spent, "click": spent}}},
    }


@pytest.fixture
def run(tmp_path) -> Path:
    """What a training and a measurement left."""
    folder = tmp_path / "run"
    torch.manual_seed(0)
    save_model(create_sam(TINY), TINY, folder / "model")
    loop = {"optimiser": "muon", "learning_rate": 0.005, "average": 0.999, "seed": 0}
    versions = {"torch": "2.15.0", "diffusers": "0.42.1", "revision": "0123456789abcdef"}
    steps = {"most_rounds": 3, "focal": 20.0, "small_until": 0.45, "composite": 0.5, "distil_until": 0.35}
    settings = {"loop": loop, "model": vars(TINY), "steps": steps}
    record = {"command": "python -m training.segment", "settings": settings, "versions": versions, "threads": 1}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "curve.csv").write_text("step,seconds,mask\n50,60.0,0.5\n1234,3600.0,0.2\n", encoding="utf-8")
    digest = sha256_of(folder / "model/model.safetensors")
    (folder / "figures.json").write_text(json.dumps(figures(digest)), encoding="utf-8")
    for name in ("curve", "outside"):
        Image.new("RGB", (64, 64), "red").save(folder / f"{name}.png")
    return folder


def test_the_folder_loads_and_its_card_says_what_was_measured(run, tmp_path):
    out = tmp_path / "lucida"
    ship_segment.main(["--run", str(run), "--out", str(out)])
    assert load_folder("x", out, placement=CPU).module.image_encoder.img_size == 64
    card = (out / "CARD.md").read_text(encoding="utf-8")
    assert not re.findall(r"<[a-z]+>", card)
    interval = "62.5 (52.5 to 72.5)"
    photographs = "| photographs outside the packs, traced by hand | 9 | 12 |"
    assert f"{photographs} {' | '.join([interval] * 5)} | +62.5 |" in card
    assert "| val: people | " + " | ".join(["50.0"] * 10) + " |" in card
    assert "1,234 steps in 60 minutes on a CPU, 1 thread" in card
    assert "up to 3 corrective clicks" in card and "the first 45 % of the time" in card
    assert "Afterwards" not in card
    assert "| chosen | 0.7 | 0.85 | 12.3 | 50.0 | 25.0 |" in card
    assert "| 1, 288 x 192 px, load average 2.5 | 130 (120) | 130 (120) |" in card
    for named in re.findall(r"\]\((\S+?)\)", card):
        with Image.open(out / named) as picture:
            assert picture.width > 0
    assert "table" not in json.loads((out / "figures.json").read_text(encoding="utf-8"))["everything"]


def test_the_card_tells_of_a_head_that_was_fitted_afterwards(run, tmp_path):
    shares = {"chosen_one_click": 0.5, "best_one_click": 0.75, "chosen": 0.6, "best": 0.8, "error": 0.1, "bias": 0.0}
    fitted = {"prompts": 9600, "before": shares, "after": shares | {"chosen_one_click": 0.625}, "weights": "0" * 64}
    (run / "iou.json").write_text(json.dumps(fitted), encoding="utf-8")  # of an earlier export
    ship_segment.main(["--run", str(run), "--out", str(tmp_path / "lucida")])
    assert "9,600 prompts" not in (tmp_path / "lucida/CARD.md").read_text(encoding="utf-8")
    fitted["weights"] = sha256_of(run / "model/model.safetensors")
    (run / "iou.json").write_text(json.dumps(fitted), encoding="utf-8")
    ship_segment.main(["--run", str(run), "--out", str(tmp_path / "lucida")])
    card = (tmp_path / "lucida/CARD.md").read_text(encoding="utf-8")
    assert "9,600 prompts" in card and "from 50.0 to 62.5 (best of three 75.0)" in card


def test_every_table_has_one_width():
    for line in accuracy_table(figures("")).splitlines():
        assert line.count("|") == 10


def test_figures_of_other_weights_are_refused_and_the_old_folder_stays(run, tmp_path, monkeypatch):
    out = tmp_path / "lucida"
    ship_segment.main(["--run", str(run), "--out", str(out)])
    old = sha256_of(out / "model.safetensors")
    monkeypatch.setattr(ship_segment, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="too large"):
        ship_segment.main(["--run", str(run), "--out", str(out)])
    monkeypatch.undo()
    save_model(create_sam(TINY), TINY, run / "model")
    with pytest.raises(ValueError, match="other weights"):
        ship_segment.main(["--run", str(run), "--out", str(out)])
    assert sha256_of(out / "model.safetensors") == old


def test_a_checkpoint_ships_its_average_alone(run, tmp_path):
    model, average = Student(TINY), Student(TINY)
    saved = {"model": model.state_dict(), "average": average.state_dict(), "state": {"step": 7, "seconds": 1.0}}
    torch.save(saved, run / "checkpoint.pt")
    out = tmp_path / "lucida"
    ship_segment.main(["--run", str(run), "--out", str(out), "--checkpoint"])
    assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]
    loaded = load_folder("x", out, placement=CPU).module.state_dict()
    for name, value in average.sam.state_dict().items():
        assert torch.equal(loaded[name], value.half().float()), name
