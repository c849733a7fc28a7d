"""Masks and objects on the stage, over a made-up SAM whose mask is a disc about the last point."""

from pathlib import Path

import numpy as np
import pytest

from tests.browser import stage_page
from tests.browser.stage_hands import FILLED, MASK, coded, got, place, shown_mask, stage_pages, tool, upload, wait_for

SEGMENT = Path(__file__).parents[2] / "demos" / "segment"


@pytest.fixture
def show(opener, site):
    yield from stage_pages(opener, site)


# --- masks ---


@pytest.mark.parametrize("size", [(600, 400), (97, 1300), (21, 16)])
def test_the_mask_in_the_browser_is_the_servers(show, tmp_path, size):
    page = show()
    upload(page, coded(tmp_path, size), size)
    page.mouse.click(*place(page, size[0] // 3, size[1] // 3, size))
    asked = wait_for(page, "v.objects[0]?.marks.length === 1")
    page.wait_for_function(f"({FILLED})() > 0")
    page.locator("#clocks").hover()
    (mark,) = asked["objects"][0]["marks"]
    masks = stage_page.made_up(mark["x"], mark["y"], (size[1], size[0]))
    expected = masks.mask(1)
    page.wait_for_function(f"([h, w]) => ({MASK})()[0] === h && ({MASK})()[1] === w", arg=list(expected.shape))
    differ = shown_mask(page) != expected
    assert expected.any() and differ.mean() <= 0.0005
    grown = np.pad(expected, 1, mode="edge")
    edge = np.zeros_like(expected)
    for dy in range(3):
        for dx in range(3):
            edge |= grown[dy : dy + expected.shape[0], dx : dx + expected.shape[1]] != expected
    assert not (differ & ~edge).any()


def test_the_outline_goes_around_every_pixel_of_a_mask_and_none_beside_it(opener):
    """Noise: every corner where pixels meet, holes, islands and the picture's edge are among it."""
    mask = np.random.default_rng(5).integers(0, 2, (40, 60), np.uint8)
    found = opener("about:blank").evaluate(
        """([source, mask, width, height]) => {
          const draw = new Function(source + "; return (mask, w, h) => pathOf(outline(mask, w, h));")();
          const path = draw(mask, width, height), context = document.createElement("canvas").getContext("2d");
          const middle = (i) => [i % width + 0.5, Math.floor(i / width) + 0.5];
          return mask.map((_, i) => context.isPointInPath(path, ...middle(i), "evenodd"));
        }""",
        [(SEGMENT / "layer.js").read_text("utf-8"), mask.ravel().tolist(), 60, 40],
    )
    np.testing.assert_array_equal(np.reshape(found, mask.shape), mask == 1)


def test_a_threshold_moves_in_the_browser_and_is_kept_when_let_go(show):
    page, size = show(), (600, 400)
    page.mouse.click(*place(page, 300, 200, size))
    wait_for(page, "v.objects[0]?.marks.length === 1")
    page.locator("#clocks").hover()
    page.wait_for_function(f"({FILLED})() > 0")
    tell = "detail => dispatchEvent(new CustomEvent('lucida-object', { detail }))"
    masks = stage_page.made_up(300, 200, (400, 600))
    for threshold in (5, -5):
        page.evaluate(tell, {"threshold": threshold, "live": True})
        expected = masks.mask(1, threshold=threshold).sum()
        assert page.evaluate(FILLED) == pytest.approx(expected, abs=6)
    assert got(page)["objects"][0]["threshold"] == 0
    page.evaluate(tell, {"threshold": 2.5})
    wait_for(page, "v.objects[0]?.threshold === 2.5")
    tool(page, "undo").click()
    wait_for(page, "v.objects[0]?.threshold === 0")
    assert page.evaluate(FILLED) == pytest.approx(masks.mask(1).sum(), abs=6)


# --- objects ---


def test_objects_are_added_chosen_named_hidden_removed_and_all_of_it_undone(show):
    page, size = show(), (600, 400)
    page.mouse.click(*place(page, 100, 100, size))
    wait_for(page, "v.objects[0]?.marks.length === 1")
    tool(page, "object_add").click()
    tool(page, "box").click()
    page.mouse.move(*place(page, 300, 150, size))
    page.mouse.down()
    page.mouse.move(*place(page, 500, 350, size), steps=3)
    page.mouse.up()
    asked = wait_for(page, "v.objects[1]?.marks.length === 1")
    assert asked["active"] == 1 and [each["id"] for each in asked["objects"]] == [1, 2]
    page.wait_for_function(f"({MASK})()[2][250 * 600 + 400] === '1' && ({MASK})()[2][100 * 600 + 100] === '1'")
    page.locator("#it .objects .name").fill("<b>plate</b>")
    page.locator("#it .objects .name").press("Enter")
    wait_for(page, "v.objects[1]?.name === '<b>plate</b>'")
    assert page.locator("#it .objects [data-object='2']").inner_text() == "2 <b>plate</b>"
    tool(page, "object_show").click()
    wait_for(page, "v.objects[1]?.visible === false")
    assert not shown_mask(page)[250, 400] and shown_mask(page)[100, 100]
    page.locator("#it [data-object='1']").click()
    wait_for(page, "v.active === 0")
    tool(page, "object_remove").click()
    assert [each["id"] for each in wait_for(page, "v.objects.length === 1")["objects"]] == [2]
    for left, condition in enumerate(
        ["v.objects.length === 2", "v.active === 1", "v.objects[1]?.visible", "v.objects[1]?.name === ''"]
    ):
        tool(page, "undo").click()
        assert wait_for(page, condition), left
    page.wait_for_function(f"({MASK})()[2][250 * 600 + 400] === '1'")
    for _ in range(4):
        tool(page, "redo").click()
    wait_for(page, "v.objects.length === 1 && v.objects[0]?.id === 2")
    tool(page, "object_add").click()
    assert [each["id"] for each in wait_for(page, "v.objects.length === 2")["objects"]] == [2, 3]


def test_a_second_box_replaces_the_first_and_a_point_is_dragged(show):
    page, size = show(), (600, 400)
    tool(page, "box").click()
    for x in (50, 200):
        page.mouse.move(*place(page, x, 50, size))
        page.mouse.down()
        page.mouse.move(*place(page, x + 100, 150, size), steps=3)
        page.mouse.up()
    wait_for(page, "v.objects[0]?.marks.length === 1 && v.objects[0]?.marks[0].x0 > 190")
    tool(page, "point").click()
    page.mouse.click(*place(page, 400, 300, size))
    wait_for(page, "v.objects[0]?.marks.length === 2")
    page.mouse.move(*place(page, 400, 300, size))
    page.mouse.down()
    page.mouse.move(*place(page, 450, 200, size), steps=3)
    page.mouse.up()
    assert wait_for(page, "v.objects[0]?.marks[1]?.x === 450")["objects"][0]["marks"][1]["y"] == 200


def test_everything_by_keyboard(show):
    page = show()
    page.locator("#it .sheet canvas[role=application]").focus()
    page.mouse.move(1, 1)
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_function(f"({MASK})()[2][200 * 600 + 310] === '1'")
    page.keyboard.press("Enter")
    assert wait_for(page, "v.objects[0]?.marks.length === 1")["objects"][0]["marks"][0]["x"] == 310
    tool(page, "object_add").press("Enter")
    tool(page, "point").press("Enter")
    page.locator("#it .sheet canvas[role=application]").focus()
    for key in ("Shift+ArrowUp", "Enter", "ArrowUp", "Shift+Enter"):
        page.keyboard.press(key)
    marks = wait_for(page, "v.objects[1]?.marks.length === 2")["objects"][1]["marks"]
    assert [(mark["x"], mark["y"], mark["label"]) for mark in marks] == [(310, 190, 1), (310, 189, 0)]
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    wait_for(page, "v.objects[1]?.marks.length === 0")
    page.locator("#it [data-object='1']").press("Enter")
    wait_for(page, "v.active === 0")
    assert page.evaluate("document.activeElement.dataset.object") == "1"
