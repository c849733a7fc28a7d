"""A real Chromium. CHROMIUM names its path where it is not found by itself; without one, browser tests are skipped."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.conftest import free_port

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE = {"width": 375, "height": 812}


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    """The browser, or a skip with its reason. Where REQUIRE_CHROMIUM is set, its absence fails."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        told = "no Chromium was found; set CHROMIUM to its path"
        pytest.fail(told) if os.environ.get("REQUIRE_CHROMIUM") else pytest.skip(told)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opener(chromium) -> Iterator:
    """open(url, width=, height=, scale=, **context) -> page; the test fails on any script error."""
    contexts, errors = [], []

    def go(url: str, *, width: int = 1280, height: int = 900, scale: float = 1, **options):
        context = chromium.new_context(
            viewport={"width": width, "height": height}, device_scale_factor=scale, **{"locale": "en-US", **options}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield go
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The page of single components, for tests of them."""
    from tests.browser import harness

    with harness.served(free_port()) as address:
        yield address


@pytest.fixture
def visit(opener, app_server):
    """visit("?tab=zero_shot&lang=zh", width=375) -> page of the real app, when its tab has been laid out."""

    def go(query: str = "", **options):
        page = opener(app_server.url + query, **options)
        page.locator(".lucida-title:visible, .lucida-leveled:visible").first.wait_for()
        return page

    return go


@pytest.fixture
def visit_example(opener, example_server):
    """As `visit`, for the copy of the app with the tabs `example` and `second`."""

    def go(query: str = "?tab=example", *, wait: str = ".lucida-leveled:visible", **options):
        page = opener(example_server.url + query, **options)
        page.locator(wait).first.wait_for()
        return page

    return go
