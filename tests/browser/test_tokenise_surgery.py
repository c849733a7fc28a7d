"""Surgery and codebook as a visitor uses them, in a real browser, over a tiny VQModel; what the scripts count."""

import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from demos.shell.words import say
from demos.tokenise import examples, parts, surgery_panel
from pipelines.runtime.pictures import open_picture
from pipelines.tokenise import codebook, surgery
from pipelines.tokenise.code import encode
from tests.browser import surgery_page  # noqa: F401
from tests.browser.conftest import PHONE
from tests.pipelines.tokenise.conftest import make_model

COUNT = (Path(__file__).parents[2] / "demos/tokenise/codebook_count.js").read_text("utf-8")
LISTEN = """() => addEventListener("lucida-board", ({ detail }) => { window.seen = detail; })"""
BOARD = """() => window.seen && { name: seen.name, indices: [...seen.indices], serial: seen.serial, code: seen.code,
  rows: seen.rows, columns: seen.columns, selected: seen.selected, other: seen.other }"""


@pytest.fixture(scope="module")
def model():
    with pytest.MonkeyPatch.context() as patch:
        made = make_model(parts.BUNDLED)
        patch.setattr(parts, "load", lambda model_id: made)
        patch.setattr(parts, "chosen", lambda model_id: parts.BUNDLED)
        yield made


@pytest.fixture
def show(opener, site, model):
    """show(**options) -> page with the first example on the board."""

    def go(**options):
        page = opener(site + "?show=surgery", **options)
        page.locator("#open").click()
        page.wait_for_function("document.querySelector('#it canvas.grid')?.width > 300")
        page.evaluate(LISTEN)
        page.evaluate("dispatchEvent(new CustomEvent('lucida-board-ask'))")
        return page

    return go


def board(page) -> dict:
    return page.evaluate(BOARD)


def grid(page) -> np.ndarray:
    now = board(page)
    return np.array(now["indices"]).reshape(now["rows"], now["columns"])


def pick(page, row: int, column: int) -> None:
    detail = json.dumps({"row": row, "column": column})
    page.evaluate(f"dispatchEvent(new CustomEvent('lucida-board-pick', {{ detail: {detail} }}))")
    expect(page.locator("#tk-token h4")).to_contain_text(f"row {row + 1}, column {column + 1}")


def wait_for_edit(page, before: np.ndarray) -> np.ndarray:
    """The grid, once it is another."""
    page.wait_for_function(f"String([...seen.indices]) !== '{','.join(map(str, before.ravel()))}'")
    return grid(page)


def nearest(model, code: int) -> list[int]:
    vectors = surgery.codebook_of(model)
    return np.linalg.norm(vectors - vectors[code], axis=1).argsort()[1:].tolist()


# --- surgery ---


def test_a_token_is_laid_open_and_a_nearest_code_put_into_its_place(show, model):
    page = show()
    before = grid(page)
    pick(page, 4, 6)
    code = int(before[4, 6])
    expect(page.locator("#tk-token h4")).to_contain_text(f"Code {code},")
    expect(page.locator("#tk-token .uses")).to_contain_text(f"{(before == code).sum()} of the {before.size}")
    buttons = page.locator("#tk-token .codes button")
    assert buttons.evaluate_all("all => all.map(each => Number(each.dataset.code))") == nearest(model, code)[:8]
    assert page.locator("#tk-token .seen figure").count() == 3
    expect(page.locator("#tk-token .back")).to_be_hidden()
    buttons.nth(2).click()
    after = wait_for_edit(page, before)
    assert np.argwhere(after != before).tolist() == [[4, 6]]
    assert after[4, 6] == nearest(model, code)[2]
    expect(page.locator("#tk-token h4")).to_contain_text(f"Code {after[4, 6]},")
    expect(page.locator("#tk-token .fit")).to_contain_text("no longer holds the nearest code")
    page.locator("#tk-token .back button").click()  # the code that the encoder's vector is nearest to
    np.testing.assert_array_equal(wait_for_edit(page, after), before)
    expect(page.locator("#tk-token .back")).to_be_hidden()


def test_many_are_edited_as_one_step_and_the_card_follows(show):
    page = show()
    before = grid(page)
    pick(page, 0, 0)
    page.locator("#tk-shuffle").click()
    after = wait_for_edit(page, before)
    np.testing.assert_array_equal(np.sort(after, axis=None), np.sort(before, axis=None))
    expect(page.locator("#tk-surgery-status")).to_contain_text(f"{before.size} tokens, the whole grid")
    expect(page.locator("#tk-token h4")).to_contain_text(f"Code {after[0, 0]},")
    page.locator("#it [data-name=board_undo]").click()
    np.testing.assert_array_equal(wait_for_edit(page, after), before)


def test_the_slider_moves_on_from_the_same_codes_within_one_step(show, model):
    page = show()
    before = grid(page)
    slider = page.locator("#tk-kth input[type=range]")
    for k in (1, 2):
        now = grid(page)
        slider.focus()
        page.keyboard.press("ArrowRight")
        np.testing.assert_array_equal(wait_for_edit(page, now), surgery.nearest_kth(model, before.astype(np.int32), k))
        expect(page.locator("#tk-surgery-status")).to_contain_text(f"number {k} ")
    now = grid(page)
    page.locator("#it [data-name=board_undo]").click()
    np.testing.assert_array_equal(wait_for_edit(page, now), before)


def test_the_footprint_is_shown_beside_its_sentence(show):
    page = show()
    pick(page, 5, 5)
    page.locator("#tk-reach-go").click()
    expect(page.locator("#tk-reach")).to_contain_text("A token is not a patch.")
    expect(page.locator("#tk-footprint .all")).to_be_visible()
    before = grid(page)
    page.locator("#tk-other input").nth(2).check()
    page.locator("#tk-reach-go").click()
    expect(page.locator("#tk-reach")).to_contain_text("row 6, column 6")
    np.testing.assert_array_equal(grid(page), before)  # only looked at


def test_a_second_picture_is_swapped_in_and_another_first_one_clears_the_panel(show, model):
    page = show()
    before = grid(page)
    pick(page, 1, 1)
    page.locator("#tk-second [data-example=coffee]").click()
    page.wait_for_function("window.seen.other")
    expect(page.locator("#tk-second-status")).to_contain_text(f"{before.shape[0]} × {before.shape[1]} tokens")
    page.locator("#it [data-name=board_swap]").click()
    picture = open_picture(examples.find("coffee").path)
    second, _ = surgery_panel.fitted(picture, before.shape, cell=model.cell)
    np.testing.assert_array_equal(wait_for_edit(page, before), encode(model, second).indices)
    page.locator("#coffee").click()
    expect(page.locator("#tk-token .none")).to_be_visible()


# --- the codebook ---


@pytest.fixture
def count(chromium):
    """count(body, values) -> what the body returns: it sees the functions of codebook_count.js and `values`."""
    page = chromium.new_page()
    yield lambda body, values: page.evaluate(f"values => {{ {COUNT}\n{body} }}", values)
    page.close()


@pytest.mark.parametrize(("tokens", "codes"), [(1, 4), (700, 1024), (5000, 32)])
def test_the_browser_counts_as_the_pipeline_does(count, tokens, codes):
    indices = np.minimum(np.random.default_rng(tokens).geometric(0.02, tokens) - 1, codes - 1)
    values = {"indices": indices.tolist(), "codes": codes}
    found = count("const u = usage(values.indices, values.codes); return { ...u, counts: [...u.counts] };", values)
    expected = codebook.usage([indices[None]], codes)
    assert found["counts"] == expected.counts.tolist()
    assert (found["tokens"], found["used"]) == (expected.tokens, expected.used)
    assert found["perplexity"] == pytest.approx(expected.perplexity)


def test_a_sample_is_of_different_places_and_always_the_same(count):
    body = "return [sample(values, 0.25), sample(values, 0.25), sample(values, 1)];"
    quarter, again, whole = count(body, list(range(1000)))
    assert quarter == again
    assert len(set(quarter)) == 250
    assert sorted(whole) == list(range(1000))
    assert 300 < np.mean(quarter) < 700


def open_book(page) -> None:
    page.locator("#tk-codebook-go").click()
    expect(page.locator("#tk-codebook tbody tr").first.locator("td")).to_have_count(2)
    page.wait_for_function("document.querySelector('#tk-codebook .sheet canvas')?.width > 100")


def cells(page, name: str) -> list[str]:
    return page.locator(f"#tk-codebook tr[data-name=codebook_{name}] td").all_inner_texts()


def test_use_is_counted_on_the_board_and_over_the_set(show):
    page = show()
    open_book(page)
    found = codebook.usage([grid(page)], 32)
    assert cells(page, "tokens")[0] == str(found.tokens)
    assert cells(page, "used")[0] == f"{found.used} / 32"
    assert cells(page, "perplexity")[0] == f"{found.perplexity:.0f}"
    expect(page.locator("#tk-codebook .sample")).to_contain_text(f"all {found.perplexity:.0f}")
    before = grid(page)
    page.locator("#tk-scatter").click()
    even = codebook.usage([wait_for_edit(page, before)], 32)
    row = page.locator("#tk-codebook tr[data-name=codebook_perplexity] td").first
    expect(row).to_have_text(f"{even.perplexity:.0f}")  # follows the edit


def test_the_map_shows_each_code_tells_of_it_and_gives_it_to_the_brush(show, model):
    page = show()
    open_book(page)
    assert patches_shown(page, model) >= 30  # of 32: the frames lie over two of them
    canvas = page.locator("#tk-codebook .sheet canvas")
    canvas.scroll_into_view_if_needed()
    places, box = codebook.layout(model), canvas.bounding_box()
    rows, columns = places.shape
    x, y = box["x"] + box["width"] * 5.5 / columns, box["y"] + box["height"] * 2.5 / rows
    page.mouse.move(x, y)
    code = int(places[2, 5])
    expect(canvas).to_have_attribute("data-hot", str(code))
    on_board = int((grid(page) == code).sum())
    expect(page.locator("#tk-codebook .said")).to_contain_text(f"Code {code}. On the board: {on_board}.")
    page.mouse.click(x, y)
    page.wait_for_function(f"window.seen.code === {code}")
    assert page.locator("#it [data-name=board_paint]").get_attribute("aria-pressed") == "true"
    canvas.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_function(f"window.seen.code === {int(places[2, 6])}")


def patches_shown(page, model) -> int:
    """At how many places of the map the patch of the code that belongs there is seen."""
    page.locator("#tk-codebook [data-name=all]").click()
    places, patches = codebook.layout(model), surgery.patches(model, np.arange(32))
    shown = page.evaluate(
        """([rows, columns]) => {
          const canvas = document.querySelector('#tk-codebook .sheet canvas'), side = canvas.width / columns;
          const mean = (i) => {
            const pen = canvas.getContext('2d'), [x, y] = [(i % columns) * side, Math.floor(i / columns) * side];
            const { data } = pen.getImageData(x, y, side, side), sums = [0, 0, 0];
            data.forEach((value, at) => { if (at % 4 < 3) sums[at % 4] += value / (side * side); });
            return sums;
          };
          return Array.from({ length: rows * columns }, (_, i) => mean(i));
        }""",
        list(places.shape),
    )
    means = patches[places.ravel()].mean(axis=(1, 2))
    return int((np.abs(means - np.array(shown)).max(axis=1) < 8).sum())


def test_on_a_phone_in_chinese_a_tap_points_and_the_button_picks(show, model):
    page = show(**PHONE, has_touch=True, is_mobile=True)
    page.evaluate("speak('zh-CN')")
    open_book(page)
    canvas = page.locator("#tk-codebook .sheet canvas")
    canvas.scroll_into_view_if_needed()
    box, places = canvas.bounding_box(), codebook.layout(model)
    page.touchscreen.tap(
        box["x"] + box["width"] * 0.5 / places.shape[1], box["y"] + box["height"] * 0.5 / places.shape[0]
    )
    code = int(places[0, 0])
    expect(page.locator("#tk-codebook .said")).to_contain_text(say("tokenise.codebook_code", "zh", index=code))
    page.locator("#tk-codebook .acts button").click()
    page.wait_for_function(f"window.seen.code === {code}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
