import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.runtime.device import CPU
from pipelines.text_to_image.models import wrap
from tests.pipelines.text_to_image.conftest import make_pipeline
from tests.training.plain_packs import CHINESE, COLOURS, write_plain_pack
from training import evaluate, evaluate_text_to_image, text_to_image_reading
from training.text_to_image_reading import Reader, Readings, all_drawings, names_of, ratio_interval, read_real
from training.text_to_image_sheet import draw_prompts, load_prompts


@pytest.fixture
def data(tmp_path) -> Path:
    """Two packs of plain colours. One of the two drawings of a red thing in fx is blue."""
    red, green, blue = ((name, name, "heldout_pair") for name in ("red thing", "green thing", "blue thing"))
    write_plain_pack(tmp_path, "noto", [red, green])
    write_plain_pack(tmp_path, "fx", [red, ("red thing", "blue thing", "train"), blue])
    return tmp_path


@pytest.fixture
def prompts(tmp_path) -> Path:
    """Three lines with real drawings, one without."""
    asked = [("red thing", "noto", "seen"), ("red thing", "fx", "pair"), ("blue thing", "fx", "seen")]
    asked.append(("grey thing", "fx", "composition"))
    lines = [
        {"id": 7 + number, "prompt": f"a {name}", "prompt_zh": CHINESE[name], "name": name, "name_zh": CHINESE[name]}
        | {"style": style, "kind": kind, "group": "objects"}
        for number, (name, style, kind) in enumerate(asked)
    ]
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def clip(monkeypatch, tmp_path) -> SimpleNamespace:
    """Sees the mean colour; knows the colours' names in both languages, a grey thing among them."""
    asked = []
    known = COLOURS | {CHINESE[name]: colour for name, colour in COLOURS.items()}

    def encode_picture(model, pixels):
        colour = pixels.reshape(-1, 3).mean(axis=0) + 1e-3
        return SimpleNamespace(feature=(colour / np.linalg.norm(colour)).astype(np.float32))

    def encode_labels(model, labels, *, templates):
        asked.append(tuple(labels))
        features = np.array([known[label] for label in labels], np.float32)
        return SimpleNamespace(features=features / np.linalg.norm(features, axis=1, keepdims=True))

    monkeypatch.setattr(text_to_image_reading, "encode_picture", encode_picture)
    monkeypatch.setattr(text_to_image_reading, "encode_labels", encode_labels)
    monkeypatch.setattr(Reader.__init__, "__kwdefaults__", {"more": (), "cache": tmp_path / "cache"})
    return SimpleNamespace(id="colours", module=torch.nn.Linear(2, 2), asked=asked)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A pipeline of random weights as a folder."""
    path = tmp_path_factory.mktemp("pipeline") / "painter"
    make_pipeline().save_pretrained(path)
    return path


def options_of(prompts: Path, data: Path, *more: str):
    return evaluate.parse(["text_to_image", "--prompts", str(prompts), "--data", str(data), *more])


def painted(monkeypatch, colours: list[tuple[int, int, int]]) -> None:
    """Let the model draw these colours."""
    pictures = torch.tensor(colours, dtype=torch.float32)[:, :, None, None].expand(-1, 3, 16, 16) / 255
    monkeypatch.setattr(evaluate_text_to_image, "draw", lambda model, prompts, language, **_: pictures)


def test_figures_by_hand(prompts, data, clip, monkeypatch):
    painted(monkeypatch, [(255, 0, 0), (0, 255, 0), (0, 0, 255), (120, 130, 120)])
    pair = evaluate_text_to_image.Pair(SimpleNamespace(default_guidance=4.0, id="painter"), clip)
    figures = evaluate_text_to_image.evaluate(pair, options_of(prompts, data))
    assert (figures["n"], figures["lines"], figures["names"]) == (3, 4, 4)
    assert figures["top1"] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["top5"] == 1.0
    assert figures["ceiling_top1"] == pytest.approx((1 + 0.5 + 1) / 3, abs=1e-4)  # half of the red things of fx is blue
    assert figures["ceiling_top5"] == 1.0
    assert figures["top5_of_ceiling"] == 1.0
    assert figures["by_kind"]["pair"] == {"n": 1, "top1": 0.0, "top5": 1.0, "ceiling_top1": 0.5, "ceiling_top5": 1.0}
    assert figures["by_style"]["fx"]["n"] == 2
    assert figures["without_drawing"] == {"n": 1, "top1": 1.0, "top5": 1.0}


def test_chinese_names_are_read_in_chinese(prompts, data, clip, monkeypatch):
    painted(monkeypatch, [(255, 0, 0)] * 4)
    pair = evaluate_text_to_image.Pair(SimpleNamespace(default_guidance=4.0, id="painter"), clip)
    figures = evaluate_text_to_image.evaluate(pair, options_of(prompts, data, "--language", "zh"))
    assert figures["top1"] == pytest.approx(2 / 3, abs=1e-4)
    assert clip.asked == [("红物", "绿物", "蓝物"), ("灰物",)]


def test_names_are_those_of_every_split_once(data):
    assert names_of(all_drawings(data), "en") == ["blue thing", "green thing", "red thing"]


def test_names_are_encoded_once_and_anew_for_others(clip, tmp_path):
    names = ["red thing", "green thing"]
    first = Reader(clip, names, "en", cache=tmp_path / "kept")
    again = Reader(clip, names, "en", more=["green thing", "grey thing"], cache=tmp_path / "kept")
    assert clip.asked == [tuple(names), ("grey thing",)]
    assert np.array_equal(again.texts[:2], first.texts)
    assert again.names == ("red thing", "green thing", "grey thing")
    Reader(clip, ["blue thing"], "en", cache=tmp_path / "kept")
    clip.module = torch.nn.Linear(2, 2)  # other weights
    Reader(clip, ["blue thing"], "en", cache=tmp_path / "kept")
    assert clip.asked[2:] == [("blue thing",), ("blue thing",)]


def test_pictures_are_the_pipelines_own_whatever_the_batch(prompts):
    pipeline, lines = make_pipeline(), load_prompts(prompts)
    drawn = draw_prompts(pipeline, lines, "zh", steps=3)
    last = pipeline(
        lines[3].words["zh"],
        generator=torch.Generator().manual_seed(lines[3].number),
        num_inference_steps=3,
        guidance_scale=4.0,
        output_type="pt",
    ).images
    torch.testing.assert_close(drawn[3:], last, rtol=0, atol=1e-4)
    assert drawn.shape == (4, 3, 64, 64)
    assert not torch.allclose(drawn[0], drawn[1], atol=1e-2)


def test_guidance_is_the_models_own_or_what_is_asked(prompts):
    model, lines = wrap("tiny", make_pipeline(), CPU), load_prompts(prompts)[:1]
    own = evaluate_text_to_image.draw(model, lines, "en")
    assert torch.equal(own, evaluate_text_to_image.draw(model, lines, "en", guidance_scale=4.0))
    assert not torch.equal(own, evaluate_text_to_image.draw(model, lines, "en", guidance_scale=1.0))


def test_the_command_measures_a_folder_and_writes_its_sheet(prompts, data, clip, folder, tmp_path, monkeypatch, capsys):
    runtime = SimpleNamespace(
        placement=CPU,
        choose=lambda topic: SimpleNamespace(entry=SimpleNamespace(id=topic)),
        load=lambda model_id: {"zero_shot": clip}[model_id],
    )
    monkeypatch.setattr(evaluate, "configure", lambda settings: runtime)
    arguments = ["text_to_image", "--prompts", str(prompts), "--data", str(data), "--pipeline", str(folder)]
    evaluate.main([*arguments, "--sheet", str(tmp_path / "sheet.png")])
    figures = json.loads(capsys.readouterr().out)
    assert figures["model"] == "painter"
    assert {"n", "top1", "top5", "ceiling_top1", "ceiling_top5"} <= set(figures)
    assert 0 <= figures["top1"] <= figures["top5"] <= 1
    assert Image.open(tmp_path / "sheet.png").width == 4 * (64 + 4)


def test_the_ceiling_counts_each_line_once():
    prompts = [SimpleNamespace(kind="a"), SimpleNamespace(kind="b")]
    readings = Readings(prompts, np.array([0, 9]), [np.array([0, 0, 0, 7]), np.array([7])])
    assert readings.figures() == {"n": 2, "top1": 0.5, "top5": 0.5, "ceiling_top1": 0.375, "ceiling_top5": 0.375}
    assert readings.intervals()["top5_of_ceiling"] == pytest.approx(0.5 / 0.375, abs=1e-4)
    assert readings.by("kind")["b"]["n"] == 1


def test_a_ratio_of_equals_is_one_and_a_coins_is_wide():
    values = (np.arange(200) % 2).astype(float)
    assert ratio_interval(values, values) == [1.0, 1.0]
    low, high = ratio_interval(values, np.ones(200))
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / 200**0.5, abs=0.03)


def test_all_real_drawings_of_a_name_and_style_are_read(prompts, data, clip):
    drawings = all_drawings(data)
    real = read_real(Reader(clip, names_of(drawings, "en"), "en"), data, drawings, load_prompts(prompts))
    assert {pair: (places == 0).tolist() for pair, places in real.items()} == {
        ("red thing", "noto"): [True],
        ("red thing", "fx"): [True, False],
        ("blue thing", "fx"): [True],
    }
