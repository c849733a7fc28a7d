"""Pictures of the real app for the README: `make screenshots` writes assets/screenshots/*.png.

Each shows the tab as it opens, with its stored result, so that a picture can be made again on any machine.
"""

import io
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import FLAGS, NAMES
from tests.conftest import REPO, running

OUT = REPO / "assets" / "screenshots"
COLOURS = 256  # a palette: a quarter of the bytes, and the page is mostly paper and ink


@dataclass(frozen=True)
class Shot:
    """One picture: its file's stem, the address, the window in CSS pixels. ready: what must stand there."""

    name: str
    query: str
    width: int
    height: int
    scale: float = 1.0
    ready: tuple[str, ...] = ("#zs-quarrel tbody tr", "#zs-picture img:visible, #zs-picture canvas:visible")


SHOTS = (
    Shot("desktop", "?tab=zero_shot&lang=en", 1280, 1000),
    Shot("dark", "?tab=zero_shot&lang=en&__theme=dark", 1280, 1000),
    Shot("chinese", "?tab=zero_shot&lang=zh", 1280, 1000),
    Shot("phone", "?tab=zero_shot&lang=zh", 375, 1600, 1.5),
    Shot("text_to_image", "?tab=text_to_image&lang=en", 1280, 1720, ready=("#ti-pictures img", "#t2i-machine canvas")),
    Shot("segment", "?tab=segment&lang=en", 1280, 1340, ready=("#sg-main canvas", "#sg-cut-out img")),
    Shot("tokenise", "?tab=tokenise&lang=en", 1280, 1240, ready=("#tk-board canvas.grid:visible", "#tk-rivals img")),
)


def take(browser, url: str, shot: Shot) -> Image.Image:
    window = {"width": shot.width, "height": shot.height}
    context = browser.new_context(viewport=window, device_scale_factor=shot.scale, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(url + shot.query)
    for selector in shot.ready:
        page.locator(selector).first.wait_for()
    page.wait_for_function("[...document.images].every(image => image.complete && (image.naturalWidth || !image.src))")
    picture = Image.open(io.BytesIO(page.screenshot()))
    context.close()
    return picture.convert("RGB")


def save(picture: Image.Image, path: Path) -> None:
    picture.quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


def main() -> None:
    wanted = set(sys.argv[1:])
    program = next(filter(None, map(shutil.which, NAMES)))
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        with running(REPO, Path(folder) / "log.txt", "--models", "bundled", "--device", "cpu") as server:
            for shot in SHOTS:
                if not wanted or shot.name in wanted:
                    save(take(browser, server.url, shot), OUT / f"{shot.name}.png")
                    print(OUT / f"{shot.name}.png")
        browser.close()


if __name__ == "__main__":
    main()
