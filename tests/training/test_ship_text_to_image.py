import json
import re
from pathlib import Path

import diffusers
import pytest
import torch
from PIL import Image

from tests.pipelines.text_to_image.conftest import make_pipeline
from training import ship_text_to_image
from training.card_text_to_image import accuracy_row
from training.text_to_image_model import save_pipeline


def accuracy(n: int) -> dict:
    shares = {"n": n, "top1": 0.25, "top5": 0.5, "ceiling_top1": 0.5, "ceiling_top5": 0.8}
    intervals = {"top1_95": [0.2, 0.3], "top5_95": [0.4, 0.6], "top5_of_ceiling": 0.625}
    return shares | intervals | {"top5_of_ceiling_95": [0.5, 0.75]}


def figures() -> dict:
    known = accuracy(20) | {"things": accuracy(12), "by_group": {"food": accuracy(9)}, "by_style": {"fx": accuracy(20)}}
    held_out = accuracy(10) | {"by_group": {"travel": accuracy(4)}, "by_style": {"fx": accuracy(10)}}
    prompts = accuracy(56) | {"without_drawing": {"n": 8, "top1": 0.125, "top5": 0.25}}
    sets = {"known": known, "held_out": held_out, "prompts": prompts}
    near = {"n": 20, "median": 0.1234, "near_copies": 0.4, "of_name_and_style": 0.6, "of_name_in_another_style": 0.2}
    places = ("known_drawn", "held_out_drawn", "held_out_real", "val_real")
    return {name: {"en": one, "zh": one} for name, one in sets.items()} | {
        "memory": {"distance": "perceptual", "threshold": 0.1} | dict.fromkeys(places, near),
        "autoencoder": {"n": 560, "psnr_db": 28.51, "psnr_db_95": [28.1, 28.9]},
        "time": {"steps": 20, "device": "cpu", "load": 1.5, "by_threads": {"2": {"median_s": 0.71, "least_s": 0.69}}},
        "guidance_scale": 4.0,
        "names": 3793,
    }


def write_run(folder: Path, figures: dict, **more) -> None:
    folder.mkdir(parents=True)
    loop = {"optimiser": "muon", "learning_rate": 0.001, "average": 0.999, "seed": 0}
    versions = {"torch": "2.15.0", "diffusers": "0.42.1", "revision": "0123456789abcdef"}
    record = {"settings": {"loop": loop}, "versions": versions, "threads": 2, "figures": figures, **more}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "curve.csv").write_text("step,seconds,v\n50,60.0,0.5\n1234,3600.0,0.2\n", encoding="utf-8")
    Image.new("RGB", (8, 8)).save(folder / "curve.png")


@pytest.fixture
def runs(tmp_path) -> Path:
    """What two trainings and a measurement left."""
    folder = tmp_path / "runs"
    parts = {"text_encoder": 1000, "unet": 2000000}
    write_run(folder / "painter", {"parameters": parts, "made": 5669}, command="python -m training.text_to_image")
    write_run(folder / "autoencoder", {"parameters": 300})
    write_run(folder / "first", {"parameters": 300})
    write_run(folder / "decoder", {"parameters": 300}, cuda=True)
    save_pipeline(make_pipeline(), folder / "painter/pipeline")
    (folder / "figures.json").write_text(json.dumps(figures()), encoding="utf-8")
    for name in ("sheet_en", "sheet_zh", "failures"):
        Image.new("RGB", (64, 64), "red").save(folder / f"{name}.png")
    return folder


def ship(runs: Path, out: Path, *more: str) -> str:
    ship_text_to_image.main(["--runs", str(runs), "--out", str(out), *more])
    return (out / "CARD.md").read_text(encoding="utf-8")


def test_the_folder_loads_and_its_card_says_what_was_measured(runs, tmp_path):
    out = tmp_path / "lucida"
    card = ship(runs, out, "--earlier", str(runs / "first"), "--decoder", str(runs / "decoder"))
    assert not re.findall(r"<[a-z]+>", card)
    assert (
        "| known pairs | English | 20 | 25.0 (20.0 to 30.0) | 50.0 | 50.0 (40.0 to 60.0) | 80.0 | 62.5 (50.0 to 75.0) |"
        in card
    )
    assert "| known pairs, things | Chinese | 12 |" in card
    assert "| food | 9 | 50.0 | 80.0 | 0 | – | – |" in card
    assert "| drawn for held-out pairs | 20 | 0.123 | 40.0 | 60.0 | 20.0 |" in card
    assert "28.5 dB (28.1 to 28.9)" in card
    assert "0.71 s (least 0.69 s)" in card
    assert card.count("1,234 steps in 60 minutes") == 4
    assert "Decoder alone, afterwards: 1,234 steps in 60 minutes on a GPU" in card
    assert "`python -m training.text_to_image`" in card
    assert "text encoder 1,000, unet 2,000,000, autoencoder 300" in card
    for named in re.findall(r"\]\((\S+?)\)", card):
        with Image.open(out / named) as picture:
            assert picture.width > 0
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(out, dtype=torch.float32, use_safetensors=True)
    drawn = pipeline("apple", num_inference_steps=2, generator=torch.Generator().manual_seed(0), output_type="pt")
    assert torch.isfinite(drawn.images).all()


def test_a_run_without_failures_shows_none(runs, tmp_path):
    (runs / "failures.png").unlink()
    card = ship(runs, tmp_path / "lucida")
    assert "failures.webp" not in card
    assert "Every known pair was read back." in card


def test_what_is_too_large_is_refused_and_the_old_folder_stays(runs, tmp_path, monkeypatch):
    out = tmp_path / "lucida"
    old = ship(runs, out)
    changed = figures() | {"guidance_scale": 7.0}
    (runs / "figures.json").write_text(json.dumps(changed), encoding="utf-8")
    monkeypatch.setattr(ship_text_to_image, "MOST_BYTES", 1000)
    with pytest.raises(ValueError, match="too large"):
        ship(runs, out)
    assert (out / "CARD.md").read_text(encoding="utf-8") == old


def test_a_row_without_a_ceiling_has_no_share():
    one = {name: value for name, value in accuracy(5).items() if not name.startswith("top5_of")}
    assert accuracy_row("x", "English", one | {"ceiling_top5": 0.0}).endswith("| 0.0 | – |")
