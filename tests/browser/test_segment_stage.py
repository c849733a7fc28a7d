"""The stage in a real browser, over a made-up SAM whose mask is a disc about the last point."""

import numpy as np
import pytest
from PIL import Image

from demos.shell.words import say
from tests.browser import harness, stage_page
from tests.browser.stage_hands import (
    FILLED,
    GOT,
    MASK,
    STILL,
    coded,
    got,
    place,
    shown_mask,
    stage_pages,
    tool,
    upload,
    wait_for,
)


@pytest.fixture
def show(opener, site):
    yield from stage_pages(opener, site)


# --- coordinates ---


@pytest.mark.parametrize(
    ("size", "options"),
    [((90, 1600), {}), ((16, 16), {"scale": 2}), ((4000, 4000), {"width": 375, "height": 700, "scale": 3})],
)
def test_the_finger_and_its_mark_are_the_pixel_under_the_pointer(show, tmp_path, size, options):
    page, rng = show(**options), np.random.default_rng(size[0])
    upload(page, coded(tmp_path, size), size)
    page.evaluate("document.body.style.marginTop = '300px'; scrollTo(0, 250)")
    for zoom in range(2):
        if zoom:
            tool(page, "zoom_in").click()
        check_a_press(page, size, rng)


def check_a_press(page, size, rng):
    page.evaluate(STILL)
    view, sheet = (page.locator(f"#it {part}").bounding_box() for part in (".view", ".sheet img"))
    spot = []
    for axis, side in (("x", "width"), ("y", "height")):
        low = max(view[axis], sheet[axis], 0) + 2
        high = min(view[axis] + view[side], sheet[axis] + sheet[side], page.viewport_size[side]) - 18
        spot.append(int(rng.uniform(low, max(high, low + 2))))
    before = page.evaluate("window.fingers")
    page.mouse.move(*spot)
    page.mouse.down()
    page.wait_for_function("before => window.fingers > before", arg=before)
    page.mouse.up()
    (x, y), under = stage_page.FINGERS[-1]
    assert harness.decoded(under) == (x, y)
    asked = wait_for(page, f"v.objects[0]?.marks[0]?.x === {x} && v.objects[0]?.marks[0]?.y === {y}")
    assert harness.decoded(asked["under"][-1]) == (x, y)
    half = 0.5 / page.evaluate("devicePixelRatio")
    assert abs(x + 0.5 - (spot[0] + half - sheet["x"]) * size[0] / sheet["width"]) <= 0.5 + 0.02
    assert abs(y + 0.5 - (spot[1] + half - sheet["y"]) * size[1] / sheet["height"]) <= 0.5 + 0.02


def test_G10_a_turned_photo_is_touched_where_it_is_seen(show, tmp_path):
    blocks = np.random.default_rng(3).integers(0, 256, (10, 16, 3), np.uint8)
    lying = Image.fromarray(blocks).resize((320, 200), Image.Resampling.NEAREST).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(tmp_path / "turned.png", exif=exif)
    page = show()
    upload(page, tmp_path / "turned.png", (320, 200))
    for row, column in [(0, 0), (9, 15), (2, 11)]:
        x, y = column * 20 + 10, row * 20 + 10
        page.mouse.click(*place(page, x, y, (320, 200)))
        asked = wait_for(
            page, f"Math.abs(v.objects[0]?.marks[0]?.x - {x}) <= 1 && Math.abs(v.objects[0]?.marks[0]?.y - {y}) <= 1"
        )
        assert asked["under"][-1] == blocks[row, column].tolist()


# --- the finger ---


def test_one_request_is_under_way_and_the_newest_place_wins(show):
    page, size = show(), (600, 400)
    stage_page.GATE.clear()
    page.mouse.move(*place(page, 100, 100, size))
    page.mouse.down()
    for x in range(110, 310, 10):
        page.mouse.move(*place(page, x, 120, size))
    stage_page.GATE.set()
    page.wait_for_function(f"({MASK})()[2][120 * 600 + 300] === '1'")
    assert [place for place, _ in stage_page.FINGERS] == [(100, 100), (300, 120)]
    assert not shown_mask(page)[100, 100]
    assert page.evaluate(GOT) == ""  # looking is not marking
    page.mouse.up()
    assert wait_for(page, "v.objects[0]?.marks.length === 1")["objects"][0]["marks"] == [
        {"kind": "point", "x": 300, "y": 120, "label": 1}
    ]


def test_letting_go_takes_the_place_of_the_marks_and_undo_brings_them_back(show):
    page, size = show(), (600, 400)
    tool(page, "point").click()
    page.mouse.click(*place(page, 50, 60, size))
    page.mouse.click(*place(page, 90, 60, size), button="right")
    wait_for(page, "v.objects[0]?.marks.length === 2")
    tool(page, "finger").click()
    page.mouse.click(*place(page, 400, 200, size))
    wait_for(page, "v.objects[0]?.marks.length === 1 && v.objects[0]?.marks[0].x === 400")
    tool(page, "undo").click()
    assert [mark["x"] for mark in wait_for(page, "v.objects[0]?.marks.length === 2")["objects"][0]["marks"]] == [50, 90]


def test_hovering_asks_only_after_the_encoder_has_run_and_leaves_no_trace(show):
    page, size = show(), (600, 400)
    page.mouse.move(*place(page, 200, 200, size))
    page.mouse.click(*place(page, 300, 200, size))
    wait_for(page, "v.objects[0]?.marks.length === 1")
    assert (200, 200) not in [place for place, _ in stage_page.FINGERS]
    page.mouse.move(*place(page, 100, 300, size))
    page.wait_for_function(f"({MASK})()[2][300 * 600 + 100] === '1'")
    page.locator("#clocks").hover()
    page.wait_for_function(f"({MASK})()[2][300 * 600 + 100] === '0'")
    assert shown_mask(page)[200, 300] and len(got(page)["objects"][0]["marks"]) == 1


def test_a_refused_place_does_not_stop_the_finger(show):
    page, size = show(), (600, 400)
    page.mouse.move(*place(page, 200, 0, size))
    page.mouse.down()
    page.locator("#it .told.refused:not(:empty)").wait_for()
    assert say("errors.picture_gone", "en") in page.locator("#it .told").inner_text()
    page.mouse.move(*place(page, 200, 150, size))
    page.wait_for_function(f"({MASK})()[2][150 * 600 + 200] === '1'")
    assert page.locator("#it .told").inner_text() == ""
    page.mouse.up()


def test_a_thumb_drags_the_mask_and_the_page_stays(show):
    page, size = show(width=375, height=600, has_touch=True, is_mobile=True, scale=3), (600, 400)
    touch = page.context.new_cdp_session(page)

    def thumb(kind, *spot):
        points = [{"x": spot[0], "y": spot[1], "id": 0}] if spot else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    thumb("touchStart", *place(page, 300, 350, size))
    for y in range(340, 90, -10):
        thumb("touchMove", *place(page, 300, y, size))
    page.wait_for_function(f"({MASK})()[2][60 * 600 + 300] === '1'")  # the disc has a radius of 94 pixels
    assert page.evaluate("scrollY") == 0 and page.evaluate(GOT) == ""
    thumb("touchEnd")
    (mark,) = wait_for(page, "v.objects[0]?.marks.length === 1")["objects"][0]["marks"]
    assert abs(mark["x"] - 300) <= 1 and abs(mark["y"] - 100) <= 1


# --- pictures, clocks, words ---


def test_G08_with_another_picture_everything_goes_and_late_answers_are_dropped(show):
    page, size = show(), (600, 400)
    tool(page, "object_add").click()
    page.mouse.click(*place(page, 300, 200, size))
    wait_for(page, "v.objects[1]?.marks.length === 1")
    stage_page.GATE.clear()
    page.mouse.move(*place(page, 100, 100, size))
    page.mouse.down()
    page.locator("#it [data-example=cat]").dispatch_event("click")
    asked = wait_for(page, "v.name === 'cat'")
    stage_page.GATE.set()
    page.wait_for_function("window.fingers === 2")
    assert asked["objects"] == [] and page.locator("#it [data-object]").count() == 1
    assert page.evaluate(FILLED) == 0 and tool(page, "undo").is_disabled()
    page.mouse.up()


def test_the_clocks_say_the_servers_numbers_and_the_decoder_ticks(show):
    page, size = show(), (600, 400)
    encoder, decoder = (page.locator(f"#clocks .{name}") for name in ("encoder", "decoder"))
    assert "–" in encoder.inner_text() and "–" in decoder.inner_text()
    page.mouse.click(*place(page, 300, 200, size))
    wait_for(page, "v.objects[0]?.marks.length === 1")
    page.wait_for_function("/: 2/.test(document.querySelector('#clocks .decoder .what').textContent)")
    assert "123 ms" in encoder.inner_text() and "12 ms" in decoder.inner_text()
    assert "once" in encoder.inner_text() and "running" not in encoder.get_attribute("class")
    page.evaluate("speak('zh-CN')")
    assert "123 毫秒" in encoder.inner_text() and "编码器" in encoder.inner_text()


def test_every_control_has_a_name_in_both_languages(show):
    page = show(width=375)
    nameless = """() => [...document.querySelectorAll('#it button:not([hidden]), #it .name, #it canvas[tabindex]')]
      .filter((each) => !(each.textContent + (each.ariaLabel || '') + (each.labels?.[0]?.textContent || '')).trim())
      .map((each) => each.outerHTML)"""
    english = page.locator("#it .tools, #it .objects").all_inner_texts()
    assert page.evaluate(nameless) == []
    assert page.locator("#it [data-object='1']").get_attribute("aria-label") == "Object 1: 0 marks"
    page.evaluate("speak('zh-CN')")
    assert page.evaluate(nameless) == []
    assert page.locator("#it [data-object='1']").get_attribute("aria-label") == "对象 1：0 个标记"
    assert page.locator("#it .tools, #it .objects").all_inner_texts() != english
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
