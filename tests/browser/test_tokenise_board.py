"""The board in a real browser, over a made-up decoder that paints each cell in the colour of its code."""

import pytest

from demos.shell.words import say
from tests.browser import board_page
from tests.browser.board_hands import FRAMES, opened
from tests.browser.board_page import colour, counting


@pytest.fixture(scope="module")
def desk(chromium, site):
    """One page for all tests that need no window of their own: opening it is what takes the time."""
    context, errors = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-US"), []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(60_000)
    page.goto(f"{site}?show=board")
    yield opened(page)
    context.close()
    assert not errors


@pytest.fixture
def show(request, opener, site):
    """show() -> the desk with a fresh grid; show(width=375, ...) -> a page of its own."""

    def at(**options):
        board_page.CALLS.clear()
        board_page.GATE.set()
        if options:
            return opened(opener(f"{site}?show=board", **options))
        hands = request.getfixturevalue("desk")
        hands.size = (256, 256)
        hands.anew()
        return hands

    yield at
    board_page.GATE.set()


def near(found, codes, within=3) -> bool:
    return all(abs(a - int(b)) <= within for a, b in zip(found, colour(codes), strict=True))


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


# --- views, size, languages ---


def test_the_slider_shows_the_original_and_a_rival(show):
    hands = show()
    hands.see("compare")
    code = 10 * 32 + 4
    assert near(hands.pixel(10, 4), 0, within=255) and near([255 - each for each in hands.pixel(10, 4)], code)
    assert near(hands.pixel(10, 28), 10 * 32 + 28)
    slider = hands.page.locator("#it .slider")
    slider.focus()
    slider.press("Home")
    hands.page.evaluate(FRAMES)
    assert near(hands.pixel(10, 4), code)
    rival = """() => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 256, height: 256 });
      const ink = canvas.getContext('2d'); ink.fillStyle = 'rgb(10, 200, 30)'; ink.fillRect(0, 0, 256, 256);
      const detail = { src: canvas.toDataURL(), label: { en: 'JPEG', zh: 'JPEG' } };
      dispatchEvent(new CustomEvent('lucida-compare', { detail }));
    }"""
    hands.page.evaluate(rival)
    hands.button("side_rival").wait_for()
    slider.press("End")
    hands.page.evaluate(FRAMES)
    assert hands.pixel(10, 4) == [10, 200, 30] and "JPEG" in hands.page.locator("#it .ends").inner_text()


def test_a_change_map_shows_where_an_edit_reached(show):
    hands = show()
    hands.click(31, 31)
    hands.tool("paint")
    hands.see("change")
    assert hands.page.locator("#it .legend").inner_text() == say("tokenise.board_change_none", "en")
    hands.click(0, 4)
    hands.wait("v.indices[0][4] === 511")
    hands.settled()
    assert sum(hands.pixel(0, 4)) > 600 and sum(hands.pixel(9, 20)) < 90  # light and dark ends of the colours


def test_128_by_128_is_one_canvas_no_larger_than_its_view(show):
    hands = show()
    hands.press("large")
    hands.size = (1024, 1024)
    hands.page.wait_for_function("document.querySelector('#it .place').textContent.startsWith('128 × 128')")
    hands.click(3, 7)
    hands.wait("String(v.selected) === '3,7'", "chosen")
    hands.see("numbers")
    view, canvas = (hands.page.locator(f"#it {part}").bounding_box() for part in (".view", "canvas.grid"))
    assert canvas["width"] <= view["width"] and canvas["height"] <= view["height"]
    assert hands.page.locator("#it .sheet").bounding_box()["width"] > 3 * view["width"]
    hands.tool("paint")
    hands.click(2, 7)
    got = hands.wait("v.name === 'large'")
    assert got["sum"] == int(counting(128, 128).sum()) + 391 - 263


def test_a_thumb_paints_while_two_fingers_zoom_and_the_page_scrolls_when_only_looking(show):
    hands = show(width=375, height=560, has_touch=True, is_mobile=True, scale=2)
    page, touch = hands.page, hands.page.context.new_cdp_session(hands.page)

    def thumbs(kind, *spots):
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(spots)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    start = hands.spot(20, 16)
    thumbs("touchStart", start)
    for step in range(1, 11):
        thumbs("touchMove", (start[0], start[1] - 12 * step))
    thumbs("touchEnd")
    page.wait_for_function("scrollY > 40")
    assert page.locator("#chosen textarea").input_value() == ""
    page.evaluate("scrollTo(0, 0)")
    page.touchscreen.tap(*hands.spot(0, 9))
    hands.wait("String(v.selected) === '0,9'", "chosen")
    hands.tool("paint")
    left, right = hands.spot(10, 14), hands.spot(10, 18)
    thumbs("touchStart", left)
    thumbs("touchStart", left, right)
    for step in range(1, 9):
        thumbs("touchMove", (left[0] - 8 * step, left[1]), (right[0] + 8 * step, right[1]))
    thumbs("touchEnd")
    side = page.locator("#it .sheet").bounding_box()["width"] / 32
    assert side >= 26  # wide enough for a thumb
    before = page.evaluate("scrollY")
    cell = hands.spot(10, 16)
    thumbs("touchStart", cell)
    for step in range(1, 5):
        thumbs("touchMove", (cell[0], cell[1] + step * side))
    thumbs("touchEnd")
    got = hands.wait("v.indices[14][16] === 9")["indices"]
    assert [row[16] for row in got[9:16]] == [304, 9, 9, 9, 9, 9, 496] and page.evaluate("scrollY") == before


def test_every_control_has_a_name_in_both_languages_and_none_is_left_behind(show):
    hands = show(width=375)
    hands.press("second")
    hands.button("board_swap").wait_for()
    nameless = """() => {
      const named = (each) => each.textContent + (each.ariaLabel || '') + (each.labels?.[0]?.textContent || '');
      return [...document.querySelectorAll('#it button, #it input, #it canvas:not([aria-hidden])')]
        .filter((each) => each.offsetParent && !named(each).trim()).map((each) => each.outerHTML);
    }"""
    english = hands.page.locator("#it").inner_text()
    assert hands.page.evaluate(nameless) == []
    hands.page.evaluate("speak('zh-CN')")
    assert hands.page.evaluate(nameless) == []
    chinese = hands.page.locator("#it").inner_text()
    assert (
        say("tokenise.board_paint", "zh") in chinese
        and say("tokenise.decoded_none", "zh") in hands.page.locator("#answers").inner_text()
    )
    left = {line for line in english.splitlines() if any(letter.isalpha() for letter in line)} & set(
        chinese.splitlines()
    )
    assert not left
    wide = hands.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 375


def test_without_a_grid_there_is_a_hint_and_another_grid_begins_anew(show):
    hands = show()
    hands.click(3, 3)
    hands.tool("paint")
    hands.click(4, 4)
    hands.wait("v.indices[4][4] === 99")
    hands.press("none")
    hands.page.locator("#it .empty-hint").wait_for()
    assert hands.page.locator("#it canvas.grid").is_hidden()
    hands.press("odd")
    hands.page.locator("#it canvas.grid").wait_for()
    assert hands.button("board_undo").is_disabled() and hands.button("board_first").is_disabled()
