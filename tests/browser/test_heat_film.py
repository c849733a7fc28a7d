"""Heat map and film as a visitor meets them, on a page of their own (harness.py)."""

import io

import numpy as np
import pytest
from PIL import Image

from demos.shell.components import colours
from tests.browser import harness
from tests.browser.test_components import patient_page


# --- the heat map ---
def pixel(page, selector, x, y):
    """The colour on screen at a fraction (x, y) of an element."""
    box = page.locator(selector).bounding_box()
    clip = {"x": round(box["x"] + x * box["width"]), "y": round(box["y"] + y * box["height"]), "width": 1, "height": 1}
    return Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB").getpixel((0, 0))


def set_strength(page, value, at="#it"):
    page.locator(f"{at} input[type=range]").fill(str(value))


@pytest.fixture(scope="module")
def heat_page(chromium, site):
    """A page that the tests of the map share."""
    page = patient_page(chromium, f"{site}?show=heat")
    page.wait_for_function("document.querySelector('#it .plate img')?.naturalWidth > 0")
    yield page
    page.close()


@pytest.fixture
def heat(heat_page):
    heat_page.evaluate("speak('en'); document.activeElement.blur(); scrollTo(0, 0)")
    heat_page.mouse.move(1, 1)
    return heat_page


def test_a_map_lies_in_its_true_place_in_its_true_colours(heat):
    """600 x 400, map on the middle 400 x 400 in 6 x 6 cells: cell (r, c) has the colour of its own value."""
    set_strength(heat, 100)
    table, values = colours.diverging(), harness.heat_values()
    for row, column in [(0, 0), (1, 4), (5, 0), (2, 2), (0, 5), (5, 5)]:
        x, y = (100 + (column + 0.5) * 400 / 6) / 600, (row + 0.5) / 6
        expected = table[round((values[row, column] / 8.25 + 1) / 2 * 255)]
        np.testing.assert_allclose(pixel(heat, "#it .plate", x, y), expected, atol=2)
    for x in (95 / 600, 505 / 600):  # beside the map: the picture, without colours of its own
        red, green, blue = pixel(heat, "#it .plate", x, 0.5)
        assert abs(red - green) <= 2 and abs(green - blue) <= 2
    edge = [pixel(heat, "#it .plate", (100 + offset) / 600, 0.99) for offset in (-3, 3)]
    assert np.ptp(edge[0]) <= 2 and np.ptp(edge[1]) > 50


def test_strength_zero_is_the_picture_itself(heat):
    set_strength(heat, 0)
    red, _, blue = pixel(heat, "#it .plate", 0.5, 0.9)
    assert red > blue + 20  # the red saucer


def test_values_are_read_out_by_pointer_and_by_keys(heat):
    box = heat.locator("#it .lay").bounding_box()
    heat.mouse.move(box["x"] + box["width"] * 4.5 / 6, box["y"] + box["height"] * 1.5 / 6)
    assert heat.locator("#it .read").inner_text() == "row 2, column 5: 8.25"
    heat.mouse.move(1, 1)
    assert heat.locator("#it .read").inner_text() == ""
    heat.locator("#it .lay").focus()
    assert heat.locator("#it .read").inner_text() == "row 2, column 5: 8.25"  # begins at the largest
    for key in ("ArrowUp", "ArrowRight", "ArrowRight"):
        heat.keyboard.press(key)
    assert heat.locator("#it .read").inner_text() == "row 1, column 6: −5"
    heat.evaluate("speak('zh-CN')")
    assert heat.locator("#it .read").inner_text() == "第 1 行第 6 列：−5"


def test_colour_bar_has_numbers_and_words(heat):
    assert heat.locator("#it .ticks span").all_inner_texts() == ["−8.25", "0", "8.25"]
    assert heat.locator("#plain .ticks span").all_inner_texts() == ["0", "6", "12"]
    assert heat.locator("#plain .legend").inner_text() == "Colours from dark, 0, to light, 12"


def test_cells_are_smoothed_only_when_asked(heat):
    """Near a border between two cells: one colour on each side, or a mixture."""
    set_strength(heat, 100)
    near = [(100 + (4 + side) * 400 / 6) / 600 for side in (-0.05, 0.05)]
    sharp = [pixel(heat, "#it .plate", x, 1.5 / 6) for x in near]
    heat.locator("#it .smooth").click()
    assert heat.locator("#it .smooth").get_attribute("aria-pressed") == "true"
    smooth = [pixel(heat, "#it .plate", x, 1.5 / 6) for x in near]
    assert np.abs(np.subtract(*sharp, dtype=int)).max() > 2 * np.abs(np.subtract(*smooth, dtype=int)).max()


def test_a_map_streams_in_and_what_is_missing_is_hatched_and_said(heat):
    assert heat.locator("#empty .none").inner_text() == "No map yet"
    heat.locator("#grow").click()
    heat.wait_for_function(
        "document.querySelector('#empty .map').width === 6 && "
        "document.querySelector('#empty .map').getContext('2d').getImageData(0, 3, 1, 1).data[3] === 255"
    )
    assert "not computed yet" in heat.locator("#empty .legend").inner_text()
    assert heat.locator("#empty .ticks span").all_inner_texts() == ["−10", "0", "10"]
    alpha = heat.evaluate(
        "Array.from(document.querySelector('#empty .map').getContext('2d').getImageData(0, 0, 6, 6).data)"
    )[3::4]
    assert alpha == [255] * 24 + [0] * 12
    hatched = heat.evaluate(
        """() => { const c = document.querySelector('#empty .hatch'), d = c.getContext('2d');
          const some = (y, h) => d.getImageData(0, y, c.width, h).data.some((v, i) => i % 4 === 3 && v > 0);
          return [some(0, c.height * 4 / 6), some(c.height * 4 / 6, c.height * 2 / 6)]; }"""
    )
    assert hatched == [False, True]
    heat.locator("#empty .lay").focus()
    for _ in range(6):
        heat.keyboard.press("ArrowDown")
    assert "row 6" in heat.locator("#empty .read").inner_text()
    assert "not computed yet" in heat.locator("#empty .read").inner_text()


# --- the film ---
FRAME = "document.querySelector('#it output').textContent"


def shades(page):
    return page.evaluate(
        """async () => Promise.all([...document.querySelectorAll('#it figure img')].map(async img => {
          await img.decode();
          const c = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
          c.drawImage(img, 0, 0);
          return c.getImageData(0, 0, 1, 1).data[0];
        }))"""
    )


@pytest.fixture(scope="module")
def film_page(chromium, site):
    page = patient_page(chromium, f"{site}?show=film")
    page.wait_for_function("window.speak && document.querySelector('#it .play')?.textContent")
    yield page
    page.close()


@pytest.fixture
def film(film_page):
    """A page with a film of 12 frames that has just arrived."""
    film_page.evaluate("speak('en')")
    if film_page.evaluate(FRAME) == "12 / 12":  # of the test before: look back, so that the new run is waited for
        film_page.locator("#it input").fill("0")
    film_page.locator("#go").click()
    film_page.wait_for_function(f"{FRAME} === '12 / 12'")
    return film_page


def test_frames_scrub_by_keys_and_strips_stay_together(film):
    page = film
    assert shades(page) == [220, 35]
    page.locator("#it input").focus()
    page.keyboard.press("Home")
    assert page.evaluate(FRAME) == "1 / 12" and shades(page) == [0, 255]
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert shades(page) == [60, 195]
    assert page.locator("#it input").get_attribute("aria-valuetext") == "Step 4 of 12"
    page.evaluate("speak('zh-CN')")
    assert page.locator("#it input").get_attribute("aria-valuetext") == "第 4 步，共 12 步"
    assert page.locator("#it figcaption").all_inner_texts() == ["点", "框"]


def test_a_new_run_shows_itself_to_a_visitor_who_looked_back(film):
    film.locator("#it input").fill("2")
    assert shades(film) == [40, 215]
    film.locator("#go").click()
    film.wait_for_function(f"{FRAME} === '12 / 12'")
    assert shades(film) == [220, 35]


@pytest.mark.parametrize("motion, after", [("no-preference", "12 / 12"), ("reduce", "2 / 12")])
def test_play_runs_to_the_end_and_calmly_where_less_motion_is_asked_for(film, motion, after):
    film.emulate_media(reduced_motion=motion)
    play = film.locator("#it .play")
    assert play.inner_text() == "Play"  # never begins by itself
    film.clock.install(time=0)
    film.clock.pause_at(10_000)  # from here on time passes only by run_for
    play.click()
    assert film.evaluate(FRAME) == "1 / 12"
    film.clock.run_for(1500)
    assert film.evaluate(FRAME) == after
    assert play.inner_text() == ("Play" if after == "12 / 12" else "Pause")
    if after == "2 / 12":
        play.click()
        film.clock.run_for(5000)
        assert film.evaluate(FRAME) == after
    film.clock.resume()
