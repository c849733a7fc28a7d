"""What the stage asks for is read with care, and written back as it was."""

import pytest

from demos.segment import wanted
from pipelines.runtime.errors import UserError
from tests.demos.segment.sessions_of import box, point, wanted_of


def test_objects_come_back_as_they_were():
    value = {
        "objects": [
            {"id": 3, "name": "cat", "marks": [point(1, 2), box(0.0, 0.0, 9.0, 9.0), point(5, 5, 0)], "token": 2,
             "visible": False, "threshold": 0.5},
            {"id": 7, "name": "", "marks": [], "token": None, "visible": True, "threshold": 0.0},
        ],
        "active": 1,
    }  # fmt: skip
    objects, active = wanted.read(value, 60, 40)
    assert wanted.plain(objects, active) == value
    assert objects[0].order == ("point", "box", "point") and objects[1].empty


def test_the_second_box_replaces_the_first_in_its_own_place():
    one = wanted_of(box(0, 0, 5, 5), point(1, 1), box(2, 2, 8, 8))
    assert one.box == (2, 2, 8, 8) and one.order == ("point", "box")


def test_the_first_marks_of_an_object():
    one = wanted_of(point(1, 1), box(0, 0, 9, 9), point(5, 5, 0), name="cup", token=3)
    assert one.first(1).points == ((1, 1, 1),) and one.first(1).box is None
    assert one.first(2).box == (0, 0, 9, 9) and one.first(2).token == 3
    assert one.first(3) == one


def test_on_the_page_a_point_beside_the_picture_is_moved_to_its_edge():
    value = {"objects": [{"marks": [point(999, -3)]}]}
    assert wanted.read(value, 60, 40, clamp=True)[0][0].points == ((59, 0, 1),)
    with pytest.raises(UserError, match="marks_outside"):
        wanted.read(value, 60, 40)


@pytest.mark.parametrize(
    "value",
    [None, [], "x", {}, {"objects": "x"}, {"objects": [3]}, {"objects": [{"marks": [{"kind": "crop"}]}]},
     {"objects": [{"marks": [point(1, 1, 7)]}]}, {"objects": [{"marks": [point(float("nan"), 1)]}]},
     {"objects": [{"marks": [box(3, 3, 3, 9)]}]}, {"objects": [{"marks": [point(1, 1)] * 101}]},
     {"objects": [{}] * 21}, {"objects": [{"token": 4}]}, {"objects": [{"token": True}]},
     {"objects": [{"threshold": float("nan")}]}, {"objects": [{"id": "1"}]}, {"objects": [{"name": 3}]},
     {"objects": [{}], "active": 1}, {"objects": [{}], "active": True}],
)  # fmt: skip
def test_G06_what_cannot_be_read_is_refused(value):
    with pytest.raises(UserError):
        wanted.read(value, 60, 40)


def test_G02_a_reversed_box_is_turned_and_a_larger_one_cut():
    assert wanted_of(box(50, 30, 10, 5)).box == (10, 5, 50, 30)
    assert wanted_of(box(-10, -10, 500, 500)).box == (0, 0, 60, 40)


def test_a_name_is_one_printable_line():
    assert wanted_of(name="  a\x00b\n" + "c" * 100).name == "ab" + "c" * 58
