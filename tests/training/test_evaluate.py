import io
import json
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from training import evaluate, evaluate_zero_shot
from training.evaluate_zero_shot import chosen_rows, interval, label_of, ranks

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
CHINESE = {"red": "红", "green": "绿", "blue": "蓝"}


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (60, 40)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, colour).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def pack(tmp_path):
    """Three right labels, one wrong, one row for training, one that is no picture."""
    lines, path = [], tmp_path / "colours.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, label, split in (
            ("red", "red", "val"),
            ("green", "green", "val"),
            ("blue", "blue", "val"),
            ("red", "blue", "heldout"),
            ("green", "green", "train"),
        ):
            row = {"file": f"{len(lines)}.png", "label": label, "label_zh": CHINESE[label], "split": split}
            file.writestr(row["file"], picture(COLOURS[name], (2000, 1500) if name == "blue" else (60, 40)))
            lines.append(row)
        lines.append({"file": "broken.png", "label": "red", "label_zh": "红", "split": "val"})
        file.writestr("broken.png", b"no picture")
        file.writestr("index.jsonl", "\n".join(json.dumps(line, ensure_ascii=False) for line in lines))
    return path


@pytest.fixture
def colour_model(monkeypatch):
    """Sees the mean colour and knows the three words."""

    def encode_picture(model, pixels, *, crop):
        colour = pixels.reshape(-1, 3).mean(axis=0)
        return SimpleNamespace(feature=(colour / np.linalg.norm(colour)).astype(np.float32))

    def encode_labels(model, labels, *, templates):
        return SimpleNamespace(features=np.array([COLOURS[label] for label in labels], np.float32) / 255)

    monkeypatch.setattr(evaluate_zero_shot, "encode_picture", encode_picture)
    monkeypatch.setattr(evaluate_zero_shot, "encode_labels", encode_labels)
    return SimpleNamespace(id="colours")


def options(pack, **settings) -> SimpleNamespace:
    values = {"pack": pack, "language": "en", "labels": None, "split": None, "crop": "own", "bare": True}
    return SimpleNamespace(**(values | settings))


def test_figures_by_hand(pack, colour_model):
    figures = evaluate_zero_shot.evaluate(colour_model, options(pack))
    assert (figures["n"], figures["labels"]) == (4, 3)  # the row for training is left out, so is the broken file
    assert figures["top1"] == 0.75
    assert figures["top5"] == 1.0
    assert figures["unreadable"] == ["broken.png"]
    assert figures["top1_by_label"] == pytest.approx((1 + 1 + 0.5) / 3, abs=1e-4)
    assert figures["top1_95"][0] < 0.75 < figures["top1_95"][1]


def test_a_named_split_and_all(pack):
    assert len(chosen_rows(pack, None)) == 5
    assert len(chosen_rows(pack, "val")) == 4
    assert len(chosen_rows(pack, "train")) == 1
    assert len(chosen_rows(pack, "all")) == 6
    assert {label_of(row, "zh") for row in chosen_rows(pack, "all")} == {"红", "绿", "蓝"}


def test_a_list_of_labels_may_lack_some_and_have_more(pack, colour_model, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("red\n\ngreen\nred\n", encoding="utf-8")
    figures = evaluate_zero_shot.evaluate(colour_model, options(pack, labels=labels, split="val"))
    assert (figures["labels"], figures["without_label"], figures["n"]) == (2, 1, 2)


def test_ranks_count_only_what_is_higher():
    cosines = np.array([[0.1, 0.5, 0.3], [0.9, 0.9, 0.0]])
    assert ranks(cosines, np.array([2, 1])).tolist() == [1, 0]


def test_interval_of_a_sure_thing_is_a_point_and_of_a_coin_is_wide():
    assert interval(np.ones(50)) == [1.0, 1.0]
    low, high = interval(np.arange(100) % 2)
    assert high - low == pytest.approx(2 * 1.96 * 0.05, abs=0.03)


def test_the_command_line_knows_its_topics():
    parsed = evaluate.parse(["zero_shot", "--pack", "x.zip", "--language", "zh", "--model", "lucida-siglip"])
    assert (parsed.topic, parsed.language, parsed.model) == ("zero_shot", "zh", "lucida-siglip")
    with pytest.raises(SystemExit):
        evaluate.parse(["unknown", "--pack", "x.zip"])
