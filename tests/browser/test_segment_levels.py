"""Ladder, threshold and levels in the real app, on an example whose objects are known to the pixel."""

import json
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from demos.segment import truth
from pipelines.segment.clicks import deepest
from tests.browser.test_components import patient_page
from tests.browser.test_segment import click, live, on_screen
from tests.browser.test_segment_panels import asked

PATIENCE_MS = 120_000


@pytest.fixture(scope="module")
def page(chromium, app_server):
    """Breakfast on the grass with a click on the coffee: one visit for all, the tests go on from each other's page."""
    x, y, _ = deepest(known("coffee"))
    objects = {"objects": [{"id": 1, "marks": [{"kind": "point", "x": x, "y": y, "label": 1}]}], "active": 0}
    query = urlencode({"tab": "segment", "lang": "en", "example": "breakfast", "objects": json.dumps(objects)})
    page = patient_page(chromium, f"{app_server.url}?{query}")
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    on_screen(page)
    live(page)
    page.locator("#sg-ladder .bar.true").first.wait_for()
    expect.set_options(timeout=PATIENCE_MS)  # each answer takes the model
    yield page
    expect.set_options(timeout=5_000)
    page.close()
    assert not faults


def known(name: str):
    """(H, W) bool: an object of the example."""
    return next(one.mask for one in truth.of("breakfast") if one.name["en"] == name)


def middle(name: str) -> tuple[float, float]:
    """The deepest point of a known object, as shares of the picture's width and height."""
    mask = known(name)
    x, y, _ = deepest(mask)
    return (x + 0.5) / mask.shape[1], (y + 0.5) / mask.shape[0]


def test_each_mask_has_its_true_iou_and_another_can_be_chosen(page):
    cards = page.locator("#sg-ladder .card")
    expect(page.locator("#sg-ladder .bar.true")).to_have_count(4)
    other = page.locator("#sg-ladder .card[aria-pressed=false]").first
    token = other.get_attribute("data-token")
    other.click()
    expect(page.locator(f"#sg-ladder .card[data-token='{token}']")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#sg-ladder .why")).to_contain_text("because you chose it")
    page.locator("#sg-ladder .again").click()
    expect(page.locator("#sg-ladder .why")).to_contain_text("highest predicted IoU")
    assert cards.count() == 4


def test_each_click_adds_its_spread(page):
    expect(page.locator("#sg-spread")).to_contain_text("Spread after mark 1")
    click(page, *middle("spoon"))
    expect(page.locator("#sg-spread")).to_contain_text("Spread after mark 2")
    expect(page.locator("#sg-spread .sg-chart .sg-dot")).to_have_count(2)


def test_a_threshold_that_is_taken_is_that_of_the_result(page):
    page.locator("#sg-panels").get_by_role("tab", name="Threshold").click()
    panel = page.locator("#sg-threshold")
    panel.locator(".slide input").fill("-1")
    panel.locator(".take").click()
    expect(panel.locator(".facts dd").first).to_have_text("−1.00")
    expect(panel.locator(".take")).to_be_disabled()
    page.locator("#sg-panels").get_by_role("tab", name="Ambiguity").click()


def test_blocks_and_numbers_are_worked_out_when_they_are_looked_at(page):
    levels_of = page.locator("#levels-segment .lucida-levels label")
    levels_of.nth(1).click()
    expect(page.get_by_role("button", name="Click 2 (+)")).to_be_visible()
    expect(page.locator("#sg-blocks")).to_contain_text("Hyper-networks")
    expect(page.locator("#sg-colours img")).to_have_count(2)
    levels_of.nth(2).click()
    page.locator("#sg-pixel .terms .bar").first.wait_for()
    expect(page.locator("#sg-pixel .terms .bar")).to_have_count(12)
    expect(page.locator("#sg-places tbody tr")).to_have_count(2)
    requests = asked(page)
    page.locator("#sg-pixel .lay").focus()
    before = page.locator("#sg-pixel .formula").inner_text()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#sg-pixel .formula")).not_to_have_text(before)
    assert requests == []
