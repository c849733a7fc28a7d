"""What the panel's handlers answer, on a tiny real VQModel."""

import base64
import io
import json
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from demos.shell.arrays import unpack
from demos.tokenise import answer, surgery_panel, surgery_views, token_card
from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import from_array
from pipelines.tokenise import surgery
from pipelines.tokenise.code import decode, encode
from tests.demos.tokenise.opened import board, one_visitor, opened_page, tiny_model  # noqa: F401
from tests.pipelines.tokenise.conftest import make_picture


def look(visitor, edited):
    return surgery_panel.looked_at(edited, visitor.answered, visitor.shared, visitor.request)


def pixels_of(url: str) -> np.ndarray:
    """The picture in a data URL."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))).convert("RGB"))


# --- the card ---


def test_the_card_is_that_of_the_token_that_is_picked(visitor, model):
    card = look(visitor, board(visitor, selected=(3, 5)))
    found = surgery.look(model, visitor.tokens, visitor.tokens.indices, 3, 5)
    assert (card["row"], card["column"], card["index"]) == (3, 5, found.index)
    assert (card["uses"], card["total"]) == (len(found.uses), visitor.tokens.indices.size)
    assert [each["index"] for each in card["neighbours"]] == found.nearest.tolist()
    assert card["fit"]["rank"] == 0
    assert card["fit"]["margin"] == found.fit.margin
    json.dumps(card)  # as it travels
    strip = pixels_of(card["strip"])
    original = visitor.tokens.pixels[24:32, 40:48]
    expected = np.concatenate([found.patch, found.here[0], original, *found.here[1:]], axis=1)
    np.testing.assert_array_equal(strip, expected)
    assert card["shown"] == ["alone", "here", "picture"]


def test_after_an_edit_the_card_says_that_another_code_was_nearer(visitor, model):
    order = np.linalg.norm(surgery.codebook_of(model) - visitor.tokens.latents[0, 0], axis=1).argsort()
    edited = visitor.tokens.indices.copy()
    edited[0, 0] = order[3]
    fit = look(visitor, board(visitor, indices=edited, selected=(0, 0)))["fit"]
    assert (fit["rank"], fit["best"]) == (3, order[0])


def test_codes_of_no_picture_have_no_fit(visitor):
    visitor.asked = replace(visitor.asked, source="random")
    visitor.answered = visitor.asked.text
    card = look(visitor, board(visitor, selected=(0, 0)))
    assert card["fit"] is None
    assert card["shown"] == ["alone", "here"]


def test_without_a_token_or_for_another_grid_there_is_no_card(visitor):
    assert look(visitor, None) is None
    assert look(visitor, board(visitor)) is None
    assert look(visitor, board(visitor, name="another", selected=(0, 0))) == gr.skip()


def test_what_was_padded_is_the_mirror_image():
    picture = make_picture(12, 20)
    np.testing.assert_array_equal(token_card.crop(picture, 0, 0, cell=8), picture[:8, :8])
    mirrored = np.pad(picture, ((0, 4), (0, 4), (0, 0)), mode="symmetric")
    np.testing.assert_array_equal(token_card.crop(picture, 1, 2, cell=8), mirrored[8:16, 16:24])


# --- edits of many ---


@pytest.mark.parametrize("region", [None, (1, 2, 5, 7)])
@pytest.mark.parametrize("edit", [surgery_panel.to_shuffled, surgery_panel.to_random])
def test_an_edit_goes_to_the_board_decoded(visitor, model, edit, region):
    before = visitor.tokens.indices
    value, told, stamp = edit(board(visitor, region=region), visitor.answered, visitor.request)
    made = unpack(value["indices"]).astype(np.int32)
    mask = np.ones(before.shape, bool)
    if region:
        mask[:] = False
        mask[1:5, 2:7] = True
    np.testing.assert_array_equal(made[~mask], before[~mask])
    assert (made[mask] != before[mask]).any()
    if edit is surgery_panel.to_shuffled:
        np.testing.assert_array_equal(np.sort(made, axis=None), np.sort(before, axis=None))
    pixels = decode(model, made, size=visitor.tokens.size)
    np.testing.assert_array_equal(pixels_of(value["picture"]), pixels)
    assert (value["name"], value["serial"]) == (visitor.asked.name, 700)
    change = surgery.difference(answer.grid(visitor.answered, visitor.request).pixels, pixels)
    step = value["change"]["most"] / 255
    np.testing.assert_allclose(unpack(value["change"]["map"]) * step, change, atol=step)
    assert f"{mask.sum()} tokens" in told
    assert stamp != edit(board(visitor), visitor.answered, visitor.request)[2]  # the page is told each time


def kth(visitor, edited, k):
    value, _, _ = surgery_panel.to_kth(edited, visitor.answered, visitor.request, k=k)
    return value["serial"], unpack(value["indices"]).astype(np.int32)


def test_moving_the_slider_on_starts_from_the_same_codes(visitor, model):
    first = visitor.tokens.indices
    serial, made = kth(visitor, board(visitor), 3)
    np.testing.assert_array_equal(made, surgery.nearest_kth(model, first, 3))
    assert serial == 700
    again = board(visitor, indices=made, serial=701)  # as the board counts the edit that it took over
    serial, made = kth(visitor, again, 9)
    np.testing.assert_array_equal(made, surgery.nearest_kth(model, first, 9))
    assert serial == 700  # the same undo step
    serial, made = kth(visitor, board(visitor, indices=made, serial=701), 0)
    np.testing.assert_array_equal(made, first)


@pytest.mark.parametrize("changed", [{"serial": 703}, {"region": (0, 0, 2, 2)}])
def test_after_another_edit_the_slider_starts_from_what_is_there(visitor, model, changed):
    _, made = kth(visitor, board(visitor), 3)
    now = board(visitor, **{"indices": made, "serial": 701, **changed})
    serial, again = kth(visitor, now, 2)
    np.testing.assert_array_equal(again, surgery.nearest_kth(model, made, 2, region=now.region))
    assert serial == now.serial


@pytest.mark.parametrize("k", [-1, 32, float("nan"), "3", None, True])
def test_a_k_that_cannot_be_is_refused(visitor, k):
    with pytest.raises(UserError, match="token_nearest"):
        kth(visitor, board(visitor), k)


def test_what_is_not_on_the_board_is_not_edited(visitor):
    for wrong, key in ((None, "nothing_shown"), (board(visitor, name="another"), "surgery_other_grid")):
        with pytest.raises(UserError, match=key):
            surgery_panel.to_shuffled(wrong, visitor.answered, visitor.request)
    forged = np.full(visitor.tokens.indices.shape, 32, np.int32)
    with pytest.raises(UserError, match="token_index"):
        kth(visitor, board(visitor, indices=forged, codes=1024), 1)


# --- how far one reaches ---


def test_the_footprint_is_told_and_laid_over_the_picture(visitor, model):
    now = board(visitor, selected=(2, 2))
    told, heat = surgery_panel.footprint(now, visitor.answered, other="farthest")
    vectors = surgery.codebook_of(model)
    here = visitor.tokens.indices[2, 2]
    farthest = np.linalg.norm(vectors - vectors[here], axis=1).argmax()
    found = surgery.footprint(model, now.indices, 2, 2, other=int(farthest), size=visitor.tokens.size)
    np.testing.assert_allclose(unpack(heat["map"]), found.change, rtol=1e-3, atol=1e-3)
    assert heat["box"] == (0, 0, *visitor.tokens.size[::-1])
    for text in (f"Code {farthest} at row 3, column 3", f"{found.inside:.0%}", "词元不等于图块"):
        assert text in told
    assert heat["range"][1] <= surgery_views.BRIGHTEST


def test_a_large_footprint_is_averaged_down(visitor, model):
    found = surgery.footprint(model, visitor.tokens.indices, 2, 2, other=1, size=visitor.tokens.size)
    heat = surgery_views.over(replace(found, change=found.change.repeat(3, axis=0).repeat(3, axis=1)))
    px = -(-3 * max(found.change.shape) // 256)
    rows, columns = heat["map"]["shape"]
    assert max(rows, columns) <= 256
    assert heat["box"] == (0, 0, columns * px, rows * px)
    assert unpack(heat["map"]).mean() == pytest.approx(found.change.mean(), rel=0.02)


def test_a_footprint_that_is_nothing_says_so(visitor, model):
    indices = visitor.tokens.indices
    same = surgery.footprint(model, indices, 0, 0, other=int(indices[0, 0]), size=visitor.tokens.size)
    assert "changes nothing" in surgery_views.reached(same, cell=8)


def test_the_footprint_needs_a_token_and_one_of_the_codes(visitor):
    with pytest.raises(UserError, match="pick_first"):
        surgery_panel.footprint(board(visitor), visitor.answered, other="nearest")
    with pytest.raises(UserError, match="other_unknown"):
        surgery_panel.footprint(board(visitor, selected=(0, 0)), visitor.answered, other="all")


# --- a second picture ---


def test_a_second_picture_becomes_a_grid_of_the_same_shape(visitor, model):
    rows, columns = visitor.tokens.indices.shape
    picture = from_array(make_picture(200, 90, seed=4))
    value, told = surgery_panel.second_picture(board(visitor), visitor.answered, picture=picture)
    other = unpack(value["other"]).astype(np.int32)
    height = round(90 * rows / columns)
    top = (200 - height) // 2
    middle = Image.fromarray(picture.pixels[top : top + height])
    resized = np.asarray(middle.resize((columns * 8, rows * 8), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(other, encode(model, resized).indices)
    shown = pixels_of(value["other_picture"])
    np.testing.assert_array_equal(shown, decode(model, other, size=visitor.tokens.size))
    assert value["indices"] is None  # the first picture stays as it is
    assert f"90 × {height} pixels" in told


def test_a_second_picture_that_was_taken_away_changes_nothing(visitor):
    assert surgery_panel.second_picture(board(visitor), visitor.answered, picture=None) == (gr.skip(), "")
