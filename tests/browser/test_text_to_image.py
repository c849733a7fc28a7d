"""The text-to-image tab as a visitor meets it: the real app with its bundled model, in a real browser."""

import base64
import io
import re
import zipfile

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from pipelines.text_to_image.metadata import read_png
from tests.browser.conftest import PHONE

PATIENCE_MS = 90_000  # for the first computation, which loads the model on a busy machine


def status(page):
    return page.locator("#ti-status .prose")


def live(page) -> None:
    page.locator("#ti-provenance .lucida-live").wait_for(timeout=PATIENCE_MS)


def set_field(page, name: str, value: str) -> None:
    page.locator(f"#ti-{name} :is(textarea, input:not([type=range]))").first.fill(value)
    page.keyboard.press("Tab")


def generate(page, prompt: str) -> bytes:
    """Draw this prompt; returns the PNG as the browser would save it."""
    before = shown(page)
    page.locator("#ti-prompt textarea").fill(prompt)
    page.locator("#ti-generate").click()
    page.wait_for_function(
        "before => { const now = document.querySelector('#ti-pictures img')?.src; return now && now !== before; }",
        arg=before,
        timeout=PATIENCE_MS,
    )
    return saved(page)


def shown(page) -> str | None:
    pictures = page.locator("#ti-pictures img")
    return pictures.first.evaluate("image => image.src") if pictures.count() else None


def saved(page) -> bytes:
    code = """async image => {
        const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
        return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
    }"""
    return base64.b64decode(page.locator("#ti-pictures img").first.evaluate(code))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def drop(page, data: bytes) -> None:
    """Drop a file on the heading of the tab, far from any input."""
    page.evaluate(
        """data => {
            const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
            const files = new DataTransfer();
            files.items.add(new File([bytes], 'mine.png', { type: 'image/png' }));
            const place = document.querySelector('#ti-main');
            for (const kind of ['dragover', 'drop'])
                place.dispatchEvent(new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true }));
        }""",
        base64.b64encode(data).decode(),
    )


def test_opens_finished_then_draws_and_takes_its_png_back(visit):
    page = visit("?tab=text_to_image")
    expect(page.locator("#ti-provenance .lucida-stored")).to_be_visible()
    expect(page.locator("#ti-strip .ti-chip").first).to_be_visible()
    set_field(page, "seed", "7")
    first = generate(page, "a banana, flat emoji")
    live(page)
    said, _ = read_png(first)
    assert said["prompt"] == "a banana, flat emoji" and said["seed"] == 7
    film = page.locator("#ti-film input[type=range]")
    assert film.get_attribute("max") == "19"
    last = page.locator("#ti-film img").last.get_attribute("src")
    film.focus()
    page.keyboard.press("Home")
    expect(page.locator("#ti-film output")).to_have_text("1 / 20", timeout=PATIENCE_MS)
    assert page.locator("#ti-film img").last.get_attribute("src") != last
    set_field(page, "seed", "8")
    second = generate(page, "香蕉，扁平表情")
    assert not np.array_equal(pixels(first), pixels(second))
    drop(page, first)
    expect(status(page)).to_contain_text("a banana, flat emoji", timeout=PATIENCE_MS)
    assert page.locator("#ti-prompt textarea").input_value() == "a banana, flat emoji"
    assert page.locator("#ti-seed :is(textarea, input)").first.input_value() == "7"
    assert np.array_equal(pixels(generate(page, "a banana, flat emoji")), pixels(first))


def test_a_link_gives_the_same_picture_and_the_history_its_runs(visit, opener):
    page = visit("?tab=text_to_image&prompt=red%20apple&seed=18446744073709551615&steps=3&sampler=dpmpp_2m&lang=zh")
    live(page)
    here = saved(page)
    assert read_png(here)[0]["seed"] == 2**64 - 1
    page.locator(".lucida-link-button:visible").click()
    page.wait_for_function("location.search.includes('sampler=dpmpp_2m')")
    other = opener(page.url)
    live(other)
    assert np.array_equal(pixels(saved(other)), pixels(here))
    generate(page, "企鹅")
    expect(page.locator("#ti-history button")).to_have_count(2, timeout=PATIENCE_MS)
    page.locator("#ti-history button").last.click()
    expect(status(page)).to_contain_text("已取回", timeout=PATIENCE_MS)
    assert page.locator("#ti-prompt textarea").input_value() == "red apple"
    assert np.array_equal(pixels(saved(page)), pixels(here))
    with page.expect_download() as started:
        page.locator("#ti-zip").click()
    with zipfile.ZipFile(started.value.path()) as archive:
        assert [read_png(archive.read(name))[0]["prompt"] for name in archive.namelist()] == ["red apple", "企鹅"]


def test_the_strip_follows_the_typing_and_strikes_out_what_is_cut(visit):
    page = visit("?tab=text_to_image")
    page.locator("#ti-prompt textarea").fill("红苹果 " * 20)
    expect(page.locator("#ti-strip .ti-cut").first).to_be_visible(timeout=PATIENCE_MS)
    assert page.locator("#ti-strip .ti-cut s").count() == page.locator("#ti-strip .ti-cut").count()
    expect(page.locator("#ti-strip .ti-warn").first).to_contain_text("beyond the limit of 32")
    page.locator("#ti-prompt textarea").fill("<img src=x onerror=window.pwned=1>")
    expect(page.locator("#ti-strip .ti-cut")).to_have_count(0, timeout=PATIENCE_MS)
    expect(page.locator("#ti-strip")).to_contain_text("<", timeout=PATIENCE_MS)
    assert "<img" in "".join(page.locator("#ti-strip .ti-chip b").all_text_contents())
    assert page.evaluate("window.pwned") is None


def test_cancel_frees_and_the_newest_press_counts(visit):
    page = visit("?tab=text_to_image&seed=5&steps=100&batch=4&prompt=a%20cat")  # long enough for slow hands
    expect(status(page)).to_contain_text(" of 100", timeout=PATIENCE_MS)
    page.locator("#ti-stop").click()
    expect(status(page)).to_contain_text("Stopped", timeout=PATIENCE_MS)
    assert page.locator("#ti-pictures img").count() == 0
    page.locator("#ti-generate").dblclick()
    expect(status(page)).to_contain_text(" of 100", timeout=PATIENCE_MS)
    set_field(page, "steps", "2")
    generate(page, "a dog")
    live(page)
    assert read_png(saved(page))[0]["prompt"] == "a dog"
    expect(page.locator("#ti-history button")).to_have_count(1, timeout=PATIENCE_MS)
    expect(page.locator(".toast-body")).to_have_count(0)


def test_an_error_is_a_sentence_and_nothing_is_lost(visit):
    page = visit("?tab=text_to_image&lang=zh")
    before = shown(page)
    set_field(page, "seed", "abc")
    page.locator("#ti-generate").click()
    toast = page.locator(".toast-body").first
    expect(toast).to_contain_text("abc", timeout=PATIENCE_MS)
    assert re.search("[一-龥]", toast.inner_text()) and "Traceback" not in toast.inner_text()
    expect(page.locator("#ti-pictures")).to_be_visible()
    assert shown(page) == before


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_nothing_is_cut_on_a_phone(visit, lang):
    page = visit(f"?tab=text_to_image&lang={lang}", **PHONE)
    page.locator("#ti-pictures img").wait_for()
    for level in range(3):
        page.locator(".lucida-levels:visible input").nth(level).check()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("#ti-steps")).to_be_hidden()  # settings are folded on a phone
