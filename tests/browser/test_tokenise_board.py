"""The board in a real browser, over a made-up decoder that paints each cell in the colour of its code."""

import pytest

from demos.shell.words import say
from tests.browser import board_page
from tests.browser.board_hands import FRAMES, desks, near, shows
from tests.browser.board_page import counting


@pytest.fixture(scope="module")
def desk(chromium, site):
    yield from desks(chromium, site)


@pytest.fixture
def show(request, opener, site):
    yield from shows(request, opener, site)


# --- looking ---


def test_a_token_is_named_and_every_use_of_its_code_lights_up(show):
    hands = show()
    assert hands.pixel(19, 7, down=0.075)[2] >= 128  # the blue of every code
    hands.click(3, 7)
    assert hands.wait("String(v.selected) === '3,7'", "chosen")["indices"][3][7] == 103
    assert hands.said() == say("tokenise.board_at", "en", row=4, column=8, index=103, uses=2)
    hands.page.evaluate(FRAMES)
    lit = hands.pixel(19, 7, down=0.075)
    assert lit[0] > 200 and lit[1] > 190 and lit[2] < 110  # yellow
    assert hands.pixel(19, 8, down=0.075) != lit
    hands.page.mouse.move(*hands.spot(0, 1))
    assert hands.said() == say("tokenise.board_at", "en", row=1, column=2, index=1, uses=2)
    assert hands.page.evaluate("boards.at(-1).selected") == [3, 7] and hands.page.evaluate("boards.at(-1).code") == 103
    assert board_page.CALLS == []  # looking decodes nothing


def test_arrow_keys_choose_and_are_read_out(show):
    hands = show()
    hands.click(0, 30)
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowDown", "ArrowLeft"):
        hands.page.keyboard.press(key)
    assert hands.wait("String(v.selected) === '9,30'", "chosen")["selected"] == [9, 30]
    told = say("tokenise.board_at", "en", row=10, column=31, index=318, uses=2)
    assert hands.page.locator("#it .spoken").inner_text() == told


@pytest.mark.parametrize("options", [{}, {"width": 375, "height": 700, "scale": 3}])
def test_the_cell_is_the_one_under_the_pointer_at_any_zoom_also_where_the_picture_ends_within_it(show, options):
    hands = show(**options)
    hands.press("odd")
    hands.size = (37, 70)
    hands.page.wait_for_function("document.querySelector('#it .place').textContent.startsWith('5 × 9')")
    for zoom in range(2):
        if zoom:
            hands.tool("zoom_in")
        view = hands.page.locator("#it .view").bounding_box()
        for row, column in [(0, 0), (4, 8), (2, 5), (3, 8), (4, 1)]:
            x, y = hands.spot(row, column)
            if row == 4 or column == 8:  # their middle may lie beyond the picture's end
                x, y = hands.spot(row - 0.4 * (row == 4), column - 0.4 * (column == 8))
            if not (view["x"] < x < view["x"] + view["width"] and view["y"] < y < view["y"] + view["height"]):
                continue
            hands.page.mouse.click(x, y)
            hands.wait(f"String(v.selected) === '{row},{column}'", "chosen")
    assert hands.button("view_compare").is_disabled()  # random codes have no original


# --- painting ---


def test_a_stroke_leaves_no_gaps_is_decoded_and_is_one_step_of_undo(show):
    hands = show()
    hands.see("picture")
    hands.click(3, 7)
    hands.tool("paint")
    hands.drag((10, 2), (10, 14))
    assert hands.wait("v.indices[10][14] === 103")["indices"][10][2:15] == [103] * 13
    hands.settled()
    assert near(hands.pixel(10, 8), 103) and near(hands.pixel(11, 8), 360)
    hands.button("board_undo").click()
    assert hands.wait("v.indices[10][8] === 328")["indices"] == counting(32, 32).tolist()
    hands.settled()
    assert near(hands.pixel(10, 8), 328)
    assert hands.button("board_undo").is_disabled()
    hands.page.locator("#it canvas.grid").focus()
    hands.page.keyboard.press("Control+Shift+z")
    hands.wait("v.indices[10][8] === 103")
    hands.button("board_first").click()
    hands.wait("v.indices[10][8] === 328")
    assert hands.button("board_first").is_disabled() and hands.button("board_undo").is_enabled()


def test_changed_cells_are_marked_until_the_newest_answer_comes(show):
    hands = show()
    hands.see("picture")
    hands.click(0, 5)
    hands.tool("paint")
    before = hands.pixel(20, 10)
    board_page.GATE.clear()
    hands.drag(*[(20, column) for column in range(4, 28)])
    hands.page.evaluate(FRAMES)
    marked = hands.pixel(20, 10)
    assert marked != before and not near(marked, 5)
    board_page.GATE.set()
    hands.wait("v.indices[20][27] === 5")
    hands.settled()
    assert near(hands.pixel(20, 10), 5) and near(hands.pixel(20, 27), 5)
    assert len(board_page.CALLS) <= 3 < 24  # one is under way; of those that wait the newest is asked


def test_an_older_answer_and_one_for_another_grid_are_dropped(show):
    hands = show()
    hands.see("picture")
    hands.click(0, 5)
    hands.tool("paint")
    hands.click(20, 10)
    hands.wait("v.indices[20][10] === 5")
    hands.click(21, 10)
    hands.wait("v.indices[21][10] === 5")
    hands.settled()
    hands.page.evaluate("dispatchEvent(new CustomEvent('lucida-decoded', { detail: { ...kept[0] } }))")
    other = "{ ...kept.at(-1), serial: kept.at(-1).serial + 5, picture: kept[0].picture }"
    hands.page.evaluate(f"dispatchEvent(new CustomEvent('lucida-decoded', {{ detail: {other} }}))")
    hands.page.evaluate(FRAMES)
    assert near(hands.pixel(21, 10), 5)


def test_a_code_can_be_typed_and_a_wide_brush_is_cut_at_the_edge(show):
    hands = show()
    hands.tool("paint")
    hands.click(5, 5)  # there is no code yet
    assert say("tokenise.board_code_first", "en") in hands.page.locator("#it .told").inner_text()
    box = hands.page.locator("#it .code input")
    box.fill("1024")
    box.press("Enter")
    assert say("tokenise.board_code_range", "en", last=1023) in hands.page.locator("#it .told").inner_text()
    box.fill("700")
    box.press("Enter")
    hands.button("board_width_3").click()
    hands.click(0, 31)
    got = hands.wait("v.indices[0][31] === 700")["indices"]
    assert [(r, c) for r in range(32) for c in range(32) if got[r][c] == 700] == [(0, 30), (0, 31), (1, 30), (1, 31)]
    hands.click(9, 9, button="right")  # takes up the code that is there
    assert box.input_value() == "297"


def test_panels_choose_codes_and_put_them_somewhere(show):
    hands = show()

    def send(name, detail):
        hands.page.evaluate("([name, detail]) => dispatchEvent(new CustomEvent(name, { detail }))", [name, detail])

    send("lucida-board-pick", {"code": 70, "tool": "paint"})
    hands.page.evaluate(FRAMES)
    assert hands.button("board_paint").get_attribute("aria-pressed") == "true"
    assert hands.pixel(2, 6, down=0.075)[2] < 110  # its use is lit, in yellow
    send("lucida-board-put", {"code": 70, "row": 31, "column": 0})
    assert hands.wait("v.indices[31][0] === 70")["indices"][30][31] == 479
    send("lucida-board-put", {"code": 1024, "row": 0, "column": 0})
    send("lucida-board-put", {"code": 5, "row": 32, "column": 0})
    send("lucida-board-pick", {"code": -1})
    send("lucida-board-pick", {"row": 4, "column": 5})
    assert hands.wait("String(v.selected) === '4,5'", "chosen")["indices"][0][0] == 0
    assert hands.page.evaluate("boards.at(-1).code") == 133


# --- copying, regions, holes ---


def test_a_copied_part_is_stamped_and_cut_at_the_edge(show):
    hands = show()
    hands.tool("copy")
    hands.drag((0, 0), (1, 2))
    hands.click(31, 30)
    got = hands.wait("v.indices[31][30] === 1")["indices"]
    assert got[31][29:32] == [0, 1, 2] and got[30][29:32] == [477, 478, 479]
    hands.click(10, 10)
    got = hands.wait("v.indices[11][11] === 34")["indices"]
    assert got[10][9:12] == [0, 1, 2] and got[11][9:12] == [32, 33, 34]
    hands.button("board_again").click()
    assert hands.button("board_again").is_hidden()


def test_a_region_is_half_open_and_drawn_either_way(show):
    hands = show()
    hands.tool("region")
    hands.drag((12, 20), (4, 6))
    assert hands.wait("v.region", "chosen")["region"] == [4, 6, 13, 21]
    assert say("tokenise.board_region_size", "en", rows=9, columns=15) in hands.said()
    hands.page.locator("#it canvas.grid").focus()
    hands.page.keyboard.press("Escape")
    hands.wait("v.region === null", "chosen")


def test_holes_are_painted_closed_and_undone_without_decoding(show):
    hands = show()
    hands.tool("hole")
    hands.drag((2, 2), (2, 4))
    assert hands.wait("v.holes.length === 3", "hidden")["holes"] == [[2, 2], [2, 3], [2, 4]]
    assert say("tokenise.board_hidden", "en", n=3) in hands.said()
    hands.click(2, 3)
    hands.wait("String(v.holes) === '2,2,2,4'", "hidden")
    hands.button("board_undo").click()
    hands.wait("v.holes.length === 3", "hidden")
    hands.page.evaluate("dispatchEvent(new CustomEvent('lucida-board-hole', { detail: { all: true } }))")
    hands.wait("v.holes.length === 1024", "hidden")
    hands.button("board_none").click()
    hands.wait("v.holes.length === 0", "hidden")
    assert board_page.CALLS == [] and hands.page.locator("#got textarea").input_value() == ""


def test_keys_alone_paint_copy_and_hide(show):
    hands = show()
    page = hands.page
    hands.click(1, 1)
    hands.tool("paint")
    page.locator("#it canvas.grid").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    hands.wait("v.indices[1][2] === 33")
    hands.tool("copy")
    page.locator("#it canvas.grid").focus()
    for key in ("Enter", "ArrowRight", "Enter", "ArrowDown", "ArrowDown", " "):
        page.keyboard.press(key)
    assert hands.wait("v.indices[3][3] === 33")["indices"][3][1:5] == [97, 33, 33, 100]


# --- edits of the server, the second picture ---


def test_an_edit_of_the_server_in_steps_is_one_step_of_undo(show):
    hands = show()
    hands.see("picture")
    hands.press("server")
    hands.page.wait_for_function("document.querySelector('#it .told').textContent === 'Step 2'")
    hands.settled()
    assert near(hands.pixel(0, 9), 600) and near(hands.pixel(1, 9), 600) and near(hands.pixel(2, 9), 73)
    assert hands.page.locator("#got textarea").input_value() == ""  # already decoded
    hands.button("board_undo").click()
    hands.wait("v.indices[0][9] === 9 && v.indices[1][9] === 41")
    assert hands.button("board_undo").is_disabled()


def test_an_edit_of_the_server_that_comes_after_a_newer_one_of_the_visitor_is_dropped(show):
    hands = show()
    hands.press("server")
    hands.page.wait_for_function("document.querySelector('#it .told').textContent === 'Step 2'")
    hands.click(5, 5)
    hands.tool("paint")
    hands.click(0, 0)
    hands.wait("v.indices[0][0] === 165 && v.indices[1][1] === 600")
    hands.page.evaluate("dispatchEvent(new CustomEvent('lucida-decoded', { detail: { ...kept[0] } }))")
    assert hands.page.locator("#it .told").inner_text() == say("tokenise.board_late", "en")
    hands.click(0, 1)
    assert hands.wait("v.indices[0][1] === 165")["indices"][0][:3] == [165, 165, 600]


def test_a_region_is_swapped_with_the_second_picture_and_back(show):
    hands = show()
    hands.press("second")
    hands.button("board_swap").wait_for()
    hands.tool("region")
    hands.drag((2, 3), (4, 5))
    hands.button("board_swap").click()
    got = hands.wait("v.other && v.indices[2][3] === 900")
    assert got["indices"][2][2:7] == [66, 900, 900, 900, 70] and got["other"][2][2:7] == [900, 67, 68, 69, 900]
    hands.button("board_undo").click()
    got = hands.wait("v.indices[2][3] === 67")
    assert got["indices"] == counting(32, 32).tolist() and got["other"] == [[900] * 32] * 32
    hands.button("board_remove_other").click()
    assert hands.page.locator("#it .other").is_hidden()
    hands.button("board_redo").click()  # the steps before it know of no second picture either
    assert hands.wait("v.other === null")["indices"][2][3] == 900
