"""Group G of bad input: what is refused with a sentence, what is mended, what is let through."""

import json

import numpy as np
import pytest

from demos.shell import words
from pipelines.runtime.errors import UserError
from pipelines.segment.clicks import Click
from pipelines.segment.marks import MOST_POINTS, Prompt, check, read

WIDTH, HEIGHT = 40, 30
ON = Click(10, 10, positive=True)


def refusal(function, *args) -> str:
    """The key of the refusal; it has a sentence of decent length in both languages."""
    with pytest.raises(UserError) as caught:
        function(*args)
    for lang in ("en", "zh"):
        sentence = words.say(caught.value.key, lang, **caught.value.values)
        assert sentence.encode("utf-8")
        assert len(sentence) < 250
    return caught.value.key


def checked(**fields) -> Prompt:
    return check(Prompt(**fields), WIDTH, HEIGHT)


@pytest.mark.parametrize("place", [(0, 0), (39, 29), (0, 29), (12.25, 7.5)])
def test_G01_points_on_the_picture_stay_where_they_are(place):
    assert checked(points=(Click(*place, positive=True),)).points == (Click(*place, positive=True),)


@pytest.mark.parametrize("place", [(40, 0), (0, 30), (-1, 0), (39.5, 0), (10**400, 0)])
def test_G01_points_outside_are_refused(place):
    key = "errors.mark_number" if place[0] == 10**400 else "errors.mark_outside"
    assert refusal(check, Prompt((Click(*place, positive=True),)), WIDTH, HEIGHT) == key


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "3", None, True, [1], 1j])
def test_G01_what_is_no_number_is_refused(value):
    assert refusal(check, Prompt((Click(value, 3, positive=True),)), WIDTH, HEIGHT) == "errors.mark_number"
    assert refusal(check, Prompt(box=(0, 0, value, 9)), WIDTH, HEIGHT) == "errors.mark_number"


def test_G02_a_reversed_box_is_turned_and_a_larger_one_cut():
    assert checked(box=(20, 25, 5, 4)).box == (5, 4, 20, 25)
    assert checked(box=(-50, -1, 400, 31)).box == (0, 0, WIDTH, HEIGHT)
    assert checked(box=(0.5, 0.25, 2.5, 3.0)).box == (0.5, 0.25, 2.5, 3.0)


@pytest.mark.parametrize("box", [(5, 5, 5, 20), (5, 5, 5.5, 20), (50, 5, 60, 20), (5, -9, 20, 0), (40, 0, 41, 30)])
def test_G02_a_box_without_a_pixel_of_the_picture_is_refused(box):
    assert refusal(check, Prompt(box=box), WIDTH, HEIGHT) == "errors.box_empty"


def test_G03_a_hundred_points_and_not_one_more():
    assert len(checked(points=(ON,) * MOST_POINTS).points) == MOST_POINTS == 100
    assert refusal(check, Prompt((ON,) * 101), WIDTH, HEIGHT) == "errors.marks_many"
    assert refusal(read, [[1, 1, 1]] * 100_000) == "errors.marks_many"


def test_G04_only_negative_points_say_nothing():
    beside = Click(3, 3, positive=False)
    assert refusal(check, Prompt((beside, beside)), WIDTH, HEIGHT) == "errors.mark_negative"
    assert checked(points=(beside,), box=(1, 1, 20, 20)).points == (beside,)
    assert checked(points=(beside, ON)).points == (beside, ON)
    assert checked(points=(beside,), previous=np.zeros((1, 8, 8), np.float32)).points == (beside,)


def test_G05_the_same_place_may_be_positive_and_negative():
    both = (ON, Click(10, 10, positive=False))
    assert checked(points=both).points == both


@pytest.mark.parametrize(
    ("points", "key"),
    [
        ([[1, 2, 7]], "errors.mark_label"),
        ([[1, 2, "1"]], "errors.mark_label"),
        ([[1, 2, float("nan")]], "errors.mark_label"),
        ([[1, 2, 1], [3]], "errors.mark_form"),
        ([[1, 2, 1, 4]], "errors.mark_form"),
        ([["a", 2, 1]], "errors.mark_form"),
        ([1, 2, 1], "errors.mark_form"),
        ({"x": 1}, "errors.mark_form"),
        (7, "errors.mark_form"),
        ("[[1, 2, 1]", "errors.mark_json"),
        ("[" * 100_000, "errors.mark_json"),
        ("7", "errors.mark_form"),
        ('[["\\ud800", 2, 1]]', "errors.mark_form"),
        ("[\ud800", "errors.mark_json"),
        ([["a" * 10_000, 2, 1]], "errors.mark_form"),
        ([[10**5000, [10**5000], 1]], "errors.mark_form"),
    ],
)
def test_G06_what_cannot_be_read_is_refused(points, key):
    assert refusal(read, points) == key


@pytest.mark.parametrize("box", [[1, 2, 3], [1, 2, 3, "x"], 5, "{}", [[1, 2], [3, 4]]])
def test_G06_boxes_that_cannot_be_read_are_refused(box):
    assert refusal(read, None, box) == "errors.mark_form"


def test_plain_values_arrays_and_json_are_the_same_prompt():
    rows, box = [[10, 10, 1], [3, 4, 0]], [1, 2, 30, 20]
    expected = (ON, Click(3, 4, positive=False))
    for given in (rows, json.dumps(rows), np.array(rows), [tuple(row) for row in rows], list(expected)):
        prompt = read(given, json.dumps(box) if isinstance(given, str) else box)
        assert (prompt.points, prompt.box) == (expected, (1, 2, 30, 20))
    assert read([[10, 10]]).points == (ON,)
    assert read("", "").box is None


def test_nothing_marked_is_refused():
    assert refusal(check, Prompt(), WIDTH, HEIGHT) == "errors.mark_none"
    assert refusal(check, read("", None), WIDTH, HEIGHT) == "errors.mark_none"


@pytest.mark.parametrize(
    "previous",
    [np.zeros((8, 8), np.float32), np.zeros((2, 8, 8)), np.full((1, 8, 8), np.nan), np.zeros((1, 8, 8), bool), "x"],
)
def test_a_previous_mask_is_logits_of_one_mask(previous):
    assert refusal(check, Prompt((ON,), previous=previous), WIDTH, HEIGHT) == "errors.previous_logits"


def test_one_click_is_the_only_ambiguous_prompt():
    assert Prompt((ON,)).is_one_click
    previous = np.zeros((1, 8, 8), np.float32)
    for other in (
        Prompt((ON, ON)),
        Prompt((ON,), box=(1, 1, 9, 9)),
        Prompt((ON,), previous=previous),
        Prompt(box=(0, 0, 9, 9)),
    ):
        assert not other.is_one_click
