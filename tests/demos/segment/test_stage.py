"""What the stage gives to a handler, and what answers become for the page. The browser's half has tests there."""

import json
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from demos.segment.clocks import Clocks, answer, encoding, layer
from demos.segment.stage import Asked, Stage, finger_of
from demos.shell.arrays import unpack
from tests.browser.harness import OFFERED
from tests.browser.stage_page import made_up

COFFEE = OFFERED[1][0]
MARKS = [{"kind": "point", "x": 3, "y": 4, "label": 1}]


@pytest.fixture(scope="module")
def stage():
    return Stage(examples=OFFERED)


def test_an_example_is_asked_for_by_its_id_and_is_not_opened_for_that(stage, monkeypatch):
    monkeypatch.setattr("demos.shell.components.picture.open_picture", lambda path: pytest.fail("opened"))
    asked = stage.preprocess({"example": "coffee", "objects": [{"id": 1, "marks": MARKS}], "active": 0})
    assert asked == Asked("coffee", Path(COFFEE), [{"id": 1, "marks": MARKS}], 0)
    assert asked.value == {"objects": [{"id": 1, "marks": MARKS}], "active": 0}


def test_the_picture_opens_when_it_is_wanted(stage):
    assert stage.preprocess({"example": "coffee"}).open().size == (600, 400)


def test_nothing_on_the_stage_is_nothing(stage):
    assert stage.preprocess(None) is None and stage.preprocess("") is None


@pytest.mark.parametrize("payload", [{"picture": {"path": "/etc/passwd"}}, {"example": "../app"}, [], {"picture": {}}])
def test_only_files_of_the_app_are_ever_opened(stage, payload):
    with pytest.raises(gr.Error):
        stage.preprocess(payload)


def test_a_value_down_has_the_picture_and_its_objects(stage):
    state = {"objects": [{"id": 7, "name": "cup", "marks": MARKS}], "active": 0}
    shown = stage.postprocess((COFFEE, state))
    assert (shown["example"], shown["width"], shown["height"]) == ("coffee", 600, 400)
    assert shown["objects"] == state["objects"] and "marks" not in shown
    assert "objects" not in stage.postprocess(COFFEE)
    assert stage.postprocess(None) is None


def test_the_finger_is_two_whole_numbers_or_nothing():
    assert finger_of({"finger": {"x": 10, "y": 0}}) == (10, 0)
    for wrong in (None, {}, {"x": 1}, {"x": 1.5, "y": 2}, {"x": True, "y": 2}, {"x": "1", "y": 2}, [1, 2]):
        assert finger_of({"finger": wrong}) is None


def test_a_layer_holds_the_logits_that_lie_on_the_picture_and_one_more_line():
    masks = made_up(100, 50, (300, 600))
    packed = layer(masks, 2)
    assert masks.valid == (64, 128) and packed["logits"]["shape"] == [65, 128]
    assert (packed["side"], packed["square"], packed["input"], packed["size"]) == (128, 256, [128, 256], [300, 600])
    np.testing.assert_allclose(unpack(packed["logits"]), masks.logits[2, :65], rtol=1e-3)
    assert (packed["token"], packed["iou"]) == (2, 0.5)


def test_logits_beyond_half_precision_keep_their_side():
    masks = made_up(5, 5, (40, 40))
    masks.logits[0, 0, :2] = 1e9, -1e9
    found = unpack(layer(masks, 0)["logits"])
    assert found[0, 0] == 60_000 and found[0, 1] == -60_000


def test_an_answer_names_its_picture_and_is_never_the_same_twice():
    first, second = (answer("cat", layers={3: None}, decoder_ms=8.0) for _ in range(2))
    assert first["picture"] == "cat" and first["layers"] == {"3": None} and first["encoder_ms"] is None
    assert first["serial"] != second["serial"] and not first["running"]
    assert encoding("cat")["running"]
    assert json.loads(json.dumps(first)) == first


def test_the_clocks_give_python_nothing():
    assert Clocks(answer("cat")).preprocess({"anything": 1}) is None
