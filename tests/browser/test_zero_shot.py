"""The zero-shot tab as a visitor meets it: the real app with its bundled models, in a real browser."""

import json
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import PHONE
from tests.conftest import REPO

EXAMPLES = REPO / "assets" / "examples"
PATIENCE_MS = 90_000  # for the first computation, which loads the models on a busy machine


def bars(page) -> dict[str, tuple[float, float]]:
    """{label: (width of its softmax bar, width of its sigmoid bar)}, in percent, as the page draws them."""
    return page.locator("#zs-quarrel tbody").evaluate(
        """body => Object.fromEntries([...body.rows].map(row => [
            row.querySelector('bdi').textContent,
            [...row.querySelectorAll('.fill')].map(fill => parseFloat(fill.style.width)),
        ]))"""
    )


def classify(page, labels: str) -> None:
    page.locator("#zs-labels textarea").fill(labels)
    page.locator("#zs-classify").click()
    wait_for_labels(page, {label.strip() for label in re.split("[,，]", labels)})


def wait_for_labels(page, labels: set[str]) -> None:
    page.wait_for_function(
        """wanted => {
            const shown = [...document.querySelectorAll('#zs-quarrel tbody bdi')].map(node => node.textContent);
            return shown.length === wanted.length && wanted.every(label => shown.includes(label));
        }""",
        arg=sorted(labels),
        timeout=PATIENCE_MS,
    )


def upload(page, path) -> None:
    page.locator("#zs-picture input[type=file]").set_input_files(path)


def live(page) -> None:
    page.locator("#zs-provenance .lucida-live").wait_for(timeout=PATIENCE_MS)


def test_the_tab_opens_with_a_finished_result(visit):
    page = visit("?tab=zero_shot")
    expect(page.locator("#zs-quarrel tbody tr").first).to_be_visible()
    expect(page.locator("#zs-provenance .lucida-stored")).to_be_visible()
    assert sum(softmax for softmax, _ in bars(page).values()) == pytest.approx(100, abs=0.1)
    expect(page.locator("#zs-refusal .verdict")).not_to_be_empty()


def test_a_chip_moves_every_softmax_bar_and_no_sigmoid_bar(visit):
    page = visit("?tab=zero_shot")
    page.locator("#zs-quarrel tbody tr").first.wait_for()
    before = bars(page)
    first = next(iter(before))
    page.locator("#zs-quarrel .chip").first.click()
    expect(page.locator("#zs-quarrel .chip").first).to_have_attribute("aria-pressed", "false")
    page.wait_for_function("document.querySelector('#zs-quarrel tbody .softmax .fill').style.width === '0px'")
    after = bars(page)
    assert all(after[label][1] == before[label][1] for label in before)
    others = [label for label in before if label != first]
    rest = 100 - before[first][0]
    for label in others:
        assert after[label][0] == pytest.approx(100 * before[label][0] / rest, rel=1e-3, abs=1e-3)
        assert after[label][0] >= before[label][0]
    expect(page.locator("#zs-quarrel .said")).to_contain_text(first)
    expect(page.locator("#zs-quarrel tbody .tick").first).to_be_visible()
    page.locator("#zs-quarrel .all").click()
    assert bars(page) == before


def test_temperature_keeps_the_order_and_is_taken_back(visit):
    page = visit("?tab=zero_shot")
    page.locator("#zs-quarrel tbody tr").first.wait_for()
    before = bars(page)
    slider = page.locator("#zs-quarrel input[type=range]")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#zs-quarrel output")).to_have_text("0.79")
    colder = bars(page)
    assert max(p for p, _ in colder.values()) > max(p for p, _ in before.values())
    assert [*colder] == [*before]
    page.locator("#zs-quarrel .learnt").click()
    assert bars(page) == before


def test_upload_classify_levels_language_and_theme(visit, tmp_path):
    page = visit("?tab=zero_shot")
    photo = tmp_path / "mine.jpg"
    Image.open(EXAMPLES / "bee.jpg").convert("RGB").save(photo, quality=92)
    upload(page, photo)
    live(page)
    classify(page, "bee, cat，桥")
    shown = bars(page)
    assert max(shown, key=lambda label: shown[label][0]) == "bee"
    page.locator(".lucida-levels input").nth(1).check()
    expect(page.locator("#zs-blocks ol").first).to_be_visible()
    expect(page.locator("#zs-panels")).to_be_hidden()
    page.locator(".lucida-levels input").nth(2).check()
    expect(page.locator("#zs-numbers .zs-formula")).to_be_visible()
    expect(page.locator("#zs-numbers")).to_contain_text("bee")
    page.locator("#switch").click()
    expect(page.locator("#zs-classify")).to_have_text("分类")
    assert page.locator("#zs-labels textarea").input_value() == "bee, cat，桥"
    page.locator(".lucida-levels input").first.check()
    expect(page.locator("#zs-quarrel thead")).to_contain_text("标签")
    assert bars(page) == shown
    page.locator("#theme").click()
    expect(page.locator("body")).to_have_class(re.compile("dark"))
    assert bars(page) == shown


def test_the_link_of_an_example_gives_the_same_bars_elsewhere(visit, opener):
    page = visit("?tab=zero_shot")
    page.locator("#zs-picture .offers button").nth(2).click()
    live(page)
    page.locator("#zs-labels textarea").fill("bee, beetle, flower")
    page.locator("#zs-labels textarea").press("Enter")
    wait_for_labels(page, {"bee", "beetle", "flower"})
    page.locator(".lucida-link-button").click()
    page.wait_for_function("location.search.includes('labels=')")
    other = opener(page.url)
    live(other)
    assert "example=bee" in page.url
    here, there = bars(page), bars(other)
    assert [*here] == [*there]
    for label in here:
        assert there[label] == pytest.approx(here[label], abs=0.01)


def test_a_link_without_an_example_asks_for_the_picture(visit, tmp_path):
    page = visit("?tab=zero_shot&labels=cat,dog&temperature=2")
    expect(page.locator("#zs-notes")).to_contain_text("never somebody's picture")
    assert page.locator("#zs-quarrel tbody tr").count() == 0
    upload(page, EXAMPLES / "cat.jpg")
    wait_for_labels(page, {"cat", "dog"})
    expect(page.locator("#zs-quarrel output")).to_have_text("2.00")


def test_forged_settings_of_a_link_are_left_out_one_by_one(visit):
    query = "?tab=zero_shot&example=bee&temperature=NaN&crop=1,2&model=../x&templates=none&labels=bee,fly"
    page = visit(query)
    wait_for_labels(page, {"bee", "fly"})
    told = page.locator(".lucida-notes").inner_text()
    assert all(name in told for name in ("temperature", "crop", "model", "templates")) and "labels" not in told


def test_hostile_labels_are_shown_as_typed(visit):
    page = visit("?tab=zero_shot&example=cat&labels=cat")
    live(page)
    hostile = ["<img src=x onerror=window.pwned=1>", "${window.pwned=1}", "{{value}}"]
    classify(page, ",".join(hostile))
    for level in (1, 2, 0):
        page.locator(".lucida-levels input").nth(level).check()
    open_panel(page, 2)
    page.locator("#zs-compare").click()
    expect(page.locator("#zs-lab svg").first).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate("window.pwned") is None
    assert set(bars(page)) == set(hostile)


def open_panel(page, number: int) -> None:
    page.locator("#zs-panels > .tab-wrapper [role=tab]:visible").nth(number).click()


def test_none_of_these_moves_with_its_threshold(visit):
    page = visit("?tab=zero_shot&example=cat&labels=violin,rocket,pizza")
    live(page)
    slider = page.locator("#zs-refusal input[type=range]")
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator("#zs-refusal .verdict")).not_to_contain_text("None of these")
    page.keyboard.press("End")
    expect(page.locator("#zs-refusal output")).to_have_text("100.0 %")
    expect(page.locator("#zs-refusal .verdict")).to_contain_text("None of these")
    expect(page.locator("#zs-refusal .shares")).to_contain_text("Measured on")


def test_evidence_is_streamed_tested_and_gone_with_the_picture(visit):
    page = visit("?tab=zero_shot&example=cat&labels=cat,dog,bridge")
    live(page)
    open_panel(page, 1)
    expect(page.locator("#zs-gradient .map")).to_be_visible(timeout=PATIENCE_MS)
    page.locator("#zs-run-occlusion").click()
    expect(page.locator(".lucida-status:visible").first).to_contain_text("49 of 49", timeout=PATIENCE_MS)
    page.locator("#zs-run-test").click()
    expect(page.locator("#zs-test .zs-verdict")).to_be_visible(timeout=PATIENCE_MS)
    page.locator("#zs-picture .offers button").nth(2).click()
    expect(page.locator("#zs-test .zs-verdict")).to_have_count(0, timeout=PATIENCE_MS)


def test_words_on_the_picture_and_a_crop_of_ones_own(visit):
    page = visit("?tab=zero_shot&example=cat&labels=cat,dog,bridge")
    live(page)
    open_panel(page, 3)
    page.locator("#zs-typed input, #zs-typed textarea").first.fill("dog")
    page.locator("#zs-write").click()
    expect(page.locator("#zs-attack img")).to_have_count(4, timeout=PATIENCE_MS)
    before = bars(page)
    page.locator("#zs-crop-kind input[value=box]").check()
    page.locator("#zs-crop [data-name=crop]").click()
    canvas = page.locator("#zs-crop canvas")
    canvas.scroll_into_view_if_needed()
    place = canvas.bounding_box()
    page.mouse.move(place["x"] + 5, place["y"] + 5)
    page.mouse.down()
    page.mouse.move(place["x"] + place["width"] / 3, place["y"] + place["height"] / 2, steps=4)
    page.mouse.up()
    page.wait_for_function(
        """before => [...document.querySelectorAll('#zs-quarrel tbody tr')].some(row => {
            const width = parseFloat(row.querySelector('.fill').style.width);
            return Math.abs(width - before[row.querySelector('bdi').textContent][0]) > 0.01;
        })""",
        arg=before,
        timeout=PATIENCE_MS,
    )


def test_a_model_that_is_not_here_is_offered_and_the_result_stays(visit):
    page = visit("?tab=zero_shot")
    before = bars(page)
    page.locator("#zs-model input").click()
    page.get_by_role("option", name="CLIP ViT-B/32").click()
    expect(page.locator("#zs-fetch")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#zs-facts")).to_contain_text("605.1 MB")
    expect(page.locator("#zs-facts")).to_contain_text("66.6 %")
    assert bars(page) == before


def test_an_error_is_a_sentence_and_nothing_is_lost(visit):
    page = visit("?tab=zero_shot&example=cat&labels=cat,dog&lang=zh")
    live(page)
    before = bars(page)
    page.locator("#zs-labels textarea").fill(" ，, ")
    page.locator("#zs-classify").click()
    toast = page.locator(".toast-body").first
    expect(toast).to_be_visible()
    assert re.search("[一-龥]", toast.inner_text()) and "Traceback" not in toast.inner_text()
    assert bars(page) == before


def test_the_downloads_hold_the_bars(visit):
    page = visit("?tab=zero_shot&example=cat&labels=cat,dog")
    live(page)
    with page.expect_download() as started:
        page.locator("#zs-json").click()
    data = json.loads(started.value.path().read_text("utf-8"))
    shown = bars(page)
    for item, p in zip(data["labels"], data["softmax"]["probabilities"], strict=True):
        assert 100 * p == pytest.approx(shown[item["label"]][0], abs=0.01)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_nothing_is_cut_on_a_phone(visit, lang):
    page = visit(f"?tab=zero_shot&lang={lang}", **PHONE)
    page.locator("#zs-quarrel tbody tr").first.wait_for()
    for level in range(3):
        page.locator(".lucida-levels input").nth(level).check()
        assert cut(page) == []
    page.locator(".lucida-levels input").first.check()
    for panel in range(5):
        open_panel(page, panel)
        assert cut(page) == []


def cut(page) -> list[str]:
    """What is seen wider than the page, or text that its own box cuts off (but for ellipses and scrolling)."""
    return page.evaluate(
        """() => {
            const found = document.documentElement.scrollWidth > innerWidth ? ['the page scrolls sideways'] : [];
            const scrolls = (node) => node &&
                (/auto|scroll/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
            const seen = 'p, td, th, h3, h4, button, output, figcaption, li, dt, dd, svg';
            for (const node of document.querySelectorAll('#zs-main :is(' + seen + '), #zs-panels :is(' + seen + ')')) {
                const box = node.getBoundingClientRect(), out = box.right > innerWidth + 1 || box.left < -1;
                if (box.width && out && !scrolls(node.parentElement)) found.push(node.textContent.slice(0, 40));
            }
            return found;
        }"""
    )
