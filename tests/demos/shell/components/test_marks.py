"""Marks of a client, who may send anything (LIMITS.md, group G): used as they are, or a sentence."""

import math

import numpy as np
import pytest

from demos.shell.components.marks import LIMITS, brush_mask, checked, crop_box
from demos.shell.words import keys, say
from pipelines.runtime.errors import UserError


def point(x, y, label=1):
    return {"kind": "point", "x": x, "y": y, "label": label}


def box(x0, y0, x1, y1, kind="box"):
    return {"kind": kind, "x0": x0, "y0": y0, "x1": x1, "y1": y1}


def refusal(marks, **options):
    with pytest.raises(UserError) as caught:
        checked(marks, 20, 10, **options)
    assert caught.value.key in keys()
    assert say(caught.value.key, "en", **caught.value.values) != say(caught.value.key, "zh", **caught.value.values)
    return caught.value


@pytest.mark.parametrize("x, y", [(-1, 5), (20, 5), (5, 10), (5, -0.5), (1e8, 0)])
def test_G01_the_page_clamps_and_the_api_refuses(x, y):
    error = refusal([point(1, 1), point(x, y)])
    assert error.key == "errors.marks_outside" and error.values == {"number": 2, "width": 20, "height": 10}
    (moved,) = checked([point(x, y)], 20, 10, clamp=True)
    assert 0 <= moved["x"] < 20 and 0 <= moved["y"] < 10


def test_G01_last_pixel_and_fractions_belong_to_the_picture():
    assert checked([point(19, 9), point(19.99, 0.4, 0)], 20, 10) == [point(19, 9), point(19, 0, 0)]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e308, "5", None, True, [1], {}])
def test_G01_G06_no_number_is_refused_even_from_the_page(number):
    for mark in (point(number, 1), box(0, 0, number, 5), {"kind": "brush", "radius": 2, "path": [[number, 1]]}):
        assert refusal([mark], clamp=True).key == "errors.marks_form"


def test_G02_reversed_is_turned_and_larger_is_cut():
    assert checked([box(15, 8, 5, 2)], 20, 10) == [box(5, 2, 15, 8)]
    assert checked([box(-50, -50, 500, 500)], 20, 10) == [box(0, 0, 20, 10)]


@pytest.mark.parametrize("empty", [box(5, 5, 5, 9), box(5, 5, 5.5, 9), box(30, 0, 40, 5), box(0, -9, 20, -1)])
def test_G02_empty_and_outside_boxes_are_refused(empty):
    assert refusal([empty], clamp=True).key == "errors.marks_empty_box"


@pytest.mark.parametrize("kind, limit", LIMITS.items())
def test_G03_too_many(kind, limit):
    mark = {"point": point(1, 1), "brush": {"kind": "brush", "radius": 1, "path": [[1, 1]]}}.get(kind)
    mark = mark or box(1, 1, 5, 5, kind)
    assert len(checked([mark] * limit, 20, 10)) == limit
    error = refusal([mark] * (limit + 1))
    assert error.key == "errors.marks_too_many" and error.values["limit"] == limit


def test_G03_a_hundred_thousand():
    assert refusal([point(1, 1)] * 100_000).key == "errors.marks_too_many"
    assert refusal([None] * 100_000).key == "errors.marks_too_many"


def test_G05_the_same_place_both_ways():
    assert checked([point(3, 3, 1), point(3, 3, 0)], 20, 10) == [point(3, 3, 1), point(3, 3, 0)]


@pytest.mark.parametrize(
    "mark",
    [
        point(1, 1, 7),
        point(1, 1, "1"),
        {"kind": "script"},
        {"kind": "point", "x": 1},
        "point",
        None,
        [1, 2],
        {"kind": "brush", "radius": 2, "path": [[1, 2, 3]]},
        {"kind": "brush", "radius": 2, "path": []},
        {"kind": "brush", "radius": -1, "path": [[1, 1]]},
        {"kind": "brush", "radius": 2, "path": "1,2"},
        {"kind": "brush", "radius": 2, "path": [[1, 1]] * 20_001},
    ],
)
def test_G06_anything_else(mark):
    assert refusal([mark]).key == "errors.marks_form"


@pytest.mark.parametrize("marks", ["[]", 7, {"kind": "point"}])
def test_G06_no_list(marks):
    assert refusal(marks).key == "errors.marks_list"


def test_marks_come_back_without_what_else_a_client_sent():
    assert checked([{**point(1, 2), "onclick": "alert(1)"}], 20, 10) == [point(1, 2)]


def test_brush_mask_covers_a_disc():
    mask = brush_mask([{"kind": "brush", "radius": 8.0, "path": [[32, 24]]}], 64, 48)
    y, x = np.mgrid[:48, :64] + 0.5
    disc = (x - 32) ** 2 + (y - 24) ** 2 <= 8**2
    assert mask.shape == (48, 64) and (mask ^ disc).sum() < 0.12 * disc.sum()


def test_brush_mask_joins_the_places_of_a_stroke():
    mask = brush_mask([{"kind": "brush", "radius": 2.0, "path": [[5, 10], [35, 10]]}], 40, 20)
    assert mask[10, 5:35].all() and not mask[:5].any() and not mask[15:].any()


def test_crop_box():
    assert crop_box([point(1, 1), box(1, 2, 8, 9, "crop")]) == (1, 2, 8, 9)
    assert crop_box([box(1, 2, 8, 9)]) is None
