"""The named function: which codes a box hides, and the same limits as the page."""

import math

import numpy as np
import pytest
from PIL import Image

from demos.shell.components.door import file_data
from demos.shell.sessions import cache
from demos.tokenise import examples, fill_api, parts
from tests.demos.tokenise.fill_tiny import (
    CODES,
    refusal,
    tiny_models,  # noqa: F401
)
from tests.over_http import Visitor as HttpVisitor
from tests.over_http import check_sentence

FRAME = {"cell": 8, "full": (100, 200), "size": (32, 64)}  # the picture was shrunk by 3.125


def hidden(*boxes) -> list:
    return np.argwhere(fill_api.holes(list(boxes), (4, 8), **FRAME)).tolist()


def test_a_box_hides_every_code_that_it_touches():
    assert hidden([0, 0, 25, 25]) == [[0, 0]]
    assert hidden([24, 24, 26, 26]) == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert hidden([-50, 80, 10, 900]) == [[3, 0]]
    assert hidden([0, 0, 25, 25], [175, 75, 200, 100]) == [[0, 0], [3, 7]]


def test_without_a_box_everything_is_hidden():
    assert fill_api.holes(None, (4, 8), **FRAME).all()
    assert fill_api.holes([], (4, 8), **FRAME).all()


@pytest.mark.parametrize(
    "boxes",
    ["all", True, [[1, 2, 3]], [[1, 2, 1, 5]], [[5, 5, 1, 9]], [[0, 0, math.nan, 5]], [[0, 0, True, 5]], [None],
     [["0", 0, 5, 5]], [[0, 0, 5, 5]] * 101, {"x0": 1}],
)  # fmt: skip
def test_boxes_of_another_form_are_refused(boxes):
    assert refusal(fill_api.holes, boxes, (4, 8), **FRAME) == "tokenise.fill_boxes"


def test_a_box_outside_of_the_picture_is_refused():
    for box in ([300, 0, 400, 50], [-20, -20, -10, -10], [0, 100, 10, 120]):
        assert refusal(fill_api.holes, [box], (4, 8), **FRAME) == "tokenise.fill_box_outside"


def test_a_hole_is_filled_and_the_rest_stays(models):
    path = cache() / "fill-api" / "picture.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)).save(path)
    sent = file_data(str(path))
    answer = fill_api.fill_hole(sent, [[8, 8, 32, 24]], steps=3, size=128)
    again = fill_api.fill_hole(sent, [[8, 8, 32, 24]], steps=3, size=128)
    other = fill_api.fill_hole(sent, [[8, 8, 32, 24]], steps=3, size=128, seed=9)
    hole = np.array(answer["hole"], bool)
    assert np.argwhere(hole).tolist() == [[r, c] for r in (1, 2) for c in (1, 2, 3)]
    indices = np.array(answer["indices"])
    assert indices.shape == (6, 8) and indices.max() < CODES
    assert np.array_equal(indices, again["indices"])
    assert np.array_equal(indices[~hole], np.array(other["indices"])[~hole])
    assert not np.array_equal(indices, other["indices"])
    assert [step["left"] for step in answer["steps"]] == [5, 3, 0]
    with Image.open(answer["picture"]["path"]) as painted:
        assert painted.size == (64, 48)
    assert (answer["model"], answer["second_stage"]) == (parts.BUNDLED, parts.SECOND_STAGE)


def test_a_model_without_a_second_stage_is_refused_before_the_picture_is_looked_at(models):
    assert refusal(fill_api.fill_hole, None, model=parts.TWIN) == "errors.no_second_stage"
    assert refusal(fill_api.fill_hole, None, size=333) == "tokenise.size_unknown"
    assert refusal(fill_api.fill_hole, None) == "errors.picture_missing"


def test_over_http_a_text_decides_and_what_cannot_be_used_is_refused_in_a_sentence(app_server):
    caller = HttpVisitor(app_server.url, timeout_s=240)
    picture = caller.upload(examples.find("cat").path.read_bytes(), "cat.jpg")

    def call(hole, text, **given):
        settings = {"guidance": 2.0, "steps": 2, "temperature": 0.5, "seed": 0, "size": 128, "model": "", "lang": "zh"}
        return caller.call("fill_hole", picture, hole, text, *(settings | given).values())

    answers = [
        call(None, text, model=parts.BUNDLED).values[0]["indices"] for text in ("", "\u7ea2\u82f9\u679c", "a black car")
    ]
    assert [len(answers[0]), len(answers[0][0])] == [11, 16]
    assert answers[0] != answers[1] != answers[2] != answers[0]
    for refused in (
        call(None, "x" * 201),
        call(None, "", steps=65),
        call(None, "", temperature=float("nan")),
        call(None, "", guidance=-1),
        call(None, "", seed=1.5),
        call(None, "", size=77),
        call(None, "", model="lucida-vqvae"),
        call([[9, 9, 2, 2]], ""),
    ):
        check_sentence(refused.sentence, "zh")
