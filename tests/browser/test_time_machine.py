"""Back through the steps of a run, off on a branch, into the attention: the real app, in a real browser."""

import pytest
from playwright.sync_api import expect

PATIENCE_MS = 120_000  # the model loads, and the stored run is made again
FULL = "document.querySelector('#t2i-machine .all')?.hidden === false"
PRINT = """selector => {
  const canvas = document.querySelector(selector);
  return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data].join();
}"""


@pytest.fixture(scope="module")
def page(chromium, app_server):
    """One visit for all: the tests go on from each other's page, as a visitor does."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(PATIENCE_MS)
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(app_server.url + "?tab=text_to_image&lang=en")
    page.wait_for_function(FULL)
    yield page
    page.close()
    assert not faults


def asked(page) -> list[str]:
    """The addresses that the page asks the server for from now on."""
    requests = []
    page.on("request", lambda request: requests.append(request.url) if request.url.startswith("http") else None)
    return requests


def open_panel(page, name: str) -> None:
    page.locator("#t2i-panels").get_by_role("tab", name=name).click()


def test_all_strips_scrub_together_without_asking_the_server(page):
    requests, said = asked(page), page.locator("#t2i-machine .said")
    page.locator("#t2i-machine .knobs input").focus()
    page.keyboard.press("End")
    expect(said).to_contain_text("100 %")
    strips = [f"#t2i-machine .{name} canvas" for name in ("x_t", "x0", "guidance")]
    last = [page.evaluate(PRINT, strip) for strip in strips]
    page.keyboard.press("Home")
    expect(said).to_contain_text("Step 1 of 20: 0 %")
    assert all(page.evaluate(PRINT, strip) != before for strip, before in zip(strips, last, strict=True))
    page.keyboard.press("ArrowRight")
    expect(page.locator("#t2i-branch-step output")).to_contain_text("2 / 20")
    box = page.locator("#t2i-machine .fixed svg").bounding_box()
    page.mouse.click(box["x"] + 0.966 * box["width"], box["y"] + box["height"] / 2)  # the right end of the curve
    expect(said).to_contain_text("Step 20 of 20")
    page.evaluate("document.querySelector('#t2i-machine .knobs input').value = 4")
    page.locator("#t2i-machine .knobs input").dispatch_event("input")
    expect(page.locator("#t2i-branch-step output")).to_contain_text("5 / 20")
    assert [url for url in requests if "/queue/join" in url or "/run/" in url] == []
    page.evaluate("lucida.language('zh')")
    expect(said).to_contain_text("第 5 步")
    page.evaluate("lucida.language('en')")


def test_a_branch_without_a_change_is_the_run_and_with_one_another_picture(page):
    result = page.locator("#t2i-branch-result")
    page.locator("#t2i-branch-go").click()
    expect(result).to_contain_text("same picture to the last bit", timeout=PATIENCE_MS)
    expect(page.locator("#t2i-branch-film figure")).to_have_count(2)
    expect(page.locator("#t2i-branch-film output")).to_have_text("20 / 20")  # its first frame is step 5
    expect(page.locator("#t2i-track")).to_contain_text("Branch 1, from step 5")
    guidance = page.locator("#t2i-branch-guidance-scale input[type=number]")
    guidance.fill("15")
    guidance.press("Enter")
    page.locator("#t2i-branch-go").click()
    expect(result).to_contain_text("of full brightness apart", timeout=PATIENCE_MS)
    expect(page.locator("#t2i-track")).to_contain_text("Branch 2, from step 5 of branch 1")
    expect(page.locator("#t2i-branch-heat .map")).to_be_visible()


def test_a_word_has_its_heat_map_and_another_token_asks_nobody(page):
    open_panel(page, "Attention replay")
    chips = page.locator("#t2i-replay .chip")
    chips.first.wait_for()
    page.wait_for_function("document.querySelector('#t2i-replay-heat .map')?.width > 1")
    shares = page.locator("#t2i-replay .chip:not(.piece) .share").all_inner_texts()
    assert sum(float(share.strip("<% ")) for share in shares) == pytest.approx(100, abs=1)
    expect(page.locator("#t2i-replay .said")).to_contain_text("largest difference")
    before, requests = page.evaluate(PRINT, "#t2i-replay-heat .map"), asked(page)
    chips.first.click()
    page.wait_for_function(f"before => ({PRINT})('#t2i-replay-heat .map') !== before", arg=before)
    before = page.evaluate(PRINT, "#t2i-replay-heat .map")
    page.locator("#t2i-replay .layer").select_option("0")
    page.locator("#t2i-replay .head").select_option("1")
    page.wait_for_function(f"before => ({PRINT})('#t2i-replay-heat .map') !== before", arg=before)
    assert [url for url in requests if "/queue/join" in url or "/run/" in url] == []
