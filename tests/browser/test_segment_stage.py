"""The stage in a real browser, over a made-up SAM whose mask is a disc about the last point."""

import json

import numpy as np
import pytest
from PIL import Image

from demos.shell.words import say
from tests.browser import harness, stage_page

GOT = "document.querySelector('#got textarea')?.value || ''"
FILLED = """() => {
  const sheet = document.querySelector('#it .fills');
  const { data } = sheet.getContext('2d').getImageData(0, 0, sheet.width, sheet.height);
  let sum = 0;
  for (let i = 3; i < data.length; i += 4) sum += data[i] > 0;
  return sum;
}"""
COUNT = "() => { window.fingers = 0; addEventListener('lucida-finger-done', () => { window.fingers++; }); }"
MASK = """() => {
  const sheet = document.querySelector('#it .fills');
  const { data } = sheet.getContext('2d').getImageData(0, 0, sheet.width, sheet.height);
  let bits = '';
  for (let i = 3; i < data.length; i += 4) bits += data[i] > 0 ? 1 : 0;
  return [sheet.height, sheet.width, bits];
}"""


# Scroll bars come with a zoom and lay the picture out once more.
STILL = """async () => {
  const place = () => JSON.stringify(document.querySelector('#it .sheet img').getBoundingClientRect());
  for (let before = '', still = 0; still < 3; ) {
    await new Promise(requestAnimationFrame);
    still = place() === before ? still + 1 : 0;
    before = place();
  }
}"""


@pytest.fixture
def show(opener, site):
    """show(scale=2) -> the page with the stage, its picture on screen."""

    def go(**options):
        stage_page.FINGERS.clear()
        stage_page.GATE.set()
        page = opener(f"{site}?show=stage", **options)
        page.set_default_timeout(120_000)
        page.wait_for_function(
            "document.querySelector('#it .sheet img')?.naturalWidth > 0 && document.querySelector('#got textarea')"
        )
        page.evaluate(COUNT)
        return page

    yield go
    stage_page.GATE.set()


def tool(page, name):
    return page.locator(f"#it [data-name={name}]")


def got(page) -> dict:
    return json.loads(page.evaluate(GOT))


def wait_for(page, condition: str):
    """Wait until what Python got of the marks, `v`, meets a condition in JavaScript."""
    page.wait_for_function(f"() => {{ const v = JSON.parse({GOT} || 'null'); return v && {condition}; }}")
    return got(page)


def place(page, x, y, size):
    """Where on screen the middle of a pixel of the picture is, for the pointer to be put there."""
    box = page.locator("#it .sheet img").bounding_box()
    return box["x"] + (x + 0.5) * box["width"] / size[0] - 0.5, box["y"] + (y + 0.5) * box["height"] / size[1] - 0.5


def upload(page, path, size):
    page.locator("#it input[type=file]").set_input_files(path)
    return wait_for(page, f"String(v.size) === '{size[0]},{size[1]}'")


def shown_mask(page) -> np.ndarray:
    height, width, bits = page.evaluate(MASK)
    return (np.frombuffer(bits.encode(), np.uint8) == ord("1")).reshape(height, width)


def coded(tmp_path, size):
    path = tmp_path / "coded.png"
    Image.fromarray(harness.coded(*size)).save(path, compress_level=1)
    return path


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
