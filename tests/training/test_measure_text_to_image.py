import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipelines.runtime.device import CPU
from pipelines.text_to_image.models import wrap
from tests.pipelines.text_to_image.conftest import make_pipeline
from tests.training.plain_packs import CHINESE, COLOURS, write_plain_pack
from training import measure_text_to_image, text_to_image_reading
from training.drawings import load_drawings, load_pixels, on_white
from training.evaluate_text_to_image import Pair
from training.measure_text_to_image import held_out_pairs, known_pairs, prompts_for
from training.packs import DRAWING_PACKS
from training.text_to_image_memory import Nearest, TrainingDrawings, threshold_of

STYLES = {"noto": {"en": "shaded emoji", "zh": "渐变表情"}, "fx": {"en": "retro emoji", "zh": "复古表情"}}
TEACHER = """
import torch
class Perceptual(torch.nn.Module):
    def forward(self, a, b):
        return (a - b).square().mean(dim=(1, 2, 3))
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """All packs, most of them empty; red and green trained in one style each, blue held out in fx, dark red is val."""
    folder = tmp_path_factory.mktemp("data")
    for pack in DRAWING_PACKS:
        write_plain_pack(folder, pack.removeprefix("emoji_"), [])
        (folder / f"emoji_{pack.removeprefix('emoji_')}.zip").rename(folder / f"{pack}.zip")
    red, green, blue = ((name, name, "train") for name in ("red thing", "green thing", "blue thing"))
    write_plain_pack(folder, "noto", [red, green, blue, ("dark red thing", "dark red thing", "val")])
    write_plain_pack(folder, "fx", [("blue thing", "blue thing", "heldout_pair"), red])
    (folder / "drawings_styles.json").write_text(json.dumps(STYLES), encoding="utf-8")
    (folder / "load.py").write_text(TEACHER, encoding="utf-8")
    line = {"id": 1, "prompt": "a green thing, shaded emoji", "prompt_zh": "绿物，渐变表情", "name": "green thing"}
    line |= {"name_zh": "绿物", "style": "noto", "kind": "seen", "group": "objects"}
    (folder / "prompts64.jsonl").write_text(json.dumps(line, ensure_ascii=False), encoding="utf-8")
    return folder


def plain(*names: str) -> torch.Tensor:
    """(N, 3, 128, 128) pictures of these colours."""
    colours = torch.tensor([COLOURS[name] for name in names]) / 255
    return colours[:, :, None, None].expand(-1, 3, 128, 128)


# Sets


def test_known_pairs_are_trained_and_of_different_names(data):
    trained = load_drawings(data, "train")
    chosen = known_pairs(trained, 3)
    assert sorted(one.names["en"] for one in chosen) == ["blue thing", "green thing", "red thing"]
    assert {one.split for one in chosen} == {"train"}
    assert known_pairs(trained, 2) == known_pairs(trained, 2)
    assert len(known_pairs(trained, 99)) == 3


def test_held_out_pairs_are_those_of_the_split(data):
    held_out = load_drawings(data, "heldout_pair")
    assert held_out_pairs(held_out, 9) == held_out
    assert len(held_out_pairs(load_drawings(data, "train"), 2)) == 2


def test_prompts_say_name_and_style_in_both_languages(data):
    drawing = load_drawings(data, "heldout_pair")[0]
    prompt, other = prompts_for([drawing, drawing], STYLES, kind="held_out")
    assert prompt.words == {"en": "blue thing, retro emoji", "zh": "蓝物，复古表情"}
    assert (prompt.names, prompt.style, prompt.kind) == (drawing.names, "fx", "held_out")
    assert prompt.number != other.number


# Memory


@pytest.mark.parametrize("perceptual", [None, lambda a, b: (a - b).abs().mean(dim=(1, 2, 3))])
def test_a_copy_is_at_no_distance_and_a_shade_at_its_own(data, perceptual):
    drawings = load_drawings(data, "train")
    trained = TrainingDrawings(data, drawings, perceptual)
    copies = trained.nearest(on_white(load_pixels(data, drawings)))
    assert copies.distance == pytest.approx(np.zeros(len(drawings)), abs=1e-6)
    shade = trained.nearest(plain("dark red thing"))
    difference = 127 / 255 / (3 if perceptual else 3**0.5)  # one of three channels differs
    assert shade.distance == pytest.approx([difference], abs=1e-4)
    assert drawings[shade.place[0]].names["en"] == "red thing"


def test_perception_decides_among_the_candidates(data):
    drawings = load_drawings(data, "train")

    def by_green(a, b):
        return (b[:, 1].mean(dim=(1, 2)) - 1).abs()

    nearest = TrainingDrawings(data, drawings, by_green).nearest(plain("red thing"))
    assert drawings[nearest.place[0]].names["en"] == "green thing"


def test_whose_drawing_is_nearest(data):
    drawings = load_drawings(data, "train")
    trained = TrainingDrawings(data, drawings, None)
    nearest = trained.nearest(plain("blue thing", "green thing"))
    shares = trained.whose(nearest, [("blue thing", "fx"), ("green thing", "noto")])
    assert shares == {"of_name_and_style": 0.5, "of_name_in_another_style": 0.5}


def test_a_twentieth_of_the_real_ones_lies_below_the_threshold():
    real = Nearest(np.linspace(0, 1, 101), np.zeros(101, int))
    assert threshold_of(real) == pytest.approx(0.05)
    assert real.figures(threshold_of(real)) == {
        "n": 101,
        "median": 0.5,
        "near_copies": pytest.approx(6 / 101, abs=1e-4),
    }


# The whole


@pytest.fixture
def pair(monkeypatch, tmp_path) -> Pair:
    """A pipeline of random weights beside a CLIP that sees colours."""
    known = COLOURS | {CHINESE[name]: colour for name, colour in COLOURS.items()}

    def unit(rows):
        return np.array(rows, np.float32) / np.linalg.norm(rows, axis=-1, keepdims=True)

    def encode_picture(model, pixels):
        return SimpleNamespace(feature=unit(pixels.reshape(-1, 3).mean(axis=0) + 1e-3))

    def encode_labels(model, labels, *, templates):
        return SimpleNamespace(features=unit([known[label] for label in labels]))

    monkeypatch.setattr(text_to_image_reading, "encode_picture", encode_picture)
    monkeypatch.setattr(text_to_image_reading, "encode_labels", encode_labels)
    monkeypatch.setattr(text_to_image_reading.Reader.__init__, "__kwdefaults__", {"more": (), "cache": tmp_path})
    clip = SimpleNamespace(id="colours", module=torch.nn.Linear(2, 2))
    return Pair(wrap("tiny", make_pipeline(), CPU), clip)


def test_all_figures_of_a_model_that_always_draws_red(data, pair, tmp_path, monkeypatch):
    calls = Counter()

    def draw(model, prompts, language):
        calls[language] += 1
        return plain("red thing").repeat(len(prompts), 1, 1, 1)

    monkeypatch.setattr(measure_text_to_image, "draw", draw)
    monkeypatch.setattr(measure_text_to_image, "load", lambda runtime, options: pair)
    arguments = ["--data", str(data), "--teachers", str(data), "--out", str(tmp_path), "--device", "cpu"]
    measure_text_to_image.main([*arguments, "--pairs", "3"])
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    for language in ("en", "zh"):
        assert figures["known"][language]["top1"] == pytest.approx(1 / 3, abs=1e-4)
        assert figures["known"][language]["ceiling_top1"] == 1.0
        assert figures["held_out"][language]["top1"] == 0.0
        assert figures["held_out"][language]["things"]["n"] == 1
    memory = figures["memory"]
    assert memory["distance"] == "perceptual"
    assert memory["known_drawn"]["near_copies"] == 1.0
    assert memory["known_drawn"]["of_name_and_style"] == pytest.approx(1 / 3, abs=1e-4)
    assert memory["held_out_real"]["of_name_in_another_style"] == 1.0
    assert memory["val_real"]["median"] == pytest.approx((127 / 255) ** 2 / 3, abs=1e-4)
    assert figures["autoencoder"]["n"] == 1
    assert set(figures["time"]["by_threads"]) == {"1", "2"}
    assert (tmp_path / "sheet_zh.png").exists()
    assert not (tmp_path / "failures.png").exists()  # five names: every picture's name is among the first five
