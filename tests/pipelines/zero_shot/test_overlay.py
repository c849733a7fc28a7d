import numpy as np
import pytest
from PIL import ImageFont

from pipelines.runtime.errors import UserError
from pipelines.zero_shot.overlay import FONT, KINDS, PAPER, can_draw, random_letters, write_on

GREEN = np.full((120, 200, 3), (0, 160, 0), dtype=np.uint8)


def changed_box(result, before=GREEN):
    rows, columns = np.nonzero((result != before).any(axis=2))
    return rows.min(), rows.max(), columns.min(), columns.max()


@pytest.mark.parametrize("text", ["apple", "自行车", "a cat, 猫!", "i", "the largest allowed label has forty signs"])
@pytest.mark.parametrize("position", ["top", "center", "bottom"])
def test_the_three_papers_have_one_place_and_size(text, position):
    boxes = {kind: changed_box(write_on(GREEN, text[:40], kind=kind, position=position)) for kind in KINDS}
    assert len(set(boxes.values())) == 1


def test_words_and_letters_have_ink_and_blank_has_none():
    papers = {kind: write_on(GREEN, "apple", kind=kind) for kind in KINDS}
    ink = {kind: int((paper.max(axis=2) < 100).sum()) for kind, paper in papers.items()}
    assert ink["blank"] == 0 and ink["words"] > 50 and ink["letters"] > 50
    assert not np.array_equal(papers["words"], papers["letters"])


def test_the_paper_stays_in_the_middle_square():
    _, _, left, right = changed_box(write_on(GREEN, "a long label indeed", size=1.0))
    assert left >= 40 and right < 160


def test_the_picture_itself_is_not_changed():
    before = GREEN.copy()
    write_on(GREEN, "apple")
    assert np.array_equal(before, GREEN)


def test_a_tiny_picture_still_gets_a_paper():
    tiny = np.zeros((16, 300, 3), dtype=np.uint8)
    assert (write_on(tiny, "apple", kind="blank") == PAPER).all(axis=2).any()


@pytest.mark.parametrize(("text", "is_chinese"), [("apple", False), ("苹果", True)])
def test_random_letters_keep_script_and_length_and_follow_the_seed(text, is_chinese):
    drawn = random_letters(text, seed=1)
    assert drawn == random_letters(text, seed=1) != random_letters(text, seed=2)
    assert len(drawn) == len(text) and drawn != text
    assert all((ord(sign) > 0x2E80) == is_chinese for sign in drawn)


def test_random_letters_keep_spaces():
    assert random_letters("a b", seed=0)[1] == " "


@pytest.mark.parametrize("sign", ["א", "😀", "한", "龘", "ж", "カ"])
def test_a_character_that_the_font_lacks_is_named(sign):
    with pytest.raises(UserError) as error:
        write_on(GREEN, f"ab{sign}")
    assert (error.value.key, error.value.values) == ("errors.overlay_character", {"character": sign})


def test_the_font_draws_all_that_it_is_said_to():
    font = ImageFont.truetype(FONT, 16, layout_engine=ImageFont.Layout.BASIC)
    missing = bytes(font.getmask("\uffff"))
    signs = [chr(code) for code in range(0x21, 0xFFE0) if not 0xD800 <= code < 0xE000 and can_draw(chr(code))]
    signs = [sign for sign in signs if not sign.isspace()]
    assert len(signs) > 7000
    assert [sign for sign in signs if bytes(font.getmask(sign)) == missing] == []


@pytest.mark.parametrize(
    ("text", "key"),
    [("", "overlay_empty"), (" \u200b", "overlay_empty"), (None, "overlay_empty"), ("x" * 41, "overlay_long")],
)
def test_texts_that_cannot_be_written_are_refused(text, key):
    with pytest.raises(UserError) as error:
        write_on(GREEN, text)
    assert error.value.key == f"errors.{key}"


@pytest.mark.parametrize("choice", [{"kind": "?"}, {"position": "left"}, {"size": 0.0}, {"size": float("nan")}])
def test_other_choices_are_refused(choice):
    with pytest.raises(UserError) as error:
        write_on(GREEN, "apple", **choice)
    assert error.value.key == "errors.overlay_choice"
