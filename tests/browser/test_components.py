"""Picture input, heat map and film as a visitor meets them, on a page of their own (harness.py)."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demos.shell.components import colours
from tests import odd_pictures
from tests.browser import harness
from tests.conftest import free_port

PHONE = {"width": 375, "height": 812}
PATIENCE_MS = 120_000
GOT = "document.querySelector('#got textarea').value"
TALL = odd_pictures.PHOTO.parent / "photographer.jpg"


@pytest.fixture(scope="module")
def site():
    with harness.served(free_port()) as address:
        yield address


@pytest.fixture
def show(opener, site):
    """show("heat", lang="zh-CN", width=375) -> the page with that component."""

    def go(name, *, lang="en", **options):
        page = opener(f"{site}?show={name}&lang={lang}", **options)
        page.set_default_timeout(PATIENCE_MS)
        page.locator("#it").wait_for()
        page.wait_for_function("document.querySelector('#it button')?.textContent")
        return page

    return go


def patient_page(chromium, url):
    """A page for several tests; on a busy machine it takes its time."""
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    return page


def answer(page, act):
    """What Python got after `act`."""
    page.evaluate(
        "() => { const t = document.querySelector('#got textarea'); t.value = ''; t.dispatchEvent(new Event('input')) }"
    )
    act()
    page.wait_for_function(f"{GOT} !== ''")
    return json.loads(page.evaluate(GOT))


def give(page, path):
    page.locator("#it input[type=file]").set_input_files(path)


def told(page, text):
    page.wait_for_function("t => document.querySelector('#it .told').textContent.includes(t)", arg=text)
    return page.locator("#it .told").inner_text()


def seen_grid(page):
    """As `harness.grid_of`, of what the browser shows."""
    return np.array(
        page.evaluate(
            """async () => {
              const img = document.querySelector('#it .stage img');
              await img.decode();
              const [w, h] = [img.naturalWidth, img.naturalHeight];
              const canvas = Object.assign(document.createElement('canvas'), { width: w, height: h });
              const context = canvas.getContext('2d');
              context.drawImage(img, 0, 0);
              const { data } = context.getImageData(0, 0, w, h);
              const sum = Array.from({ length: 4 }, () => Array.from({ length: 4 }, () => [0, 0, 0, 0]));
              for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
                const cell = sum[Math.floor(y * 4 / h)][Math.floor(x * 4 / w)];
                for (let k = 0; k < 3; k++) cell[k] += data[4 * (y * w + x) + k];
                cell[3]++;
              }
              return sum.map(row => row.map(([r, g, b, n]) => [r / n, g / n, b / n]));
            }"""
        )
    )


# --- the picture input ---
CASES = {case.name: case for case in odd_pictures.CASES}
# One for each way in which a browser might show a file otherwise than it is read; tests of the door have all cases.
ANSWERED = [
    "I07_float_tiff",
    "I08_cmyk_jpeg",
    "I09_palette_with_transparency",
    "I10_grey_with_alpha",
    "I12_animated_gif",
    "I12_animated_png",
    "I15_orientation_99",
    "I19_avif",
    "I23_bmp_top_down",
]
REFUSED = [
    "I01_empty_file",
    "I02_text",
    "I03_cut_jpeg",
    "I04_pixel_bomb_20000",
    "I17_a_line",
    "I19_heic",
    "I20_svg",
]


@pytest.fixture(scope="module")
def one_page(chromium, site):
    """A page that several cases share: each leaves it with a good picture on screen."""
    page = patient_page(chromium, f"{site}?show=picture")
    page.wait_for_function(
        "document.querySelector('#it .pick span')?.textContent && document.querySelector('#got textarea')"
    )
    yield page
    page.close()


@pytest.fixture
def picture(one_page):
    """That page, in English, with the cat on it."""
    one_page.evaluate("speak('en')")
    answer(one_page, one_page.locator("#it [data-example=cat]").click)
    return one_page


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_shown_is_what_python_reads(one_page, tmp_path, name):
    case = CASES[name]
    path = tmp_path / case.file
    path.write_bytes(case.make())
    got = answer(one_page, lambda: give(one_page, path))
    np.testing.assert_allclose(seen_grid(one_page), got["grid"], atol=4)
    assert one_page.locator("#it .notes p").count() == len(got["notes"])


@pytest.mark.parametrize("orientation, kind", [(3, "JPEG"), (6, "JPEG"), (7, "JPEG"), (6, "PNG"), (7, "PNG")])
def test_I14_a_turned_photo_is_shown_upright(one_page, tmp_path, orientation, kind):
    """PNG has an EXIF block as well, which browsers read in different ways."""
    path = tmp_path / "turned"
    path.write_bytes(odd_pictures.turned(orientation))
    if kind == "PNG":
        with Image.open(path) as jpeg:
            jpeg.save(path, "PNG", exif=jpeg.getexif())
    got = answer(one_page, lambda: give(one_page, path))
    assert got["size"] == list(odd_pictures.photo().size)
    np.testing.assert_allclose(got["grid"], harness.grid_of(np.asarray(odd_pictures.photo())), atol=4)
    np.testing.assert_allclose(seen_grid(one_page), got["grid"], atol=4)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_file_leaves_the_picture_before_it(one_page, tmp_path, name):
    case = CASES[name]
    before = answer(one_page, one_page.locator("#it [data-example=cat]").click)
    shown = one_page.locator("#it .stage img").get_attribute("src")
    path = tmp_path / case.file
    path.write_bytes(case.make())
    give(one_page, path)
    one_page.wait_for_function("document.querySelector('#it .told').getAttribute('role') === 'alert'")
    assert case.says in one_page.locator("#it .told").inner_text()
    assert str(tmp_path) not in one_page.content() and "Error" not in one_page.locator("#it .told").inner_text()
    assert one_page.locator("#it .stage img").get_attribute("src") == shown
    assert answer(one_page, one_page.locator("#go").click) == before


@pytest.mark.parametrize("name", [name for name in odd_pictures.NAMES if len(name) > 100 or "/" in name or "<" in name])
def test_I24_the_name_of_a_file_does_not_matter(one_page, name):
    file = {"name": name, "mimeType": "image/png", "buffer": odd_pictures.plain()}
    got = answer(one_page, lambda: one_page.locator("#it input[type=file]").set_input_files(files=file))
    assert got["size"] == list(odd_pictures.photo().size)
    assert "onerror" not in one_page.locator("#it").inner_html()


def test_a_refusal_is_told_in_both_languages_and_goes_with_the_next_picture(picture, tmp_path):
    page = picture
    (tmp_path / "cat.png").write_text("not a picture")
    give(page, tmp_path / "cat.png")
    assert "holds text" in told(page, "text")
    page.evaluate("speak('zh-CN')")
    assert re.search("[一-鿿]", told(page, "文字"))
    answer(page, page.locator("#it [data-example=coffee]").click)
    assert page.locator("#it .told").inner_text() == ""


def test_a_file_over_the_limit_is_refused_before_it_travels(picture, tmp_path):
    page = picture
    sent = []
    page.on("request", lambda request: sent.append(request.url) if "gradio_api/upload" in request.url else None)
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(21 * 2**20)
    give(page, tmp_path / "large.jpg")
    assert "21 MB" in told(page, "at most 20 MB")
    assert sent == []


def test_a_lost_connection_is_told_and_the_next_try_works(picture):
    page = picture
    page.route("**/gradio_api/upload*", lambda route: route.abort())
    give(page, odd_pictures.PHOTO)
    told(page, "did not reach the server")
    page.unroute("**/gradio_api/upload*")
    assert answer(page, lambda: give(page, TALL))["size"]


TRANSFER = """async ([url, kind]) => {
  const blob = await (await fetch(url)).blob(), files = new DataTransfer();
  files.items.add(new File([blob], "cat.jpg", { type: "image/jpeg" }));
  const options = { bubbles: true, cancelable: true, dataTransfer: files, clipboardData: files };
  if (kind === "drop") document.querySelector("#it .drop").dispatchEvent(new DragEvent("drop", options));
  else document.body.dispatchEvent(new ClipboardEvent("paste", options));
}"""


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_picture_is_dropped_or_pasted(picture, kind):
    page = picture
    thumbnail = page.locator("#it [data-example=cat] img").get_attribute("src")
    got = answer(page, lambda: page.evaluate(TRANSFER, [thumbnail, kind]))
    assert max(got["size"]) == 144


def test_something_that_is_no_file_is_told_so(picture):
    page = picture
    page.evaluate(
        "document.querySelector('#it .drop').dispatchEvent("
        "new DragEvent('drop', { bubbles: true, dataTransfer: new DataTransfer() }))"
    )
    told(page, "not a picture file")


def test_example_by_keyboard_then_remove(picture):
    page = picture
    page.locator("#it [data-example=coffee]").focus()
    got = answer(page, lambda: page.keyboard.press("Enter"))
    assert got["size"] == [600, 400]
    assert page.locator("#it [data-example=coffee]").get_attribute("aria-pressed") == "true"
    assert answer(page, page.locator("#it [data-name=remove]").click) is None
    assert page.locator("#it .stage img").is_hidden()


def test_the_last_of_quick_choices_wins(picture):
    page = picture
    for name in ("cat", "coffee", "cat", "coffee"):
        page.locator(f"#it [data-example={name}]").click()
    page.wait_for_function(
        "document.querySelector('#it [data-example=coffee]').getAttribute('aria-pressed') === 'true'"
    )
    assert answer(page, page.locator("#go").click)["size"] == [600, 400]


def test_names_are_in_the_language_and_switch_with_it(show):
    page = show("example")
    button, picture = page.locator("#it .pick"), page.locator("#it .stage img")
    assert button.inner_text() == "Another picture" and "600 × 400" in picture.get_attribute("alt")
    page.evaluate("speak('zh-CN')")
    assert button.inner_text() == "换一张图片" and "像素" in picture.get_attribute("alt")
    assert page.locator("#it [data-example=cat]").get_attribute("aria-label") == "一只猫，CC0"
    assert answer(page, page.locator("#go").click)["size"] == [600, 400]


def test_I18_a_phone_photo_is_on_screen_before_it_has_travelled(show, tmp_path):
    page = show("picture", **PHONE)
    (tmp_path / "IMG_0001.JPG").write_bytes(odd_pictures.phone_photo())
    held = []
    page.route("**/gradio_api/upload*", lambda route: held.append(route))
    give(page, tmp_path / "IMG_0001.JPG")
    page.wait_for_function("document.querySelector('#it .stage img').naturalWidth > 1000")
    told(page, "Uploading")
    while not held:
        page.wait_for_timeout(20)
    got = answer(page, lambda: held[0].continue_())
    width, height = page.evaluate("(i => [i.naturalWidth, i.naturalHeight])(document.querySelector('#it .stage img'))")
    assert got["size"] == [width, height]


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


# --- all of them ---
@pytest.mark.parametrize("name", ["picture", "example", "canvas", "crop", "heat", "film"])
def test_nothing_is_cut_at_phone_width_and_everything_has_a_name(show, name):
    page = show(name, **PHONE)
    for locale in ("en", "zh-CN"):
        page.evaluate("locale => speak(locale)", locale)
        fits_and_is_named(page)


def fits_and_is_named(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    nameless = page.evaluate(
        """() => {
          const named = e => e.getAttribute('aria-label') || (e.closest('label') || e).textContent.trim();
          const all = [...document.querySelectorAll('#it button, #it input, #it [tabindex]')];
          return all.filter(e => e.checkVisibility() && !named(e)).map(e => e.outerHTML);
        }"""
    )
    assert nameless == []


def test_no_file_of_this_test_is_left_out():
    """The harness shows every component that there is."""
    folder = Path(harness.__file__).parents[2] / "demos" / "shell" / "components"
    classes = set(
        re.findall(
            r"class (\w+)\((?:gr\.HTML|PictureInput)\)", "".join(p.read_text("utf-8") for p in folder.glob("*.py"))
        )
    )
    assert classes == {"PictureInput", "Canvas", "HeatMap", "Film"}
