"""The segment tab as a visitor meets it: the real app with its bundled model, in a real browser."""

import json
import re

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from demos.segment import examples
from tests.browser.conftest import PHONE

FIRST = examples.offered()[0].id
PATIENCE_MS = 120_000  # for the first computation, which loads the model on a busy machine
FILLED = """() => {
  const sheet = document.querySelector('#sg-stage .fills');
  const { data } = sheet.getContext('2d').getImageData(0, 0, sheet.width, sheet.height);
  let sum = 0;
  for (let i = 3; i < data.length; i += 4) sum += data[i] > 0;
  return sum;
}"""


def on_screen(page) -> None:
    """Wait until the stage shows its picture."""
    page.wait_for_function("document.querySelector('#sg-stage .sheet img')?.naturalWidth > 0", timeout=PATIENCE_MS)


def place(page, x: float, y: float) -> tuple[float, float]:
    """Where a share of the picture's width and height lies in the window."""
    page.locator("#sg-stage canvas:not(.fills)").last.scroll_into_view_if_needed()
    frame = page.locator("#sg-stage .sheet img").bounding_box()
    return frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]


def answers(page) -> str:
    """How often the decoder has answered on this page."""
    return page.locator("#sg-clocks .decoder").get_attribute("data-answers")


def wait_for_another(page, before: str) -> None:
    """Wait until the decoder has answered once more, and the mask is drawn."""
    page.wait_for_function(
        "before => document.querySelector('#sg-clocks .decoder').dataset.answers !== before",
        arg=before,
        timeout=PATIENCE_MS,
    )
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def take(page, tool: str) -> None:
    """Choose a tool of the stage; its button would put it away where it is chosen already."""
    button = page.locator(f"#sg-stage [data-name={tool}]")
    if button.get_attribute("aria-pressed") != "true":
        button.click()


def click(page, x: float, y: float) -> None:
    """Mark a point, and wait for the answer."""
    take(page, "point")
    before = answers(page)
    page.mouse.click(*place(page, x, y))
    wait_for_another(page, before)
    live(page)


def live(page) -> None:
    page.locator("#sg-provenance .lucida-live").wait_for(timeout=PATIENCE_MS)


def example(page, name: str) -> None:
    """Choose an example, and wait until the encoder has read it."""
    page.locator(f"#sg-stage .offers [data-example={name}]").click()
    page.wait_for_function(
        "name => document.querySelector(`#sg-stage [data-example=${name}]`).ariaPressed === 'true'", arg=name
    )
    on_screen(page)
    live(page)


def downloaded(page, kind: str):
    """The file behind one of the buttons."""
    with page.expect_download(timeout=PATIENCE_MS) as waiting:
        page.locator(f"#sg-save-{kind}").click()
    return waiting.value.path()


def size_of(name: str) -> tuple[int, int]:
    """(height, width) of an example."""
    with Image.open(examples.find(name).path) as picture:
        return picture.size[::-1]


def test_the_tab_opens_finished_and_the_mask_follows_the_finger(visit):
    page = visit("?tab=segment")
    on_screen(page)
    expect(page.locator("#sg-provenance .lucida-stored")).to_be_visible()
    expect(page.locator("#sg-cut-out img")).to_be_visible()
    page.wait_for_function(f"({FILLED})() > 0")
    click(page, 0.5, 0.5)
    encoder = page.locator("#sg-clocks .encoder .ms").text_content()
    take(page, "finger")
    page.mouse.move(*place(page, 0.2, 0.5))
    page.mouse.down()
    seen = set()
    for step in range(1, 4):
        before = answers(page)
        page.mouse.move(*place(page, 0.2 + 0.2 * step, 0.5))
        wait_for_another(page, before)
        seen.add(page.evaluate(FILLED))
    page.mouse.up()
    assert len(seen) > 1 and 0 not in seen
    assert page.locator("#sg-clocks .encoder .ms").text_content() == encoder
    expect(page.locator("#sg-card h3")).to_contain_text("Object 1")
    mask = np.asarray(Image.open(downloaded(page, "mask")))
    assert mask.shape == size_of(FIRST) and 0 < (mask > 0).mean() < 1
    page.locator("#switch").click()
    expect(page.locator("#sg-card h3")).to_contain_text("对象 1")
    expect(page.locator("#sg-save-cut_out")).to_have_text("抠图（PNG）")


def test_several_objects_go_into_one_coco_file_and_into_a_link(visit, opener):
    page = visit("?tab=segment")
    on_screen(page)
    click(page, 0.4, 0.5)
    page.locator("#sg-stage .name").fill("<b>cup")
    page.locator("#sg-stage .name").press("Enter")
    expect(page.locator("#sg-card h3")).to_have_text("<b>cup")
    page.locator("#sg-stage [data-name=object_add]").click()
    expect(page.locator("#sg-card")).to_contain_text("Nothing is marked yet")
    click(page, 0.8, 0.7)
    found = json.loads(downloaded(page, "coco").read_text("utf-8"))
    assert [one["name"] for one in found["categories"]] == ["<b>cup", "Object 2"]
    page.locator(".lucida-link-button").click()
    page.wait_for_function("location.search.includes('objects=')")
    assert f"example={FIRST}" in page.url
    other = opener(page.url)
    live(other)
    numbers = [one.locator("#sg-card dd").all_text_contents()[:3] for one in (page, other)]
    assert numbers[0] == numbers[1]
    assert other.locator("#sg-stage .list button").count() == 2


def test_S01_G08_two_visitors_have_two_pictures_and_a_new_one_gets_none_of_the_old_masks(visit):
    pages = [visit("?tab=segment") for _ in range(2)]
    for page, name in zip(pages, ("coins", "rocket"), strict=True):
        on_screen(page)
        take(page, "point")
        page.mouse.click(*place(page, 0.5, 0.5))
        example(page, name)
        expect(page.locator("#sg-card")).to_contain_text("Nothing is marked yet", timeout=PATIENCE_MS)
        assert page.evaluate(FILLED) == 0
    for page in pages:
        click(page, 0.5, 0.5)
    for page, name in zip(pages, ("coins", "rocket"), strict=True):
        assert np.asarray(Image.open(downloaded(page, "mask"))).shape == size_of(name)
    pages[0].locator("#sg-stage [data-name=remove]").click()
    expect(pages[0].locator("#sg-provenance .lucida-live")).to_have_count(0)
    pages[0].locator("#sg-save-mask").click()
    expect(pages[0].locator(".toast-body")).to_contain_text("There is no picture yet")


def test_a_cut_out_is_named_and_its_mask_goes_with_the_picture(visit):
    page = visit("?tab=segment")
    on_screen(page)
    page.locator("#sg-name-cut-out").click()
    page.locator("#tab-zero_shot #zs-provenance .lucida-live").wait_for(timeout=PATIENCE_MS)
    page.get_by_role("tab", name="Segment").click()
    page.locator("#sg-send-mask").click()
    page.wait_for_function(
        """() => ['#ti-start', '#ti-mask'].every(id => document.querySelector(id + ' img')?.naturalWidth > 0)""",
        timeout=PATIENCE_MS,
    )


def test_on_a_phone_nothing_is_too_wide_and_forged_settings_are_left_out_one_by_one(visit):
    forged = '{"objects":[{"marks":[{"kind":"point","x":1e9,"y":0}]}]}'
    page = visit(f"?tab=segment&example={FIRST}&objects={forged}&model=x", **PHONE)
    on_screen(page)
    expect(page.locator(".lucida-notes")).to_contain_text(re.compile("objects.*model|model.*objects"))
    tabs = page.locator("#sg-panels > .tab-wrapper button[role=tab]")
    for _ in ("en", "zh"):
        for i in range(tabs.count()):
            tabs.nth(i).click()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for level in (1, 2, 0):
            page.locator(".lucida-levels input").nth(level).check()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#switch").click()
