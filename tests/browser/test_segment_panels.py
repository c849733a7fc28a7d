"""The panels of the tab Segment as a visitor meets them, on numbers that are known, each on a page of its own."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from demos.segment import (
    attention_views,
    ladder_panel,
    levels,
    logit_files,
    logit_views,
    threshold_panel,
)
from demos.shell.arrays import pack
from tests.browser import harness
from tests.browser.test_components import patient_page
from tests.demos.segment import hand_made

WIDE, HIGH = hand_made.SIZE[1], hand_made.SIZE[0]
CELL = 6  # pixels of the picture
PIXEL = """([selector, x, y]) => {
  const canvas = document.querySelector(selector), at = [x * canvas.width, y * canvas.height].map(Math.floor);
  return [...canvas.getContext('2d').getImageData(...at, 1, 1).data];
}"""


def packed(layer) -> dict:
    return pack(logit_views.logits(layer.masks))


def show_threshold():
    layer = hand_made.layer()
    under = logit_files.under(hand_made.picture())
    threshold_panel.Threshold(threshold_panel.value(layer, packed(layer), under), elem_id="it")


def show_ladder():
    layer = hand_made.layer(3, chosen=True)
    rungs = ladder_panel.rungs(layer.masks, "")
    rungs[1]["truth"] = {"iou": 0.875, "name": {"en": "a disc", "zh": "圆盘"}}
    value = ladder_panel.value(layer, packed(layer), logit_files.under(hand_made.picture()), rungs=rungs)
    ladder_panel.Ladder(value, elem_id="it")


def show_attention():
    made = attention_views.attention(hand_made.attention(), token=2)
    made |= {"maps": pack(made.pop("array")), "picture": logit_files.under(hand_made.picture())}
    levels.AttentionMap(made, elem_id="it")


def show_pixel():
    made = attention_views.product(hand_made.product(), token=2)
    made |= {"maps": pack(made.pop("array")), "picture": logit_files.under(hand_made.picture())}
    levels.PixelFormula(made, elem_id="it")


harness.SHOWN |= {
    "sg_threshold": show_threshold,
    "sg_ladder": show_ladder,
    "sg_attention": show_attention,
    "sg_pixel": show_pixel,
}


@pytest.fixture(scope="module")
def opened(chromium, site):
    """opened(name) -> the page with that component, one for all tests of it."""
    pages, faults = {}, []

    def go(name):
        if name not in pages:
            pages[name] = patient_page(chromium, f"{site}?show={name}")
            pages[name].on("pageerror", lambda error: faults.append(str(error)))
            pages[name].locator("#it [aria-pressed=true]").wait_for()
        pages[name].set_viewport_size({"width": 1280, "height": 900})
        pages[name].evaluate("speak('en'); scrollTo(0, 0)")
        return pages[name]

    yield go
    for page in pages.values():
        page.close()
    assert not faults


def asked(page) -> list[str]:
    """The addresses that the page asks the server for from now on."""
    requests = []
    page.on("request", lambda request: requests.append(request.url) if request.url.startswith("http") else None)
    return requests


def facts(page) -> list[str]:
    return page.locator("#it .facts dd").all_inner_texts()


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# --- enlarge.js ---
@pytest.mark.parametrize(
    "side, square, part, size",
    [
        (32, 64, (43, 64), (100, 150)),
        (64, 128, (86, 128), (172, 255)),
        (64, 128, (128, 11), (300, 26)),
        (32, 32, (32, 32), (40, 50)),
    ],
)
def test_logits_are_enlarged_as_the_library_does_it(chromium, side, square, part, size):
    """Wide, tall, and SAM 2's square, from which there is one step to the picture."""
    masks = hand_made.masks(logits=np.random.default_rng(0).normal(0, 5, (4, side, side)).astype(np.float32))
    vars(masks).update(square=square, input_size=part, size=size, valid=(side, side))
    where = logit_views.place(masks)
    given = masks.logits[1, : where["rows"], : where["columns"]].ravel().tolist()
    page = chromium.new_page()
    page.add_script_tag(content=Path(threshold_panel.__file__).with_name("enlarge.js").read_text("utf-8"))
    made = page.evaluate("([logits, place]) => [...enlarge(Float32Array.from(logits), place)]", [given, where])
    page.close()
    np.testing.assert_allclose(np.reshape(made, size), masks.enlarged(1), atol=2e-4)


# --- the threshold ---
def set_threshold(page, t: float) -> None:
    page.locator("#it .slide input").fill(str(t))
    expect(page.locator("#it .slide output")).to_have_text(f"{t:+.2f}".replace("-", "−") if t else "0.00")


def test_the_numbers_at_any_threshold_are_those_of_the_logits(opened):
    page, masks = opened("sg_threshold"), hand_made.masks()
    field, cells, requests = masks.enlarged(2), masks.part(2), asked(page)
    for t in (0, 2.5, -3.25):
        set_threshold(page, t)
        strict, loose = (cells > t + 1).sum(), (cells > t - 1).sum()
        area, moves = facts(page)[1], facts(page)[4]
        assert float(area.rstrip(" %")) == pytest.approx(100 * (field > t).mean(), abs=0.1)
        assert facts(page)[3] == f"{strict} cells / {loose} cells = {strict / loose:.3f}"
        assert float(moves.split()[1]) == pytest.approx(2 * CELL, abs=0.3)  # a slope of one logit a cell
    assert requests == []


def test_the_edge_and_its_two_neighbours_are_drawn_where_they_are(opened):
    page = opened("sg_threshold")
    set_threshold(page, 0)
    (row, column), radius = hand_made.MIDDLE, hand_made.RADII[2]

    def ink(cells_away):
        where = ["#it .contours", (column + cells_away) * CELL / WIDE, row * CELL / HIGH]
        return page.evaluate(PIXEL, where)

    page.wait_for_function(
        f"where => ({PIXEL})(where)[3] > 0", arg=["#it .contours", (column + radius) * CELL / WIDE, row * CELL / HIGH]
    )
    assert max(ink(radius)[:3]) < 80 and ink(radius)[3] > 200  # the edge is black and solid
    assert all(ink(radius + away)[3] > 100 for away in (-1, 1))
    assert ink(0)[3] == ink(radius + 0.5)[3] == ink(radius - 0.5)[3] == 0


def test_keys_the_curve_and_the_button_move_the_threshold(opened):
    page = opened("sg_threshold")
    set_threshold(page, 0)
    slide, output = page.locator("#it .slide input"), page.locator("#it .slide output")
    slide.focus()
    page.keyboard.press("ArrowRight")
    expect(output).to_have_text("+0.05")
    assert "the mask covers 16." in slide.get_attribute("aria-valuetext")
    page.locator("#it .curve").scroll_into_view_if_needed()
    box = page.locator("#it .curve svg").bounding_box()
    middle = box["y"] + 0.4 * box["height"]
    page.mouse.move(box["x"] + 0.5 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 52 / 440 * box["width"], middle)
    page.mouse.up()
    expect(output).to_have_text("−14.00")  # the left end of the axis
    expect(page.locator("#it .facts dd").nth(1)).to_have_text("100.0 %")
    page.locator("#it .zero").click()
    expect(output).to_have_text("0.00")
    expect(page.locator("#it .zero")).to_be_disabled()


def test_another_mask_is_taken_without_the_server(opened):
    page, masks = opened("sg_threshold"), hand_made.masks()
    set_threshold(page, 0)
    requests, button = asked(page), page.get_by_role("button", name="Mask 3")
    expect(page.get_by_role("button", name="Mask 2 · shown")).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#it .facts dd").nth(3)).to_contain_text(f"= {masks.stability[3]:.3f}")
    page.locator("#it .lay").focus()
    assert (
        "row 22, column 32: −" in page.locator("#it .read").inner_text()
    )  # the farthest from 0: the heat map's keys read the raw logits
    page.get_by_role("button", name="Mask 2 · shown").click()
    assert requests == []


def test_a_threshold_is_shown_on_the_stage_and_taken_by_a_button(opened):
    page, take = opened("sg_threshold"), opened("sg_threshold").locator("#it .take")
    set_threshold(page, 0)
    expect(take).to_be_disabled()
    page.evaluate("window.told = []; addEventListener('lucida-object', (event) => told.push(event.detail))")
    set_threshold(page, 1.5)
    take.click()
    assert page.evaluate("told") == [{"id": 7, "threshold": 1.5, "live": True}, {"id": 7, "threshold": 1.5}]
    page.get_by_role("button", name="Mask 1").click()
    expect(take).to_be_disabled()  # it is another mask that the result shows
    page.get_by_role("button", name="Mask 2 · shown").click()


def test_the_threshold_in_chinese_on_a_phone(opened):
    page = opened("sg_threshold")
    page.set_viewport_size({"width": 375, "height": 812})
    page.evaluate("speak('zh-CN')")
    expect(page.locator("#it .slide label")).to_contain_text("阈值")
    expect(page.get_by_role("button", name="掩码 2 · 当前显示")).to_be_visible()
    assert fits(page)
    assert page.locator("#it .curve svg").get_attribute("aria-label").startswith("每个阈值")


# --- the ladder ---
def test_a_card_says_what_the_model_says_and_what_is_true(opened):
    page = opened("sg_ladder")
    cards = page.locator("#it .card")
    assert [card.split("\n")[0] for card in cards.all_inner_texts()] == ["Mask 1", "Mask 2", "Mask 3", "Single mask"]
    second = cards.nth(1).inner_text()
    assert all(
        part in second for part in ("0.900", "0.875", "with: a disc", "0.513", "16 %", "100 % of it lies in Mask 3")
    )
    assert "True IoU" not in cards.nth(0).inner_text()
    expect(cards.nth(2)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#it .why")).to_have_text("Shown: Mask 3, because you chose it.")


def test_the_masks_are_drawn_in_their_places(opened):
    page = opened("sg_ladder")
    (row, column), radii = hand_made.MIDDLE, (3, 6, 9, 7)
    for i, radius in enumerate(radii, start=1):
        for away, inside in ((radius - 1, True), (radius + 1, False)):
            where = [f"#it .card:nth-child({i}) canvas", (column + away) * CELL / WIDE, row * CELL / HIGH]
            red, _, blue, _ = page.evaluate(PIXEL, where)
            assert (red - blue > 60) == inside, (i, away)


def test_choosing_a_card_tells_the_stage(opened):
    page = opened("sg_ladder")
    page.evaluate("window.told = []; addEventListener('lucida-object', (event) => told.push(event.detail))")
    page.locator("#it .card").first.focus()
    page.keyboard.press("Enter")
    page.locator("#it .again").click()
    assert page.evaluate("told") == [{"token": 1, "id": 7}, {"token": None, "id": 7}]


def test_the_ladder_in_chinese_on_a_phone(opened):
    page = opened("sg_ladder")
    page.set_viewport_size({"width": 375, "height": 812})
    page.evaluate("speak('zh-CN')")
    expect(page.locator("#it .card").nth(1)).to_contain_text("对照：圆盘")
    assert fits(page)
    tops = [page.locator("#it .card").nth(i).bounding_box()["y"] for i in range(4)]
    assert tops[0] == tops[1] < tops[2] == tops[3]


# --- where the decoder looks ---
def strongest(page) -> str:
    """What the heat map's keys read out first: the cell with the largest value."""
    page.evaluate("document.activeElement.blur()")
    page.locator("#it .lay").focus()
    return page.locator("#it .read").inner_text()


def test_layer_head_and_token_are_chosen_without_the_server(opened):
    page = opened("sg_attention")
    requests, said = asked(page), page.locator("#it .own .said")
    expect(page.get_by_role("button", name="Mask 2")).to_have_attribute("aria-pressed", "true")
    assert strongest(page) == "row 2, column 4: 0.5"  # the final layer, the mean of its two heads
    page.locator("#it .head").select_option(index=2)  # by its place: "1" is the first one's label
    assert strongest(page) == "row 2, column 5: 1"
    page.locator("#it .layer").select_option(value="0")
    assert strongest(page) == "row 1, column 5: 1"
    page.get_by_role("button", name="Click 1 (+)").click()
    assert strongest(page) == "row 1, column 7: 1"
    expect(said).to_contain_text("100.0 % of this attention lies on the picture")
    page.get_by_role("button", name="Padding (no box)").click()
    expect(said).to_contain_text("0.0 % of this attention lies on the picture")
    page.get_by_role("button", name="Mask 2").click()
    page.locator("#it .layer").select_option(value="1")
    page.locator("#it .head").select_option(value="all")
    assert requests == []


def test_the_marks_lie_on_the_map_where_they_were_set(opened):
    page = opened("sg_attention")
    plate, plus = (page.locator(f"#it {name}").bounding_box() for name in (".plate", ".marks .plus"))
    middle = [plus["x"] + plus["width"] / 2 - plate["x"], plus["y"] + plus["height"] / 2 - plate["y"]]
    assert middle == pytest.approx([90.5 / WIDE * plate["width"], 60.5 / HIGH * plate["height"]], abs=1)


def test_attention_in_chinese_on_a_phone(opened):
    page = opened("sg_attention")
    page.set_viewport_size({"width": 375, "height": 812})
    page.evaluate("speak('zh-CN')")
    expect(page.get_by_role("button", name="点击 1（+）")).to_be_visible()
    assert page.locator("#it .layer option").all_inner_texts() == ["双向层 1", "最后的注意力"]
    assert fits(page)


# --- a logit as a product ---
def pointed(page, row: int, column: int) -> None:
    box = page.locator("#it .plate").bounding_box()
    scale = box["width"] / WIDE
    page.mouse.move(box["x"] + (column + 0.5) * CELL * scale, box["y"] + (row + 0.5) * CELL * scale)


def test_the_product_follows_the_pointer_and_the_keys(opened):
    page = opened("sg_pixel")
    requests, said, terms = asked(page), page.locator("#it .sum .said"), page.locator("#it .terms > span:not(.head)")
    expect(said).to_contain_text("5.29 is above 0")  # under the click: 6 - sqrt(1/2)
    pointed(page, 10, 21)
    expect(said).to_contain_text("−0.52 is not above 0")  # 6 - hypot(0.5, 6.5)
    assert terms.all_inner_texts()[:10] == ["1", "6.00", "1.00", "6.00", "", "2", "1.00", "−6.52", "−6.52", ""]
    page.mouse.move(1, 1)
    expect(said).to_contain_text("−0.52")  # it stays when the pointer leaves
    page.locator("#it .lay").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#it .formula")).to_contain_text("at cell (31, 20)")  # from the largest value, one up
    assert requests == []


def test_another_token_gives_another_map(opened):
    page = opened("sg_pixel")
    pointed(page, 10, 21)
    page.get_by_role("button", name="Mask 3").click()
    pointed(page, 10, 22)
    expect(page.locator("#it .sum .said")).to_contain_text("1.48 is above 0")  # 9 - hypot(0.5, 7.5)
    expect(page.locator("#it .read")).to_contain_text(": 1.48")  # the map is the product too
    page.get_by_role("button", name="Mask 2 · shown").click()


def test_the_product_in_chinese_on_a_phone(opened):
    page = opened("sg_pixel")
    page.set_viewport_size({"width": 375, "height": 812})
    page.evaluate("speak('zh-CN')")
    expect(page.locator("#it .sum .said")).to_contain_text("换算成概率")
    assert fits(page)
