"""A click marks the very pixel under the pointer. Each pixel's colour is its place, so that a screenshot of what lies
under the pointer says what the right answer is, without any arithmetic of the page."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.browser import harness

GOT = "document.querySelector('#got textarea')?.value"
ORIENTATION = 0x0112


@pytest.fixture
def show(opener, site):
    """show("canvas", scale=2) -> the page with a canvas whose picture is on screen."""

    def go(name="canvas", **options):
        page = opener(f"{site}?show={name}", **options)
        page.set_default_timeout(120_000)
        page.wait_for_function(
            "document.querySelector('#it .sheet img')?.naturalWidth > 0 && document.querySelector('#got textarea')"
        )
        return page

    return go


def upload(page, path, size):
    """Give the file and wait until Python has it."""
    page.locator("#it input[type=file]").set_input_files(path)
    page.wait_for_function(f"size => ({GOT} || '').includes(size)", arg=json.dumps({"size": list(size)})[1:-1])


def marked(page, count, act):
    """What Python has once there are `count` marks."""
    act()
    page.wait_for_function(f"n => ({GOT}.match(/kind/g) || []).length === n", arg=count)
    return json.loads(page.evaluate(GOT))


def place(page, x, y, size):
    """Where on screen a place of the picture is, in CSS pixels, for the pointer to be put there."""
    box = page.locator("#it .sheet img").bounding_box()
    return box["x"] + x * box["width"] / size[0] - 0.5, box["y"] + y * box["height"] / size[1] - 0.5


def coded(tmp_path, size):
    path = tmp_path / "coded.png"
    Image.fromarray(harness.coded(*size)).save(path)
    return path


def seen_part(page, size, rng):
    """A random place on screen, inside what is seen of the picture."""
    view, sheet = (page.locator(f"#it {part}").bounding_box() for part in (".view", ".sheet img"))
    spot = []
    for axis, side in (("x", "width"), ("y", "height")):
        low = max(view[axis], sheet[axis]) + 2
        high = min(view[axis] + view[side], sheet[axis] + sheet[side]) - 18
        spot.append(int(rng.uniform(low, max(high, low + 2))))
    return spot


SIZES = [(90, 1600), (1600, 120), (16, 16)]


@pytest.mark.parametrize("scale", [1, 2])
def test_click_marks_the_pixel_under_the_pointer(show, tmp_path, scale):
    page = show(scale=scale)
    for size in SIZES:
        upload(page, coded(tmp_path, size), size)
        rng = np.random.default_rng(size[0])
        for zoom in range(5):
            if zoom:
                page.locator("#it [data-name=zoom_in]").click()
            check_a_click(page, size, rng, scale, zoom + 1)


def check_a_click(page, size, rng, scale, count):
    x, y = seen_part(page, size, rng)
    seen = seen_around(page, x, y, scale)
    got = marked(page, count, lambda: page.mouse.click(x, y))
    mark = got["marks"][-1]
    assert harness.decoded(got["under"][-1]) == (mark["x"], mark["y"])
    box = page.locator("#it .sheet img").bounding_box()
    across, down = box["width"] / size[0], box["height"] / size[1]
    if across > 2:  # from there on drawn pixelated: colours are exact
        assert (mark["x"], mark["y"]) in seen
    assert abs(mark["x"] + 0.5 - (x + 0.5 / scale - box["x"]) / across) <= 0.5 + 0.02
    assert abs(mark["y"] + 0.5 - (y + 0.5 / scale - box["y"]) / down) <= 0.5 + 0.02


def seen_around(page, x, y, scale):
    """Which pixels of the picture the screen shows at (x, y) and beside it: Chromium draws a picture on whole device
    pixels, up to half of one beside its rectangle."""
    page.evaluate("document.querySelector('#it canvas').style.opacity = 0")
    clip = {"x": x - 1, "y": y - 1, "width": 3, "height": 3}
    shot = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")
    page.evaluate("document.querySelector('#it canvas').style.opacity = 1")
    spots = [(scale + i, scale + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return {harness.decoded(shot.getpixel(spot)) for spot in spots}


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_G10_a_turned_photo_is_marked_where_it_is_touched(show, tmp_path, kind):
    """A file that lies on its side (EXIF 6): what is seen under the pointer is what Python has under the mark."""
    blocks = np.random.default_rng(3).integers(0, 256, (10, 16, 3), np.uint8)
    lying = Image.fromarray(blocks).resize((320, 200), Image.Resampling.NEAREST).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = tmp_path / "turned"
    lying.save(path, kind, exif=exif, **({"quality": 95, "subsampling": 0} if kind == "JPEG" else {}))
    page = show()
    upload(page, path, (320, 200))
    for n, (row, column) in enumerate([(0, 0), (9, 15), (0, 15), (4, 7)], start=1):
        x, y = place(page, column * 20 + 10, row * 20 + 10, (320, 200))
        got = marked(page, n, lambda x=x, y=y: page.mouse.click(x, y))
        np.testing.assert_allclose(got["under"][-1], blocks[row, column], atol=10)
        np.testing.assert_allclose([got["marks"][-1][axis] for axis in "xy"], [column * 20 + 10, row * 20 + 10], atol=1)


def drag(page, start, end, size):
    page.mouse.move(*place(page, *start, size))
    page.mouse.down()
    page.mouse.move(*place(page, *end, size), steps=4)
    page.mouse.up()


def test_box_brush_undo_redo_and_dragging_a_point(show, tmp_path):
    page, size = show(), (200, 100)
    upload(page, coded(tmp_path, size), size)
    tool = lambda name: page.locator(f"#it [data-name={name}]")  # noqa: E731

    tool("box").click()
    (box,) = marked(page, 1, lambda: drag(page, (150, 80), (50, 20), size))["marks"]
    assert [box[side] for side in ("x0", "y0", "x1", "y1")] == pytest.approx([50, 20, 150, 80], abs=0.02)
    tool("brush").click()
    stroke = marked(page, 2, lambda: drag(page, (10, 50), (40, 50), size))["marks"][1]
    assert stroke["path"][0] == pytest.approx([10, 50], abs=0.02)
    assert stroke["path"][-1] == pytest.approx([40, 50], abs=0.02)

    assert marked(page, 1, tool("undo").click)["marks"] == [box]
    assert marked(page, 2, tool("redo").click)["marks"] == [box, stroke]
    assert marked(page, 0, tool("clear").click)["marks"] == []
    assert marked(page, 2, tool("undo").click)["marks"] == [box, stroke]
    assert tool("redo").is_enabled()

    tool("point").click()
    first = marked(page, 3, lambda: page.mouse.click(*place(page, 20.5, 20.5, size)))["marks"][2]
    assert first == {"kind": "point", "x": 20, "y": 20, "label": 1} and tool("redo").is_disabled()
    drag(page, (20.5, 20.5), (120.5, 60.5), size)
    page.wait_for_function(f"{GOT}.includes('120')")
    assert json.loads(page.evaluate(GOT))["marks"][2] == {**first, "x": 120, "y": 60}
    page.locator("#it canvas").focus()
    page.keyboard.press("Control+z")
    page.wait_for_function(f"!{GOT}.includes('120')")
    assert json.loads(page.evaluate(GOT))["marks"][2] == first


def test_negative_points_by_shift_by_right_button_and_by_the_switch(show):
    page, size = show(), (600, 400)
    click = lambda x, **how: page.mouse.click(*place(page, x, 100, size), **how)  # noqa: E731
    assert marked(page, 1, lambda: click(100))["marks"][-1]["label"] == 1
    assert marked(page, 2, lambda: click(200, button="right"))["marks"][-1]["label"] == 0
    page.keyboard.down("Shift")
    assert marked(page, 3, lambda: click(300))["marks"][-1]["label"] == 0
    page.keyboard.up("Shift")
    page.locator("#it [data-name=negative]").click()
    assert marked(page, 4, lambda: click(400))["marks"][-1]["label"] == 0
    assert page.locator("#it [data-name=negative]").get_attribute("aria-pressed") == "true"
    page.locator("#it [data-name=box]").click()
    assert page.locator("#it [data-name=negative]").is_hidden()


def test_everything_by_keyboard(show):
    page = show()
    page.locator("#it canvas").focus()
    page.mouse.move(1, 1)

    def keys(*names):
        for name in names:
            page.keyboard.press(name)

    point = marked(page, 1, lambda: keys("ArrowRight", "Shift+ArrowUp", "Enter"))["marks"][0]
    assert point == {"kind": "point", "x": 301, "y": 190, "label": 1}
    assert marked(page, 2, lambda: keys("Shift+Enter"))["marks"][1]["label"] == 0
    page.locator("#it [data-name=box]").press("Enter")
    page.locator("#it canvas").focus()
    box = marked(page, 3, lambda: keys("Enter", "Shift+ArrowRight", "Shift+ArrowDown", "Enter"))["marks"][2]
    assert box == {"kind": "box", "x0": 301, "y0": 190, "x1": 312, "y1": 201}
    page.locator("#it [data-name=brush]").press("Enter")
    page.locator("#it canvas").focus()
    stroke = marked(page, 4, lambda: keys("Enter", "ArrowRight", "ArrowRight", "Enter"))["marks"][3]
    assert stroke["path"] == [[311.5, 200.5], [312.5, 200.5], [313.5, 200.5]]
    assert len(marked(page, 3, lambda: keys("Delete"))["marks"]) == 3
    assert len(marked(page, 4, lambda: keys("Control+z"))["marks"]) == 4
    width = page.locator("#it .sheet img").bounding_box()["width"]
    keys("+")
    assert page.locator("#it .sheet img").bounding_box()["width"] == pytest.approx(2 * width, abs=1)
    keys("Shift+ArrowLeft")
    assert page.locator("#it .spoken").inner_text() == "x 303, y 200"


def test_a_picture_has_one_crop_and_the_hand_moves_again(show):
    page, size = show("crop"), (600, 400)
    assert page.locator("#it [data-name=crop]").get_attribute("aria-pressed") == "false"
    assert page.locator("#it [data-name=point]").count() == 0
    for start, end in [((100, 50), (500, 350)), ((30, 30), (90, 120))]:
        page.locator("#it [data-name=crop]").click()
        drag(page, start, end, size)
        page.wait_for_function(f"{GOT}.includes('\"x1\": {end[0]}') || {GOT}.includes('\"x1\": {end[0] - 1}.')")
        (crop,) = json.loads(page.evaluate(GOT))["marks"]
        sides = [crop[side] for side in ("x0", "y0", "x1", "y1")]
        assert crop["kind"] == "crop" and sides == pytest.approx([*start, *end], abs=1)
        assert page.locator("#it [data-name=crop]").get_attribute("aria-pressed") == "false"
    drag(page, (100, 100), (200, 200), size)  # the hand marks nothing
    assert json.loads(page.evaluate(GOT))["marks"] == [crop]


def test_G08_marks_go_with_their_picture(show, tmp_path):
    page = show()
    marked(page, 1, lambda: page.mouse.click(*place(page, 100, 100, (600, 400))))
    upload(page, coded(tmp_path, (200, 100)), (200, 100))
    assert json.loads(page.evaluate(GOT))["marks"] == []
    assert page.locator("#it [data-name=undo]").is_disabled()


def test_G09_twenty_quick_clicks_arrive_in_order(show):
    page = show()
    for k in range(20):
        page.mouse.click(*place(page, 20.5 + 25 * k, 50.5, (600, 400)))
    got = marked(page, 20, lambda: None)["marks"]
    np.testing.assert_allclose([mark["x"] for mark in got], 20 + 25 * np.arange(20), atol=1)


def test_wheel_zooms_about_the_pointer_and_clicks_stay_exact(show, tmp_path):
    page, size = show(), (200, 100)
    upload(page, coded(tmp_path, size), size)
    x, y = place(page, 150.5, 25.5, size)
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    page.wait_for_function("document.querySelector('#it .view').scrollLeft > 0")
    got = marked(page, 1, lambda: page.mouse.click(x, y))
    assert (got["marks"][0]["x"], got["marks"][0]["y"]) == (150, 25) == harness.decoded(got["under"][0])


def test_two_fingers_zoom_and_mark_nothing_and_one_finger_marks(show, tmp_path):
    page, size = show(width=375, height=812, has_touch=True, is_mobile=True, scale=2), (200, 100)
    upload(page, coded(tmp_path, size), size)
    touch = page.context.new_cdp_session(page)
    x, y = place(page, 100, 50, size)
    before = page.locator("#it .sheet img").bounding_box()["width"]

    def fingers(kind, *apart):
        points = [{"x": x + side * apart[0], "y": y, "id": i} for i, side in enumerate((-1, 1))] if apart else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 20)
    for apart in (30, 40, 50, 60):
        fingers("touchMove", apart)
    fingers("touchEnd")
    assert page.locator("#it .sheet img").bounding_box()["width"] == pytest.approx(3 * before, rel=0.02)
    assert page.evaluate("visualViewport.scale") == 1
    got = marked(page, 1, lambda: page.touchscreen.tap(x, y))
    assert abs(got["marks"][0]["x"] - 100) <= 1 and abs(got["marks"][0]["y"] - 50) <= 1
