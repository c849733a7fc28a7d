"""Bad pictures and marks through the real HTTP API: a sentence or a right answer, and afterwards the good call answers
as before. `test_api.py` has group G; here are the pictures of group I, whose door all tabs share, and twins."""

import pytest

from tests import odd_pictures as odd
from tests.over_http import Visitor, check_sentence

SAMPLE = (
    *("I01_empty_file", "I02_text", "I03_cut_png", "I04_pixel_bomb_20000", "I12_animated_gif", "I17_a_strip"),
    *("I09_palette_with_transparency", "I20_svg", "I23_bmp_top_down"),
)


@pytest.fixture(scope="module")
def visitor(app_server):
    somebody = Visitor(app_server.url, timeout_s=180)
    picture = somebody.upload(odd.plain())
    before = area(ask(somebody, picture))
    yield somebody
    assert area(ask(somebody, picture)) == before


def ask(visitor, picture, points=((60, 40),), labels=None, *, lang="en"):
    points = [list(point) for point in points]
    return visitor.call("segment", picture, points, labels, None, -1, True, 0.0, "", lang)


def area(answer) -> int:
    assert not answer.refused, answer.sentence
    return answer.values[0]["area_pixels"]


@pytest.mark.parametrize("name", SAMPLE)
def test_a_picture(visitor, name):
    case = next(case for case in odd.CASES if case.name == name)
    answer = ask(visitor, visitor.upload(case.make(), case.file), lang="zh")
    if answer.refused:
        assert case.outcome != "answer", answer.sentence
        check_sentence(answer.sentence, "zh")
    else:
        assert case.outcome != "refuse"
        assert (answer.values[0]["width"], answer.values[0]["height"]) == odd.photo().size


def test_what_was_done_to_a_picture_is_said(visitor):
    case = next(case for case in odd.CASES if case.name == "I12_animated_gif")
    (note,) = ask(visitor, visitor.upload(case.make(), case.file), lang="zh").values[0]["notes"]
    check_sentence(note, "zh")


@pytest.mark.parametrize("orientation", [3, 6])
def test_I14_a_turned_twin_gets_the_same_mask(visitor, orientation):
    upright, turned = (ask(visitor, visitor.upload(odd.turned(n))).values[0] for n in (1, orientation))
    assert upright["rle"] == turned["rle"]


def test_a_label_may_stand_beside_its_point_or_in_a_list(visitor):
    picture = visitor.upload(odd.plain())
    rows = ask(visitor, picture, [(60, 40, 1), (200, 150, 0)]).values[0]
    apart = ask(visitor, picture, [(60, 40), (200, 150)], [1, 0]).values[0]
    assert rows["rle"] == apart["rle"]
    check_sentence(ask(visitor, picture, [(60, 40, 7)]).sentence)
