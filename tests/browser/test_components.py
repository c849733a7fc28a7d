"""The picture input as a visitor meets it, on a page of its own (harness.py), and what holds for every component."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import odd_pictures
from tests.browser import harness

PHONE = {"width": 375, "height": 812}
PATIENCE_MS = 120_000
GOT = "document.querySelector('#got textarea').value"
TALL = odd_pictures.PHOTO.parent / "photographer.jpg"


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
    page.locator("#got textarea").wait_for(state="attached")
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
            r"class (\w+)\((?:Shown|gr\.HTML|PictureInput)\)",
            "".join(p.read_text("utf-8") for p in folder.glob("*.py")),
        )
    )
    bases, in_tabs = {"Shown"}, {"Starter", "FileIntake", "PictureChoice"}  # a tab's own tests use the latter
    assert classes == {"PictureInput", "Canvas", "HeatMap", "Film"} | bases | in_tabs
