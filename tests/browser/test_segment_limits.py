"""The Segment tab when a visitor does what cannot be done: a sentence, and what was there stays."""

import re

import pytest
from playwright.sync_api import expect

PATIENCE_MS = 120_000


@pytest.fixture
def tab(visit):
    """The tab with its stored result, the panel Everything open."""
    page = visit("?tab=segment&lang=en")
    page.set_default_timeout(PATIENCE_MS)
    page.locator("#sg-panels").get_by_role("tab", name="Everything").click()
    page.wait_for_function("document.querySelector('#sg-funnel .all')?.hidden === false")
    return page


def toast(page):
    return page.locator(".toast-body")


def test_G07_everything_without_a_picture_says_what_to_do(tab):
    tab.locator("#sg-stage").get_by_role("button", name="Remove", exact=True).click()
    expect(tab.locator("#sg-funnel .none")).to_be_visible(timeout=PATIENCE_MS)
    tab.locator("#sg-everything-go").click()
    expect(toast(tab)).to_contain_text("There is no picture yet", timeout=PATIENCE_MS)


def test_a_stored_funnel_has_no_masks_on_the_server_to_download(tab):
    tab.locator("#switch").click()
    tab.locator("#sg-everything-coco").click()
    expect(toast(tab)).to_contain_text("请先按", timeout=PATIENCE_MS)
    expect(tab.locator("#sg-funnel [data-stage=small] input")).to_be_disabled()


def test_S03_a_pass_that_is_cancelled_leaves_the_funnel_before_it(tab):
    tab.locator("#sg-everything-side label", has_text="32 × 32").first.click()
    tab.locator("#sg-everything-go").click()
    status = tab.locator("#sg-everything-status")
    expect(status).to_contain_text(re.compile(r"\d+ of 1,?024 points"), timeout=PATIENCE_MS)
    tab.locator("#sg-everything-stop").click()
    expect(status).to_contain_text("Stopped", timeout=PATIENCE_MS)
    expect(tab.locator("#sg-funnel [data-stage=grid] .left")).to_have_text("768 left")
    tab.locator("#sg-everything-side label", has_text="8 × 8").first.click()
    tab.locator("#sg-everything-go").click()
    expect(status).to_contain_text("192 masks in", timeout=PATIENCE_MS)


def test_G08_another_picture_empties_the_funnel(tab):
    tab.locator("#sg-stage .offers button").nth(1).click()
    expect(tab.locator("#sg-funnel .none")).to_be_visible(timeout=PATIENCE_MS)
    expect(toast(tab)).to_have_count(0)
