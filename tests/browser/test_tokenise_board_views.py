"""The board's views in a real browser: slider, change map, 128 x 128 cells, a phone, both languages."""

import pytest

from demos.shell.words import say
from tests.browser.board_hands import FRAMES, desks, near, shows
from tests.browser.board_page import counting


@pytest.fixture(scope="module")
def desk(chromium, site):
    yield from desks(chromium, site)


@pytest.fixture
def show(request, opener, site):
    yield from shows(request, opener, site)


def test_the_slider_shows_the_original_and_a_rival(show):
    hands = show()
    hands.see("compare")
    code = 10 * 32 + 4
    assert near([255 - each for each in hands.pixel(10, 4)], code)
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
    hands.tool("look")
    while hands.button("board_zoom_out").is_enabled():
        hands.tool("zoom_out")
    page.evaluate("scrollTo(0, 0)")
    start = hands.spot(20, 16)
    thumbs("touchStart", start)
    for step in range(1, 11):
        thumbs("touchMove", (start[0], start[1] - 12 * step))
    thumbs("touchEnd")
    page.wait_for_function("scrollY > 40")  # last of all: the page rolls on after a flick
    assert hands.wait("v.selected", "chosen")["selected"] == [0, 9]


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
