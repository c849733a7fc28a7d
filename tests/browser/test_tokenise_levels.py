"""Blocks, Numbers and the loss panel of Tokenise in the real app, on its first example and the bundled model."""

import pytest
from playwright.sync_api import expect

from demos.shell.words import say
from tests.browser.test_components import patient_page
from tests.browser.test_segment_panels import asked

PATIENCE_MS = 120_000
HEARD = """() => {
  window.heard = null;
  addEventListener("lucida-board", ({ detail }) => { window.heard = detail.selected; });
}"""


@pytest.fixture(scope="module")
def page(chromium, app_server):
    """One visit for all: the tests go on from each other's page."""
    page = patient_page(chromium, f"{app_server.url}?tab=tokenise&lang=en&example=cat&size=128")
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.locator("#tk-provenance .lucida-live").wait_for(timeout=PATIENCE_MS)
    page.evaluate(HEARD)
    expect.set_options(timeout=PATIENCE_MS)  # each answer takes the model
    yield page
    expect.set_options(timeout=5_000)
    page.close()
    assert not faults


def level(page, n: int) -> None:
    page.locator("#levels-tokenise .lucida-levels label").nth(n).click()


def place(title: str) -> tuple[int, int]:
    """Row and column, from 0, that the cell's title names."""
    row, column = title.removeprefix("Row ").split(":")[0].split(", column ")
    return int(row) - 1, int(column) - 1


def test_blocks_show_the_parts_and_the_cells_as_colours(page):
    level(page, 1)
    parts = page.locator("#tk-blocks")
    expect(parts).to_contain_text("Nearest code")
    expect(parts.locator("tbody tr")).to_have_count(14)
    expect(page.locator("#tk-colours img")).to_have_count(3)
    assert all(page.locator("#tk-colours img").evaluate_all("images => images.map((one) => one.naturalWidth > 0)"))
    right = parts.locator("td.n").first.evaluate("cell => getComputedStyle(cell).textAlign")
    assert right == "right"


def test_numbers_follow_the_pointers_cell_without_the_server(page):
    level(page, 2)
    numbers = page.locator("#tk-quantiser")
    expect(numbers.locator(".best .won")).to_have_count(1)
    expect(numbers.locator(".best li")).to_have_count(9)
    expect(page.locator("#tk-numbers")).to_contain_text("commitment loss")
    requests, before = asked(page), place(numbers.locator(".title").inner_text())
    numbers.locator(".lay").focus()  # on the cell of the largest error, where it began
    page.keyboard.press("ArrowDown" if before[0] == 0 else "ArrowUp")
    expect(numbers.locator(".title")).not_to_contain_text(f"Row {before[0] + 1},")
    after = place(numbers.locator(".title").inner_text())
    assert abs(after[0] - before[0]) == 1 and after[1] == before[1]
    assert requests == []


def test_the_cell_and_the_boards_pick_are_one(page):
    numbers = page.locator("#tk-quantiser")
    lay = numbers.locator(".lay")
    frame = lay.bounding_box()
    lay.click(position={"x": frame["width"] * 0.4, "y": frame["height"] * 0.5})
    chosen = place(numbers.locator(".title").inner_text())
    page.wait_for_function("([row, column]) => String(window.heard) === row + ',' + column", arg=list(chosen))
    page.evaluate("dispatchEvent(new CustomEvent('lucida-board-pick', { detail: { row: 2, column: 3 } }))")
    expect(numbers.locator(".title")).to_contain_text("Row 3, column 4:")


def test_the_numbers_of_a_cell_agree_with_one_another(page):
    """The distance is that of the table's rows, the commitment loss a quarter of it."""
    numbers = page.locator("#tk-quantiser")
    cells = [text.replace("−", "-") for text in numbers.locator(".vectors span:not(.head)").all_inner_texts()]
    rows = [list(map(float, cells[i : i + 5])) for i in range(0, len(cells), 5)]
    assert len(rows) == 8
    assert all(abs(z + step - e) < 2e-3 and abs(straight - e) < 2e-3 for _, z, e, step, straight in rows)
    distance = float(numbers.locator(".best .won .n").inner_text())
    assert sum(step * step for *_, step, _ in rows) == pytest.approx(distance, rel=0.02, abs=2e-3)
    commitment = numbers.locator(".commitment").inner_text().rsplit("= ", 1)[1]
    assert float(commitment) == pytest.approx(distance / 4, rel=2e-3)


def test_the_loss_panel_shows_three_pictures_at_one_zoom_and_both_errors(page):
    page.locator("#tk-panels").get_by_role("tab", name=say("tokenise.panel_loss", "en")).click()
    panel = page.locator("#tk-loss")
    panel.locator(".three").wait_for()
    expect(panel.locator("figcaption").nth(2)).to_contain_text("dB")
    expect(page.locator("#tk-loss-said tbody tr")).to_have_count(4)
    ticks = [page.locator(f"#tk-loss-{name} .ticks").inner_text() for name in ("unquantised", "quantised")]
    assert ticks[0] == ticks[1]
    plate = panel.locator(".plate").nth(1)
    frame = plate.bounding_box()
    plate.click(position={"x": frame["width"] * 0.75, "y": frame["height"] * 0.5})
    expect(panel.locator("input")).to_have_value("4")
    moved = panel.locator("img").evaluate_all("images => images.map((one) => one.style.transform)")
    assert len(set(moved)) == 1 and "scale(4)" in moved[0]
    plate.focus()
    page.keyboard.press("ArrowLeft")
    again = panel.locator("img").evaluate_all("images => images.map((one) => one.style.transform)")
    assert len(set(again)) == 1 and again[0] != moved[0]


def test_a_link_to_a_level_opens_it_with_its_numbers(opener, app_server):
    opened = opener(f"{app_server.url}?tab=tokenise&lang=en&level=numbers")
    expect(opened.locator("#tk-quantiser .best .won")).to_have_count(1)


def test_another_size_is_another_answer_everywhere(page):
    before = page.locator("#tk-loss img").first.get_attribute("src")
    title = page.locator("#tk-numbers p").first.inner_text()
    page.locator("#tk-size").get_by_text("256 px", exact=True).click()
    expect(page.locator("#tk-numbers p").first).not_to_have_text(title)
    page.locator("#tk-loss").scroll_into_view_if_needed()  # it is worked out when it is in view
    expect(page.locator("#tk-loss img").first).not_to_have_attribute("src", before)
