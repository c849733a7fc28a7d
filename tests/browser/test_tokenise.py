"""The tokenise tab as a visitor meets it: the real app with its bundled models, in a real browser."""

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from demos.tokenise import examples
from pipelines.tokenise import container
from tests.browser.conftest import PHONE

PATIENCE_MS = 180_000  # for the first computation, which loads the models on a busy machine
LISTEN = """() => {
  addEventListener('lucida-board', ({ detail }) => {
    window.board = detail && { ...detail, indices: [...detail.indices] };
  });
  addEventListener('lucida-decoded', ({ detail }) => { window.answered = detail?.serial; });
  dispatchEvent(new CustomEvent('lucida-board-ask'));
}"""


class Tab:
    """The tab's page."""

    def __init__(self, page):
        self.page = page
        page.locator("#tk-board canvas.grid").wait_for()
        page.evaluate(LISTEN)
        self.wait("window.board")

    def wait(self, condition: str) -> None:
        self.page.wait_for_function(condition, timeout=PATIENCE_MS)

    def board(self) -> dict:
        return self.page.evaluate("window.board")

    def another(self, act) -> None:
        """Do something that puts another grid on the board, and wait for it and for its figures."""
        self.page.evaluate("document.querySelector('#tk-card').dataset.seen = window.board?.name || ''")
        card = self.page.locator("#tk-card").inner_html()
        act()
        self.wait("window.board && window.board.name !== document.querySelector('#tk-card').dataset.seen")
        self.page.wait_for_function(
            "before => document.querySelector('#tk-card').innerHTML !== before", arg=card, timeout=PATIENCE_MS
        )

    def see(self, name: str) -> None:
        self.page.locator(f"#tk-board [data-name=view_{name}]").click()

    def tool(self, name: str) -> None:
        self.page.locator(f"#tk-board [data-name=board_{name}]").click()

    def spot(self, row: float, column: float) -> tuple[float, float]:
        """Where on screen the middle of a cell is."""
        sheet, board = self.page.locator("#tk-board .sheet"), self.board()
        sheet.scroll_into_view_if_needed()
        box = sheet.bounding_box()
        side = box["width"] / (self.page.evaluate("() => window.wide") or board["columns"])
        return box["x"] + (column + 0.5) * side, box["y"] + (row + 0.5) * side

    def drag(self, *cells: tuple[int, int]) -> None:
        self.page.mouse.move(*self.spot(*cells[0]))
        self.page.mouse.down()
        for cell in cells[1:]:
            self.page.mouse.move(*self.spot(*cell))
        self.page.mouse.up()

    def decoded(self) -> None:
        """Wait until the newest edit has been decoded."""
        self.wait("window.board && window.answered === window.board.serial")

    def saved(self, kind: str) -> bytes:
        with self.page.expect_download(timeout=PATIENCE_MS) as waiting:
            self.page.locator(f"#tk-save-{kind}").click()
        return waiting.value.path().read_bytes()


@pytest.fixture
def tab(visit):
    return Tab(visit("?tab=tokenise&lang=en"))


def example(tab: Tab, name: str) -> None:
    tab.another(lambda: tab.page.locator(f"#tk-picture [data-example={name}]").click())


def test_it_opens_with_a_finished_result(tab):
    page = tab.page
    expect(page.locator("#tk-provenance .lucida-stored")).to_be_visible()
    expect(page.locator("#tk-card")).to_contain_text("dB")
    assert page.locator("#tk-rivals button").count() == 4
    page.locator("#switch").click()
    expect(page.locator("#tk-save-png")).to_have_text("图片（PNG）")
    expect(page.locator("#tk-rivals .about")).to_contain_text("同一张图片")


def test_a_picture_is_reconstructed_edited_and_kept(tab):
    page = tab.page
    example(tab, "coffee")
    expect(page.locator("#tk-provenance .lucida-live")).to_be_visible()
    page.wait_for_function("document.querySelectorAll('#tk-rivals button').length === 4", timeout=PATIENCE_MS)
    begun = tab.board()
    whole = np.asarray(Image.open(io.BytesIO(tab.saved("png"))))
    tab.tool("look")
    page.mouse.click(*tab.spot(2, 2))
    tab.wait("window.board.selected")
    tab.tool("paint")
    tab.drag((6, 6), (6, 9))
    tab.decoded()
    now = tab.board()
    code = begun["indices"][2 * begun["columns"] + 2]
    assert [now["indices"][6 * begun["columns"] + column] for column in (6, 7, 8, 9)] == [code] * 4
    expect(page.locator("#tk-card .tk-warn")).to_be_visible(timeout=PATIENCE_MS)
    file = container.unpack(tab.saved("vq"))
    assert file.indices.ravel().tolist() == now["indices"]
    edited = np.asarray(Image.open(io.BytesIO(tab.saved("png"))))
    changed = np.argwhere((whole != edited).any(axis=2))
    cell = file.cell
    assert edited.shape == whole.shape and len(changed)
    assert ((changed // cell) == (6, 7)).all(axis=1).any()  # where it was painted, and perhaps around
    linked(tab, now)


def linked(tab: Tab, now: dict) -> None:
    """The link of the edited grid opens on that grid."""
    page = tab.page
    page.wait_for_function("document.querySelector('#tk-card .tk-warn')")
    page.locator(".lucida-link-button:visible").click()
    page.wait_for_function("location.search.includes('changes=')")
    page.goto(page.url)
    again = Tab.__new__(Tab)
    again.page = page
    page.locator("#tk-board").wait_for()
    page.evaluate(LISTEN)
    again.wait(f"JSON.stringify(window.board?.indices) === '{str(now['indices']).replace(' ', '')}'")


def test_a_hole_is_filled_by_the_second_stage(tab):
    page = tab.page
    begun = tab.board()
    page.locator("#tk-panels [role=tab]", has_text="Fill a hole").click()
    tab.tool("hole")
    tab.drag((3, 3), (3, 6))
    tab.wait("window.board.hole > 0")
    hidden = tab.board()["hole"]
    page.locator("#tk-fill-go").click()
    tab.wait("window.board.hole === 0")
    now = tab.board()
    changed = [place for place, (a, b) in enumerate(zip(begun["indices"], now["indices"], strict=True)) if a != b]
    assert 0 < len(changed) <= hidden
    expect(page.locator("#tk-card .tk-warn")).to_be_visible(timeout=PATIENCE_MS)


def test_codes_alone_are_not_enough(tab):
    page = tab.page
    tab.another(lambda: page.locator("#tk-source-random").click())
    assert len(set(tab.board()["indices"])) > 1
    expect(page.locator("#tk-card")).not_to_contain_text("dB")
    expect(page.locator("#tk-rivals button")).to_have_count(0, timeout=PATIENCE_MS)
    tab.another(lambda: page.locator("#tk-source-picture").click())
    expect(page.locator("#tk-card")).to_contain_text("dB", timeout=PATIENCE_MS)


def test_sizes_and_a_file_that_is_dropped_again(tab, tmp_path):
    page = tab.page
    tab.another(lambda: page.locator("#tk-size label", has_text="128 px").click())
    small = tab.board()
    assert max(small["rows"], small["columns"]) * small["cell"] == 128
    path = tmp_path / "kept.vq"
    path.write_bytes(tab.saved("vq"))
    tab.another(lambda: page.locator("#tk-file input[type=file]").set_input_files(path))
    assert tab.board()["indices"] == small["indices"]
    expect(page.locator("#tk-source-said")).to_contain_text("file", timeout=PATIENCE_MS)
    path.write_bytes(path.read_bytes()[:-5])
    page.locator("#tk-file input[type=file]").set_input_files(path)
    expect(page.locator(".toast-body.error")).to_contain_text(".vq", timeout=PATIENCE_MS)


def test_on_a_phone_it_fits(visit):
    page = visit("?tab=tokenise&lang=zh", **PHONE)
    page.locator("#tk-board canvas.grid").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.locator("#tk-board canvas.grid").bounding_box()["width"] >= 320
    example_row = page.locator("#tk-picture .offers button")
    assert example_row.count() == len(examples.offered())
