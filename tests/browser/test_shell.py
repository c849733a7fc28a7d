"""The frame as a visitor meets it, in a real Chromium, on the two example tabs of test_new_tab.py."""

import re
import time
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from demos.shell.arrays import pack

TABS = ("zero_shot", "example", "second")
INK = "getComputedStyle(document.querySelector('#brand h1')).color"


def pause_until(page, script: str, argument=None) -> None:
    page.wait_for_function(script, arg=argument)


def grey(page):
    return page.locator("#grey input[type=number]:visible")


def set_grey(page, value: int) -> None:
    grey(page).fill(str(value))
    grey(page).blur()


def settings(page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_language_switches_at_once_keeps_values_and_is_remembered(visit_example, example_server):
    page = visit_example()
    set_grey(page, 200)
    page.locator("#answer", has_text="0.784 of white").wait_for()
    page.locator("#switch").click()
    page.locator("#run", has_text="运行").wait_for()
    page.get_by_role("tab", name="更多").wait_for()  # a chapter's label, of tabs that are not on the page as well
    assert grey(page).input_value() == "200"
    assert "白的 0.784" in page.locator("#answer").inner_text()
    assert "of white" not in page.locator("#answer").inner_text()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.goto(example_server.url + "?tab=example")
    page.locator("#run", has_text="运行").wait_for()
    page.goto(example_server.url + "?tab=example&lang=en")
    page.locator("#run", has_text="Run").wait_for()


@pytest.mark.parametrize(("locale", "run"), [("zh-HK", "运行"), ("de-DE", "Run")])
def test_the_first_language_is_the_browsers(visit_example, locale, run):
    page = visit_example(locale=locale)
    page.locator("#run", has_text=run).wait_for()


def test_theme_is_remembered(visit_example, example_server):
    page = visit_example(color_scheme="light")
    assert page.evaluate(INK) == "rgb(28, 25, 23)"
    page.locator("#theme").click()
    pause_until(page, f"({INK}) === 'rgb(236, 233, 227)'")
    page.goto(example_server.url)
    pause_until(page, "document.body.classList.contains('dark')")


def test_link_to_this_reopens_the_same_in_a_second_session(visit_example, opener):
    page = visit_example(permissions=["clipboard-read", "clipboard-write"])
    set_grey(page, 51)
    page.locator(".lucida-levels label >> visible=true").nth(2).click()
    page.locator(".lucida-link-button >> visible=true").click()
    page.locator(".prose.lucida-linked", has_text="Link copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.url
    assert settings(page) == {"tab": "example", "grey": "51", "level": "numbers", "lang": "en"}
    other = opener(copied)
    other.locator("#answer", has_text="0.200").wait_for(state="attached")
    assert grey(other).input_value() == "51"
    assert other.locator("#received").is_visible() or not other.locator("#answer").is_visible()


def test_link_without_a_clipboard_is_shown(visit_example):
    page = visit_example()
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    page.locator(".lucida-link-button >> visible=true").click()
    assert page.locator(".prose.lucida-linked input").input_value() == page.url


def test_forged_links_open_the_page_with_a_note(visit_example):
    page = visit_example("?tab=example&grey=NaN&level=%3Cscript%3E&lang=en&x=1")
    assert grey(page).input_value() == "64"
    assert "grey, level could not be used" in page.locator(".lucida-notes .lucida-note").inner_text()
    page = visit_example("?tab=<img src=x onerror=window.bad=1>&lang=zh-TW")
    page.locator("#note", has_text="链接中的标签页不存在").wait_for()
    assert page.evaluate("window.bad") is None


def test_levels_switch_by_mouse_and_keyboard_without_the_server(visit_example):
    page = visit_example()
    calls = []
    page.on("request", lambda request: calls.append(request.url))
    page.locator(".lucida-levels label >> visible=true").nth(1).click()
    page.locator("#blocks").wait_for()
    assert not page.locator("#answer").is_visible()
    page.keyboard.press("ArrowRight")
    page.locator("#blocks").wait_for(state="hidden")
    assert page.locator(".lucida-levels input:checked >> visible=true").get_attribute("value") == "numbers"
    page.keyboard.press("ArrowRight")
    page.locator("#answer").wait_for()
    assert not [url for url in calls if "/queue/" in url or "/run/" in url]


def run(page) -> None:
    page.locator("#run:visible").click()


def status(page, pattern: str) -> None:
    """Wait until the status line reads so."""
    page.locator("#status:visible", has_text=re.compile(pattern)).wait_for()


def test_cancel_stops_a_long_job_and_the_next_one_can_start(visit_example):
    page = visit_example("?tab=example&grey=200")
    run(page)
    status(page, r"Step 1\d\d of 200")
    page.locator("#stop").click()
    page.wait_for_function(STANDS_STILL, polling=100)
    assert "of 200" in page.locator("#status").inner_text()  # the last step stays on the page
    run(page)
    status(page, r"Step \d{1,2} of 200")  # it began again
    page.locator("#stop").click()
    page.locator("#stop").click()
    page.wait_for_function(STANDS_STILL, polling=100)
    assert page.locator(".toast-body").count() == 0


# Ten looks at the status line, a tenth of a second apart, saw the same.
STANDS_STILL = """() => {
  const now = document.querySelector("#status").innerText;
  window.seen = window.last === now ? (window.seen || 0) + 1 : 0;
  window.last = now;
  return window.seen >= 10;
}"""


def test_three_long_jobs_a_click_and_a_closed_page(visit_example):
    """Two run and one is told its place; a click is answered meanwhile; a page that closes makes room."""
    first, second, third = (visit_example(f"?tab=example&grey=255&lang={lang}") for lang in ("en", "en", "zh"))
    run(first)
    run(second)
    status(first, r"Step \d")
    status(second, r"Step \d")
    run(third)
    status(third, "排队中：第 1 位")
    set_grey(third, 51)
    third.locator("#answer", has_text="0.200").wait_for()
    status(third, "排队中：第 1 位")
    first.context.close()
    status(third, r"第 \d+ 步，共 255 步")
    status(second, r"Step \d+ of 255")


def test_a_session_has_one_long_job(visit_example):
    page = visit_example("?tab=example&grey=255")
    run(page)
    status(page, r"Step \d")
    page.get_by_role("tab", name="More").click()
    page.locator("#tab-second #run").click()
    page.locator(".toast-body", has_text="Another run of yours is still going").wait_for()


def test_an_error_is_a_sentence_and_nothing_is_lost(visit_example):
    page = visit_example("?tab=example&lang=zh")
    set_grey(page, 256)
    page.locator(".toast-body", has_text="最多 255。").wait_for()
    assert grey(page).input_value() == "256"
    assert "0.251" in page.locator("#answer").inner_text()


def test_a_fault_says_an_id_and_no_path(visit_example, example_server):
    page = visit_example()
    set_grey(page, 13)
    toast = page.locator(".toast-body", has_text="our side")
    toast.wait_for()
    told = toast.inner_text()
    assert "path" not in told
    fault = re.search(r"under ([0-9a-f]{8});", told)[1]
    log = example_server.log.read_text("utf-8")
    assert f"fault {fault}" in log
    assert "a fault with /a/path in it" in log


def test_send_to_opens_the_other_tab_and_hands_the_parcel_over(visit_example):
    page = visit_example("?tab=example&grey=77")
    page.locator(".lucida-send-second >> visible=true").first.click()
    received = page.locator("#tab-second #received")
    pause_until(page, "document.querySelector('#tab-second #received')?.textContent.includes('picture example 77')")
    assert settings(page)["tab"] == "second"
    page.locator("#tab-second .lucida-send-example").click()  # the prompt goes back, to a tab that is laid out already
    pause_until(page, "document.querySelector('#tab-example #received')?.textContent.includes('prompt second')")
    assert "picture" in received.text_content()


def test_a_closed_page_leaves_no_file(visit_example, example_server):
    page = visit_example()
    folders = example_server.log.parent / "uploads"
    before = set(folders.glob("session-*"))
    page.locator(".lucida-send-second >> visible=true").first.click()
    pause_until(page, "document.querySelector('#tab-second #received')?.textContent.includes('picture')")
    (own,) = set(folders.glob("session-*")) - before
    assert len(list(own.iterdir())) == 1
    page.context.close()
    end = time.monotonic() + 30
    while own.exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not own.exists()


def test_a_tab_that_cannot_be_laid_out_says_so(visit_example, example_server):
    page = visit_example("?tab=example&grey=0&lang=zh", wait=".lucida-note[role=alert]:visible")
    assert "程序出错了" in page.locator(".lucida-note[role=alert]").inner_text()
    assert "no grey at all" in example_server.log.read_text("utf-8")


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_arrays_arrive_in_the_browser_as_they_were(visit_example, dtype):
    array = np.array([[0, 1, 2.5], [254, 1e-7, 0.333]]).astype(dtype)
    page = visit_example()
    got = page.evaluate(
        "async (p) => { const a = await lucida.unpack(p); return [...a.array, ...a.shape]; }", pack(array)
    )
    assert got == [*array.astype("float64").ravel().tolist(), 2, 3]


def test_what_was_typed_stays_when_tabs_change(visit_example):
    page = visit_example()
    set_grey(page, 99)
    page.get_by_role("tab", name="More").click()
    page.locator("#tab-second #grey").wait_for()
    page.get_by_role("tab", name="Five models").click()
    page.get_by_role("tab", name="Example").click()
    assert grey(page).input_value() == "99"


@pytest.mark.parametrize("tab", TABS)
def test_a_phone_shows_everything_without_sideways_scroll(visit_example, tab):
    page = visit_example(f"?tab={tab}&lang=en", width=375, height=812)
    for locale in ("en", "zh-CN"):
        pause_until(page, "locale => document.documentElement.lang === locale", locale)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(CUT) == []
        page.locator("#switch").click()


# What reaches beyond the right edge without standing in a strip that scrolls by itself.
CUT = """(() => {
  const scrolls = (e) => e && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  return [...document.querySelectorAll("button, label, p, h2")]
    .filter((e) => e.offsetParent && !e.closest("[aria-hidden]") && e.getBoundingClientRect().right > innerWidth + 1)
    .filter((e) => !scrolls(e.parentElement)).map((e) => e.outerHTML);
})()"""


def test_nothing_is_fetched_from_another_host(opener, example_server):
    page = opener("about:blank")
    hosts = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.goto(example_server.url + "?tab=example")
    page.locator(".lucida-leveled:visible").first.wait_for()
    assert hosts - {None} == {"127.0.0.1"}
