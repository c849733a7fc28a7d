"""Filling a hole and the three sources of codes, as a visitor uses them, with the bundled models."""

import math

import pytest
from playwright.sync_api import expect

from demos.shell.words import say
from tests.browser.conftest import PHONE

PATIENCE_MS = 180_000  # models load
LISTEN = """() => {
  const keep = ({ detail }) => { window.board = detail && { ...detail, indices: [...detail.indices] }; };
  addEventListener("lucida-board", keep);
  dispatchEvent(new CustomEvent("lucida-board-ask"));
}"""


@pytest.fixture
def opened(visit):
    """opened(query, **options) -> page with the panel Fill a hole open; `window.board` follows the board."""

    def go(query: str = "", **options):
        page = visit(f"?tab=tokenise{query}", **options)
        page.set_default_timeout(PATIENCE_MS)
        page.locator("#tk-board canvas.grid").wait_for()
        page.evaluate(LISTEN)
        page.wait_for_function("window.board?.rows > 0")
        page.locator("#tk-panels").get_by_role("tab").nth(3).click()
        page.locator("#tk-fill-go").wait_for()
        return page

    return go


def hide_everything(page):
    page.locator("#tk-fill-hide").click()
    page.wait_for_function("window.board.hole === window.board.rows * window.board.columns")


def fill(page, *, steps: int):
    page.locator("#tk-fill-steps input[type=number]").fill(str(steps))
    page.locator("#tk-fill-go").click()
    expect(page.locator("#tk-fill-film output")).to_have_text(f"{steps} / {steps}", timeout=PATIENCE_MS)
    page.wait_for_function("window.board.hole === 0")


def scrub(page, to: int):
    page.locator("#tk-fill-film input").evaluate(f"e => {{ e.value = {to}; e.dispatchEvent(new Event('input')); }}")


def check_points_on_the_cosine(page, *, steps: int):
    """Of the curve of what is left: a point for each step, on the line of the schedule but for whole places."""
    points = page.locator("#tk-fill-film .left circle").evaluate_all(
        "all => all.map((one) => [Number(one.getAttribute('cx')), Number(one.getAttribute('cy'))])"
    )
    line = page.locator("#tk-fill-film .left path.plan").get_attribute("d").replace("L", "M").split("M")[1:]
    curve = [tuple(map(float, point.split())) for point in line]
    assert len(points) == steps
    for x, y in points:
        nearest = min(curve, key=lambda point: abs(point[0] - x))
        assert abs(nearest[1] - y) < 1


def test_a_hole_is_filled_step_by_step_scrubbed_and_undone(opened):
    page = opened()
    before, count = page.evaluate("window.board.indices"), page.evaluate("window.board.indices.length")
    hide_everything(page)
    fill(page, steps=3)
    after = page.evaluate("window.board.indices")
    assert len(after) == count and after != before
    said = page.locator("#tk-fill-film .at")
    left = [math.floor(count * math.cos(math.pi / 2 * step / 3)) for step in (1, 2)] + [0]
    for i in range(3):
        scrub(page, i)
        committed = ([count, *left][i]) - left[i]
        expect(said).to_contain_text(
            f"Step {i + 1} of 3: {committed} of {count} codes committed, {left[i]} still hidden"
        )
    check_points_on_the_cosine(page, steps=3)
    assert page.locator("#tk-fill-film .strips img").evaluate_all("all => all.every(one => one.naturalWidth > 0)")
    scrub(page, 0)
    first = page.locator("#tk-fill-film .strips img").first.get_attribute("src")
    scrub(page, 2)
    assert page.locator("#tk-fill-film .strips img").first.get_attribute("src") != first
    page.locator("#tk-board [data-name=board_undo]").click()
    page.wait_for_function("before => window.board.indices.every((each, i) => each === before[i])", arg=before)


def test_three_sources_paint_a_picture_rubbish_and_a_picture_of_the_second_stages_own_size(opened):
    page = opened()
    picture = page.evaluate("window.board.indices")
    rows = page.evaluate("window.board.rows")
    said = page.locator("#tk-source-said")
    page.locator("#tk-source-random").click()
    expect(said).to_contain_text(say("tokenise.said_random", "en"), timeout=PATIENCE_MS)
    page.wait_for_function("before => window.board.indices.some((each, i) => each !== before[i])", arg=picture)
    assert page.evaluate("window.board.rows") == rows
    page.locator("#tk-source-second_stage").click()
    expect(said).to_contain_text(say("tokenise.said_second_stage", "en"), timeout=PATIENCE_MS)
    page.wait_for_function("window.board.rows === 16 && window.board.columns === 16")
    expect(page.locator("#tk-source-status")).to_contain_text("seed")
    page.locator("#tk-source-picture").click()
    expect(said).to_contain_text(say("tokenise.said_picture", "en"), timeout=PATIENCE_MS)
    page.wait_for_function("before => window.board.indices.every((each, i) => each === before[i])", arg=picture)


def test_without_a_hole_the_page_says_what_to_do_and_a_phone_in_chinese_has_it_all(opened):
    page = opened("&lang=zh", **PHONE)
    page.locator("#tk-fill-go").click()
    expect(page.get_by_text(say("tokenise.fill_no_hole", "zh"))).to_be_visible(timeout=PATIENCE_MS)
    hide_everything(page)
    page.locator("#tk-fill-text").get_by_role("textbox").fill("红苹果")
    fill(page, steps=2)
    expect(page.locator("#tk-fill-film .at")).to_contain_text("第 2 步，共 2 步")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    widths = page.locator("#tk-fill-film .strips figure").evaluate_all("all => all.map((one) => one.offsetWidth)")
    assert min(widths) > 120


def test_cancel_ends_it_and_keeps_what_is_filled(opened):
    page = opened()
    hide_everything(page)
    page.locator("#tk-fill-steps input[type=number]").fill("64")
    page.locator("#tk-fill-go").click()
    expect(page.locator("#tk-fill-film .at")).to_contain_text("of 64", timeout=PATIENCE_MS)
    page.locator("#tk-fill-stop").click()
    expect(page.locator("#tk-fill-status")).to_contain_text(say("shell.cancelled", "en"), timeout=PATIENCE_MS)
    left = page.evaluate("window.board.hole")
    assert 0 < left < page.evaluate("window.board.rows * window.board.columns")
