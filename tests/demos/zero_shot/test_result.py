"""What the tab says beside the bars, and the files that a visitor takes home."""

import csv
import json
from pathlib import Path

from demos.zero_shot import result
from demos.zero_shot.answer import Answer
from pipelines.runtime.errors import UserError
from tests.demos.zero_shot.made_up import HOSTILE, answer, half


def test_both_halves_and_every_mark_reach_the_quarrel():
    shown = result.quarrel_value(answer(("cat", "nobody ever typed this")), temperature=1.0)
    assert shown["softmax"]["bias"] is None and shown["sigmoid"]["bias"] == -2.0
    assert shown["labels"][1]["mark"] == "never"


def test_a_missing_half_is_said_with_its_reason():
    whole = answer()
    alone = Answer(whole.question, whole.softmax, None, "softmax", UserError("errors.picture_missing"))
    assert result.quarrel_value(alone, temperature=1.0)["sigmoid"] is None
    assert "Only one of the two models" in result.notes(alone, example="")


def test_cut_labels_and_the_known_answer_are_named():
    whole = answer(("cat", "dog"))
    cut = Answer(whole.question, half(("cat", "dog"), (0.3, 0.2), cut=(False, True)), None, "softmax")
    notes = result.notes(cut, example="cat")
    assert "so cut: dog" in notes and "as its source says" in notes


def test_files_hold_the_same_numbers_and_no_formula(tmp_path):
    labels = ("=1+1", "@cmd", "一只猫", *HOSTILE)
    whole = answer(labels)
    as_json, as_csv = result.files(whole, tmp_path)
    data = json.loads(Path(as_json).read_text("utf-8"))
    assert [item["label"] for item in data["labels"]] == list(labels)
    assert abs(sum(data["softmax"]["probabilities"]) - 1) < 1e-4
    with open(as_csv, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == len(labels) + 1
    assert rows[1][0] == "'=1+1" and rows[2][0] == "'@cmd" and rows[3][0] == "一只猫"
    assert float(rows[1][3]) == data["softmax"]["probabilities"][0]


def test_notes_are_safe():
    whole = answer(HOSTILE)
    cut = Answer(whole.question, half(HOSTILE, [0.1] * 5, cut=(True,) * 5), None, "softmax")
    assert "<img" not in result.notes(cut, example="") and "<script" not in result.notes(cut, example="")
