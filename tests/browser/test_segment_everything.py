"""Everything: the funnel's own script against the pipeline on the same numbers, then the panel as a visitor uses it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from pipelines.segment.everything import Thresholds, filter
from tests.demos.segment import hand_grid

REPO = Path(__file__).parents[2]
SIFT = (REPO / "demos/segment/funnel_sift.js").read_text("utf-8")
PATIENCE_MS = 120_000  # the model loads, and the stored picture is encoded
OPEN = """() => document.querySelector('#sg-funnel .all')?.hidden === false
  && document.querySelector('#sg-funnel img').naturalWidth > 0"""
GRID = 24  # 1,728 candidates


@pytest.fixture(scope="module")
def script(chromium):
    """script(body, values) -> what the body returns: it sees the functions of funnel_sift.js and `values`."""
    page = chromium.new_page()
    yield lambda body, values: page.evaluate(f"values => {{ {SIFT}\n{body} }}", values)
    page.close()


@pytest.fixture(scope="module")
def grid():
    """Candidates with equal scores, duplicates, empty masks, and scores that lie exactly on the thresholds."""
    made = hand_grid.grid(GRID)
    random = np.random.default_rng(3)
    stability = np.where(np.isnan(made.stability), np.nan, np.round(random.uniform(0.6, 1, len(made)), 2))
    return replace(made, stability=stability.astype(np.float32))


def sent(grid) -> dict:
    """The numbers of a grid as the page has them after unpacking; JSON has no NaN."""
    stability = [None if np.isnan(value) else float(value) for value in grid.stability]
    return {"count": len(grid), "iou": grid.iou.tolist(), "stability": stability, "boxes": grid.boxes.ravel().tolist()}


UNPACKED = """
  const all = { count: values.count, boxes: Float32Array.from(values.boxes), iou: Float32Array.from(values.iou),
                stability: Float32Array.from(values.stability, (v) => v ?? NaN) };
  const plain = (r) => ({ reasons: [...r.reasons], rival: [...r.rival], kept: r.kept, counts: r.counts });
"""
SETTINGS = [(i, s, n) for i in (0, 0.55, 0.88, 1) for s in (0, 0.8, 0.95) for n in (0, 0.5, 0.7, 1)]


def test_the_browser_filters_as_the_pipeline_does(script, grid):
    body = (
        UNPACKED + "return values.settings.map(([iou, stability, nms]) => plain(sift(all, { iou, stability, nms })));"
    )
    answers = script(body, {**sent(grid), "settings": SETTINGS})
    kept_at = set()
    for (iou, stability, nms), answer in zip(SETTINGS, answers, strict=True):
        funnel = filter(grid, Thresholds(iou, stability, nms))
        assert answer["reasons"] == funnel.reasons.tolist(), (iou, stability, nms)
        assert answer["rival"] == funnel.rival.tolist(), (iou, stability, nms)
        assert answer["kept"] == funnel.kept.tolist(), (iou, stability, nms)
        assert sum(answer["counts"]) == len(grid)
        kept_at.add(len(answer["kept"]))
    assert len(kept_at) > 8  # the settings make a difference


def test_the_last_filter_is_put_on_top(script, grid):
    limits = Thresholds(0.6, 0.7, 0.7, min_area=60)
    funnel = filter(grid, limits)
    gone = [[i, int(funnel.rival[i])] for i in np.flatnonzero(funnel.reasons == 4).tolist()]
    assert gone
    body = UNPACKED + "return plain(withSmall(sift(all, values.limits), values));"
    shown = {"limits": {"iou": 0.6, "stability": 0.7, "nms": 0.7}, "kept": funnel.kept.tolist(), "gone": gone}
    answer = script(body, {**sent(grid), **shown})
    assert answer["reasons"] == funnel.reasons.tolist()
    assert answer["rival"] == funnel.rival.tolist()
    assert answer["counts"] == [(funnel.reasons == reason).sum() for reason in range(5)]


MASKS = """
  const { rows, columns, extent } = values, masks = { bits: Uint8Array.from(values.bits), rows, columns, extent };
"""


def bits_of(grid) -> dict:
    cells = grid.part(slice(None)) > 0
    rows, columns = cells.shape[1:]
    bits = np.packbits(cells, axis=2).ravel().tolist()
    return {"bits": bits, "rows": rows, "columns": columns, "extent": list(grid.frame.extent)}


def test_the_pointer_finds_the_smallest_mask(script):
    grid = hand_grid.grid(6)
    these = filter(grid, Thresholds(0.6, 0, 1)).kept
    cells, expected = grid.part(these) > 0, np.full((22, 32), -1)
    for place in np.lexsort((-these, -grid.areas[these])):  # the largest first; of equals the earlier lies on top
        expected[cells[place]] = these[place]
    body = MASKS + "return [...hoverField(masks, values.areas, values.these, (i) => [masks, i])];"
    field = script(body, {**bits_of(grid), "areas": grid.areas.tolist(), "these": these.tolist()})
    np.testing.assert_array_equal(np.reshape(field, (22, 32)), expected)
    assert len(set(field)) > 5


def test_outlines_enclose_the_cells(script):
    """The area between an outline and the middles of its cells is an eighth of a cell at each corner."""
    grid = hand_grid.grid()
    body = MASKS + "return values.these.map((i) => outlines(masks, i));"
    lines = script(body, {**bits_of(grid), "these": list(range(len(grid)))})
    for index, outlines in enumerate(lines):
        cells, area = (grid.part(index) > 0).sum(), 0.0
        for outline in outlines:
            x, y = np.array(outline).T * [[32], [21.5]]
            area += (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2
        corners = 0.5 * len(outlines) + 1e-6
        assert abs(abs(area) - cells) <= corners, index
    assert lines[3] == []  # an empty mask


# --- the panel ---


@pytest.fixture(scope="module")
def page(chromium, app_server):
    """One visit for all: the tests go on from each other's page, as a visitor does."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(PATIENCE_MS)
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(app_server.url + "?tab=segment&lang=en")
    page.locator("#sg-panels").get_by_role("tab", name="Everything").click()
    page.wait_for_function(OPEN)
    yield page
    page.close()
    assert not faults


def calls(page) -> list[str]:
    """What the page asks Python from now on."""
    requests = []
    asks = ("/queue/join", "/run/", "component_server")
    page.on("request", lambda r: requests.append(r.url) if any(part in r.url for part in asks) else None)
    return requests


def move(page, stage: str, value: float) -> None:
    knob = page.locator(f"#sg-funnel [data-stage={stage}] input")
    knob.evaluate("(node, value) => { node.value = value; node.dispatchEvent(new Event('input')); }", value)


def left(page, stage: str) -> int:
    text = page.locator(f"#sg-funnel [data-stage={stage}] .left").inner_text()
    return int("".join(sign for sign in text if sign.isdigit()))


def parts_of_sum(page) -> list[int]:
    words = page.locator("#sg-funnel .sum").inner_text().replace("=", " ").split()
    return [int(word) for word in words if word.isdigit()]


def loosen(page) -> None:
    """Settings at which a model of any training keeps something."""
    for stage, value in {"iou": 0, "stability": 0.05, "nms": 0.9}.items():
        move(page, stage, value)


def test_sliders_sift_the_stored_pass_without_the_server(page):
    requests = calls(page)
    assert left(page, "grid") == 768
    loosen(page)
    some = left(page, "kept")
    assert some > 0
    *thrown, total = parts_of_sum(page)
    assert sum(thrown) == total == 768
    move(page, "nms", 0.2)
    assert 0 < left(page, "kept") <= some
    move(page, "iou", 1)
    assert left(page, "kept") == 0
    expect(page.locator("#sg-funnel .said")).to_contain_text("No mask is left")
    page.locator("#sg-funnel").get_by_role("button", name="Back to the start values").click()
    assert page.locator("#sg-funnel [data-stage=nms] input").input_value() == "0.7"
    assert requests == []


def test_each_stage_shows_what_it_threw_away_and_why(page):
    requests = calls(page)
    loosen(page)
    move(page, "nms", 0.5)
    stage = page.locator("#sg-funnel [data-stage=nms] > button")
    stage.click()
    expect(stage).to_have_attribute("aria-pressed", "true")
    gone = 768 - left(page, "nms") - (768 - left(page, "stability"))
    assert str(gone) in page.locator("#sg-funnel .listed").inner_text()
    page.locator("#sg-funnel .thumbs button").first.focus()
    said = page.locator("#sg-funnel .said")
    expect(said).to_contain_text("Thrown away: its box overlaps that of mask")
    page.locator("#sg-funnel").get_by_role("button", name="Show").click()
    assert page.locator("#sg-funnel .thumbs button").count() == min(gone, 48)
    page.locator("#sg-funnel [data-stage=stability] > button").click()
    page.locator("#sg-funnel .thumbs button").first.hover()
    expect(said).to_contain_text("is below 0.05")
    page.evaluate("lucida.language('zh')")
    expect(page.locator("#sg-funnel .listed")).to_contain_text("因稳定性去掉")
    page.evaluate("lucida.language('en')")
    assert requests == []


TAP = """(canvas, [x, y]) => {
  const frame = canvas.getBoundingClientRect();
  const clientX = frame.left + x * frame.width, clientY = frame.top + y * frame.height;
  for (const kind of ["pointermove", "pointerdown", "pointerup"]) {
    canvas.dispatchEvent(new PointerEvent(kind, { pointerType: "touch", clientX, clientY, button: 0, bubbles: true }));
  }
}"""


INSIDE = 0.502  # of the picture: the keys begin at its middle, on the edge of a cell of the masks


def across(step: int) -> float:
    """Where the keys are after so many steps to the left."""
    return INSIDE - step / 32


def test_mouse_keys_and_finger_find_the_same_mask(page):
    requests = calls(page)
    loosen(page)
    page.locator("#sg-funnel [data-stage=kept] > button").click()
    canvas, told = page.locator("#sg-funnel canvas[role]"), page.locator("#sg-funnel .told")
    canvas.scroll_into_view_if_needed()
    by_mouse = []
    for step in range(12):
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + across(step) * box["width"], box["y"] + INSIDE * box["height"])
        by_mouse.append(canvas.get_attribute("data-hot"))
    assert set(by_mouse) - {"-1"}
    page.mouse.move(0, 0)
    expect(canvas).to_have_attribute("data-hot", "-1")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    by_keys = []
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
        by_keys.append(canvas.get_attribute("data-hot"))
    assert by_keys == by_mouse
    place = next(step for step, index in enumerate(by_mouse) if index != "-1")
    canvas.evaluate(TAP, [across(place), INSIDE])  # the first tap shows the mask, the second keeps it
    expect(canvas).to_have_attribute("data-hot", by_mouse[place])
    assert told.inner_text() == ""
    assert requests == []
    canvas.evaluate(TAP, [across(place), INSIDE])
    expect(told).to_contain_text("is now an object")


def test_a_click_keeps_a_mask_as_an_object(page):
    loosen(page)
    page.locator("#sg-funnel [data-stage=kept] > button").click()
    objects = "document.querySelectorAll('#sg-stage [data-object]').length"
    before = page.evaluate(objects)
    page.locator("#sg-funnel .thumbs button").first.click()
    expect(page.locator("#sg-funnel .told")).to_contain_text("is now an object")
    page.wait_for_function(f"before => {objects} === before + 1", arg=before)


def test_a_pass_of_ones_own_runs_with_progress_and_removes_small_regions(page):
    page.locator("#sg-everything-side label", has_text="8 × 8").first.click()
    page.locator("#sg-everything-go").click()
    expect(page.locator("#sg-everything-status")).to_contain_text("192 masks in", timeout=PATIENCE_MS)
    expect(page.locator("#sg-funnel [data-stage=grid] .left")).to_have_text("192 left")
    loosen(page)
    before = left(page, "small")
    move(page, "small", 24)
    expect(page.locator("#sg-funnel [data-stage=small] .gone")).to_contain_text("cleaned")
    assert left(page, "small") == left(page, "kept") <= before
    *thrown, total = parts_of_sum(page)
    assert sum(thrown) == total == 192


def test_all_kept_masks_come_as_one_file(page):
    from pycocotools import mask as coco_mask

    with page.expect_download() as waiting:
        page.locator("#sg-everything-coco").click()
    data = json.loads(Path(waiting.value.path()).read_text("utf-8"))
    assert waiting.value.suggested_filename == "everything.coco.json"
    assert 0 < len(data["annotations"]) <= left(page, "kept")
    size = [data["images"][0][side] for side in ("height", "width")]
    assert list(coco_mask.decode(data["annotations"][0]["segmentation"]).shape) == size
