"""What a test does with the board of board_page.py, and how it sees what came of it."""

import json
from collections.abc import Iterator

from tests.browser import board_page

# The colour on screen at a share of a cell, (0.5, 0.5) its middle, as the canvas holds it.
PIXEL = """([row, column, down, across, wide]) => {
  const canvas = document.querySelector('#it canvas.grid'), frame = canvas.getBoundingClientRect();
  const sheet = document.querySelector('#it .sheet').getBoundingClientRect();
  const side = sheet.width / wide * 8, density = canvas.width / frame.width;
  const x = sheet.left + (column + across) * side - frame.left, y = sheet.top + (row + down) * side - frame.top;
  const ink = canvas.getContext('2d');
  return [...ink.getImageData(Math.floor(x * density), Math.floor(y * density), 1, 1).data].slice(0, 3);
}"""
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
LISTEN = """() => {
  [window.boards, window.kept] = [[], []];
  addEventListener('lucida-board', ({ detail }) => boards.push({ ...detail, indices: null }));
  addEventListener('lucida-decoded', ({ detail }) => kept.push({ ...detail }));
}"""


class Hands:
    """A page with the board on it. size: of the picture that is shown."""

    def __init__(self, page):
        self.page = page
        self.size = (256, 256)

    def button(self, name: str):
        return self.page.locator(f"#it [data-name={name}]")

    def tool(self, name: str) -> None:
        self.button(f"board_{name}").click()

    def press(self, name: str) -> None:
        """A button of the page's own, without scrolling to it."""
        self.page.evaluate(f"document.querySelector('#{name}').click()")

    def anew(self) -> None:
        """The first grid again, and every control as it was."""
        self.page.evaluate("boards = []; scrollTo(0, 0); speak('en')")
        self.press("fresh")
        self.page.wait_for_function("boards.at(-1)?.name === 'fresh' && !document.querySelector('#got textarea').value")
        for name in ("board_paint", "board_width_1", "view_grid", "board_look"):
            self.button(name).click()
        self.page.mouse.move(1, 1)
        self.ready()
        self.page.evaluate("kept = []")  # a new grid asks for the last answer of the one before

    def ready(self) -> None:
        """Wait until the picture is on screen."""
        self.page.evaluate(FRAMES)
        self.page.wait_for_function(
            "() => { const c = document.querySelector('#it canvas.grid'); return c.width > 50 && "
            "c.getContext('2d').getImageData(9, 9, 1, 1).data[2] === 128; }"
        )

    def see(self, name: str) -> None:
        self.button(f"view_{name}").click()
        self.page.evaluate(FRAMES)

    def spot(self, row: float, column: float) -> tuple[float, float]:
        """Where on screen the middle of a cell is."""
        box = self.page.locator("#it .sheet").bounding_box()
        side = box["width"] / self.size[1] * board_page.CELL
        return box["x"] + (column + 0.5) * side, box["y"] + (row + 0.5) * side

    def click(self, row: int, column: int, **options) -> None:
        self.page.mouse.click(*self.spot(row, column), **options)

    def drag(self, *cells: tuple[int, int]) -> None:
        self.page.mouse.move(*self.spot(*cells[0]))
        self.page.mouse.down()
        for cell in cells[1:]:
            self.page.mouse.move(*self.spot(*cell))
        self.page.mouse.up()

    def wait(self, condition: str, box: str = "got") -> dict:
        """Wait until what Python got last, `v`, meets a condition in JavaScript."""
        read = f"JSON.parse(document.querySelector('#{box} textarea').value || 'null')"
        self.page.wait_for_function(f"() => {{ const v = {read}; return v && {condition}; }}")
        return json.loads(self.page.locator(f"#{box} textarea").input_value())

    def settled(self) -> None:
        """Wait until the picture on screen is that of the newest codes."""
        self.page.wait_for_function(
            "document.querySelector('#it [data-waiting], #it[data-waiting]')?.dataset.waiting === 'false'"
        )
        self.page.evaluate(FRAMES)

    def pixel(self, row: int, column: int, *, down: float = 0.5, across: float = 0.5) -> list[int]:
        return self.page.evaluate(PIXEL, [row, column, down, across, self.size[1]])

    def said(self) -> str:
        return self.page.locator("#it .place").inner_text()


def opened(page) -> Hands:
    """Hands on a page with the board that has just been opened."""
    page.locator("#it canvas.grid").wait_for()
    page.locator("#hidden textarea").wait_for()
    page.evaluate(LISTEN)
    hands = Hands(page)
    hands.ready()
    return hands


def desks(chromium, site) -> Iterator[Hands]:
    """One page for all tests that need no window of their own: opening it is what takes the time."""
    context, errors = chromium.new_context(viewport={"width": 1280, "height": 900}, locale="en-US"), []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(60_000)
    page.goto(f"{site}?show=board")
    yield opened(page)
    context.close()
    assert not errors


def shows(request, opener, site) -> Iterator:
    """show() -> the desk with a fresh grid; show(width=375, ...) -> a page of its own."""

    def show(**options) -> Hands:
        board_page.CALLS.clear()
        board_page.GATE.set()
        if options:
            return opened(opener(f"{site}?show=board", **options))
        hands = request.getfixturevalue("desk")
        hands.size = (256, 256)
        hands.anew()
        return hands

    yield show
    board_page.GATE.set()


def near(found: list[int], code: int) -> bool:
    """Whether a colour on screen is a code's, but for rounding."""
    return all(abs(a - int(b)) <= 3 for a, b in zip(found, board_page.colour(code), strict=True))
