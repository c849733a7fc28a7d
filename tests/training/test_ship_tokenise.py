import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.runtime.device import CPU
from pipelines.tokenise.models import load_folder
from pipelines.tokenise.second_stage import MaskedTransformer, SecondStageConfig
from tests.training.test_tokenise import data, picture  # noqa: F401 (the first is a fixture)
from training import measure_tokenise, ship_tokenise, tokenise_second_stage
from training.measure_tokenise import distances, usage
from training.tokenise_model import VQConfig, create_vq
from training.tokenise_validation import save_model

TINY = VQConfig(patch=8, layers=1, widths=(16,), codes=16, code_width=4, latent_width=8)
NETWORK = SecondStageConfig(codes=16, width=16, layers=1, heads=2, condition=8)
STEPS = {"commitment": 0.25, "perceptual": 0.06, "adversarial": 0.3, "adversarial_from": 0.1, "encoder_from": 1.0}
STEPS |= {"crop_px": 96, "large_px": 128}


def write_run(folder: Path, settings: dict, figures: dict) -> None:
    loop = {"optimiser": "muon", "learning_rate": 0.002, "average": 0.999, "seed": 0}
    versions = {"torch": "2.15.0", "diffusers": "0.42.1", "revision": "0123456789abcdef"}
    record = {"settings": {"loop": loop, **settings}, "versions": versions, "threads": 1, "figures": figures}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "curve.csv").write_text("step,seconds,mse\n1234,3600.0,0.2\n", encoding="utf-8")
    Image.new("RGB", (8, 8)).save(folder / "curve.png")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """What trainings of both tokenisers and of the second stage left."""
    folder = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    for name, ema in (("vqgan", 0.0), ("vqvae", 0.99)):
        save_model(create_vq(TINY), folder / name / "model")
        settings = {"model": vars(TINY) | {"ema": ema}, "steps": STEPS}
        write_run(folder / name, settings, {"psnr": 23.456, "codes_used": 15})
    tokenise_second_stage.save_model(MaskedTransformer(NETWORK), folder / "second_stage/model")
    write_run(folder / "second_stage", {"model": vars(NETWORK)}, {"pictures": 4567, "val_bits": 6.789})
    return folder


@pytest.fixture(scope="module")
def figures(runs, data) -> dict:  # noqa: F811
    """Measured with few pictures."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(measure_tokenise, "PHOTOGRAPHS", ("cat", "coins"))
        measure_tokenise.main(["--data", str(data), "--packs", "masks_objects", "--runs", str(runs), "--used", "2"])
    return json.loads((runs / "figures.json").read_text(encoding="utf-8"))


def test_distances_are_those_of_the_pictures_that_come_back(runs):
    model = load_folder("x", runs / "vqgan/model", placement=CPU)
    crops = [picture(seed, 256, 256) for seed in range(2)]
    seen = []
    found = distances(model, crops, lambda crop, other: seen.append(other) or float(np.abs(crop - other).mean()))
    assert (found["n"], len(seen)) == (2, 6)  # ours and two codecs of each
    assert found["bytes"]["mean"] == 32 * 32 * 4 / 8
    assert found["psnr"]["low"] <= found["psnr"]["mean"] <= found["psnr"]["high"]
    assert found["jpeg_psnr"]["mean"] > found["psnr"]["mean"]  # the weights are random


def test_use_of_codes_is_counted_over_all_tokens(runs, monkeypatch):
    model = load_folder("x", runs / "vqgan/model", placement=CPU)
    grids = iter([np.array([[0, 1], [1, 1]]), np.array([[3, 3], [0, 3]])])
    monkeypatch.setattr(measure_tokenise, "there_and_back", lambda vq, crop: (crop, next(grids)))
    found = usage(model, [picture(0, 16, 16)] * 2)
    assert (found["pictures"], found["tokens"], found["used"], found["codes"]) == (2, 8, 3, 16)
    assert found["perplexity"] == pytest.approx(np.exp(-0.25 * np.log(0.25) - 0.75 * np.log(0.375)), abs=0.05)


def test_every_model_is_measured_on_pictures_that_are_large_enough(figures):
    for name in ("vqgan", "vqvae"):
        sets = figures[name]["sets"]
        assert (sets["outside"]["n"], sets["val"]["n"]) == (2, 1)
        assert figures[name]["usage"]["pictures"] == 2


def test_the_folders_load_and_their_cards_say_what_was_measured(runs, figures, tmp_path):
    out = tmp_path / "tokenise"
    ship_tokenise.main(["--runs", str(runs), "--out", str(out), "--trials", str(runs / "vqvae")])
    for name in ("vqgan", "vqvae"):
        assert load_folder("x", out / name, placement=CPU).codes == 16
        card = (out / name / "CARD.md").read_text(encoding="utf-8")
        assert not re.findall(r"<[a-z]+>", card)
        assert ("keeps its encoder and its codes" in card) == (name == "vqgan")
        psnr = figures[name]["sets"]["outside"]["psnr"]
        assert f"| the app's photographs, in no pack | 2 | 512 | tokens | {psnr['mean']:.2f} (" in card
        assert "| vqvae | running means (0.99) | 200 steps | 0.25 | 1234 | 60 | 23.46 | 15 |" in card
        for named in re.findall(r"\]\((\S+?)\)", card):
            with Image.open(out / name / named) as shown:
                assert shown.width > 0
    card = (out / "second_stage/CARD.md").read_text(encoding="utf-8")
    assert not re.findall(r"<[a-z]+>", card)
    assert "1 layers, width 16, 2 heads" in card and "4,567 grids" in card and "6.79 (10 bits" in card


def test_figures_of_other_weights_are_refused(runs, figures, tmp_path):
    altered = figures | {"vqgan": figures["vqgan"] | {"weights": "0" * 64}}
    (runs / "figures.json").write_text(json.dumps(altered), encoding="utf-8")
    with pytest.raises(ValueError, match="other weights"):
        ship_tokenise.main(["--runs", str(runs), "--out", str(tmp_path / "tokenise")])
    (runs / "figures.json").write_text(json.dumps(figures), encoding="utf-8")
