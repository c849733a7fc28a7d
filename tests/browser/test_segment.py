"""The segment tab as a visitor meets it: the real app with its bundled model, in a real browser."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import PHONE
from tests.conftest import REPO

EXAMPLES = REPO / "assets" / "examples"
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


def answered(page) -> str:
    """How many answers the decoder's clock counts."""
    return page.locator("#sg-clocks").inner_text()


def click(page, x: float, y: float) -> None:
    """Mark a point, and wait for the answer."""
    page.locator("#sg-stage [data-name=point]").click()
    before = answered(page)
    page.mouse.click(*place(page, x, y))
    page.wait_for_function("before => document.querySelector('#sg-clocks').innerText !== before", arg=before)
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


def test_the_tab_opens_finished_and_goes_on_live(visit):
    page = visit("?tab=segment")
    on_screen(page)
    expect(page.locator("#sg-provenance .lucida-stored")).to_be_visible()
    expect(page.locator("#sg-cut-out img")).to_be_visible()
    page.wait_for_function(f"({FILLED})() > 0")
    click(page, 0.7, 0.6)
    expect(page.locator("#sg-card")).to_contain_text("Object 1")
    expect(page.locator("#sg-cut-out img")).to_be_visible()
    mask = np.asarray(Image.open(downloaded(page, "mask")))
    with Image.open(EXAMPLES / "cat.jpg") as picture:
        assert mask.shape == picture.size[::-1] and 0 < (mask > 0).mean() < 1
    page.locator("#switch").click()
    expect(page.locator("#sg-card")).to_contain_text("对象 1")
    expect(page.locator("#sg-save-cut_out")).to_have_text("抠图（PNG）")


def test_the_mask_follows_the_finger_while_the_encoder_stands_still(visit):
    page = visit("?tab=segment")
    on_screen(page)
    click(page, 0.5, 0.5)
    encoder = page.locator("#sg-clocks").inner_text().split("\n")[1]
    page.locator("#sg-stage [data-name=finger]").click()
    seen = set()
    page.mouse.move(*place(page, 0.3, 0.5))
    page.mouse.down()
    for step in range(1, 4):
        before = answered(page)
        page.mouse.move(*place(page, 0.3 + 0.1 * step, 0.5))
        page.wait_for_function("before => document.querySelector('#sg-clocks').innerText !== before", arg=before)
        seen.add(page.evaluate(FILLED))
    page.mouse.up()
    assert len(seen) > 1 and 0 not in seen
    assert page.locator("#sg-clocks").inner_text().split("\n")[1] == encoder
    live(page)


def test_several_objects_go_into_one_coco_file_and_into_a_link(visit, opener):
    page = visit("?tab=segment")
    on_screen(page)
    click(page, 0.4, 0.5)
    page.locator("#sg-stage .name").fill("<b>cat")
    page.locator("#sg-stage .name").press("Enter")
    expect(page.locator("#sg-card h3")).to_have_text("<b>cat")
    page.locator("#sg-stage [data-name=object_add]").click()
    expect(page.locator("#sg-card")).to_contain_text("Nothing is marked yet")
    click(page, 0.8, 0.2)
    found = json.loads(downloaded(page, "coco").read_text("utf-8"))
    assert [one["name"] for one in found["categories"]] == ["<b>cat", "Object 2"]
    page.locator(".lucida-link-button").click()
    page.wait_for_function("location.search.includes('objects=')")
    assert "example=cat" in page.url
    other = opener(page.url)
    other.locator("#sg-provenance .lucida-live").wait_for(timeout=PATIENCE_MS)
    assert (
        other.locator("#sg-card").inner_text().split("\n")[:4] == page.locator("#sg-card").inner_text().split("\n")[:4]
    )
    assert other.locator("#sg-stage .list button").count() == 2


def test_S01_two_visitors_have_two_pictures(visit):
    pages = [visit("?tab=segment") for _ in range(2)]
    for page, name in zip(pages, ("coffee", "butterfly"), strict=True):
        on_screen(page)
        example(page, name)
    for page in pages:
        click(page, 0.5, 0.5)
    for page, name in zip(pages, ("coffee.jpg", "butterfly.png"), strict=True):
        with Image.open(EXAMPLES / name) as picture:
            assert np.asarray(Image.open(downloaded(page, "mask"))).shape == picture.size[::-1]


def test_G08_a_picture_that_replaces_another_gets_none_of_its_masks(visit):
    page = visit("?tab=segment")
    on_screen(page)
    page.locator("#sg-stage [data-name=point]").click()
    page.mouse.click(*place(page, 0.5, 0.5))
    example(page, "coins")
    expect(page.locator("#sg-card")).to_contain_text("Nothing is marked yet", timeout=PATIENCE_MS)
    assert page.evaluate(FILLED) == 0
    click(page, 0.5, 0.5)
    with Image.open(EXAMPLES / "coins.jpg") as picture:
        assert np.asarray(Image.open(downloaded(page, "mask"))).shape == picture.size[::-1]
    page.locator("#sg-stage [data-name=remove]").click()
    page.locator("#sg-save-mask").click()
    expect(page.locator(".toast-body")).to_contain_text("There is no picture yet")


def test_a_cut_out_is_named_and_its_mask_goes_with_the_picture(visit):
    page = visit("?tab=segment")
    on_screen(page)
    page.locator("#sg-name-cut-out").click()
    page.locator("#tab-zero_shot #zs-provenance .lucida-live").wait_for(timeout=PATIENCE_MS)
    expect(page.locator("#zs-picture .intake [data-name=remove]")).to_be_visible()
    page.get_by_role("tab", name="Segment").click()
    page.locator("#sg-send-mask").click()
    page.wait_for_function(
        """() => ['#ti-start', '#ti-mask'].every(id => document.querySelector(id + ' img')?.naturalWidth > 0)""",
        timeout=PATIENCE_MS,
    )


def test_forged_settings_of_a_link_are_left_out_one_by_one(visit):
    page = visit('?tab=segment&example=cat&objects={"objects":[{"marks":[{"kind":"point","x":1e9,"y":0}]}]}&model=x')
    on_screen(page)
    expect(page.locator(".lucida-notes")).to_contain_text(re.compile("objects.*model|model.*objects"))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_nothing_is_wider_than_a_phone(visit, lang):
    page = visit(f"?tab=segment&lang={lang}", **PHONE)
    on_screen(page)
    for level in range(3):
        page.locator(".lucida-levels input").nth(level).check()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator(".lucida-levels input").first.check()
    tabs = page.locator("#sg-panels > .tab-wrapper button[role=tab]")
    for i in range(tabs.count()):
        tabs.nth(i).click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
