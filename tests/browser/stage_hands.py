"""What a test does with the stage of stage_page.py, and how it sees what came of it."""

import json
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.browser import harness, stage_page

GOT = "document.querySelector('#got textarea')?.value || ''"
FILLED = """() => {
  const sheet = document.querySelector('#it .fills');
  const { data } = sheet.getContext('2d').getImageData(0, 0, sheet.width, sheet.height);
  let sum = 0;
  for (let i = 3; i < data.length; i += 4) sum += data[i] > 0;
  return sum;
}"""
COUNT = "() => { window.fingers = 0; addEventListener('lucida-finger-done', () => { window.fingers++; }); }"
MASK = """() => {
  const sheet = document.querySelector('#it .fills');
  const { data } = sheet.getContext('2d').getImageData(0, 0, sheet.width, sheet.height);
  let bits = '';
  for (let i = 3; i < data.length; i += 4) bits += data[i] > 0 ? 1 : 0;
  return [sheet.height, sheet.width, bits];
}"""


# Scroll bars come with a zoom and lay the picture out once more.
STILL = """async () => {
  const place = () => JSON.stringify(document.querySelector('#it .sheet img').getBoundingClientRect());
  for (let before = '', still = 0; still < 3; ) {
    await new Promise(requestAnimationFrame);
    still = place() === before ? still + 1 : 0;
    before = place();
  }
}"""


def stage_pages(opener, site) -> Iterator:
    """show(scale=2) -> the page with the stage, its picture on screen."""

    def show(**options):
        stage_page.FINGERS.clear()
        stage_page.GATE.set()
        page = opener(f"{site}?show=stage", **options)
        page.set_default_timeout(120_000)
        page.wait_for_function(
            "document.querySelector('#it .sheet img')?.naturalWidth > 0 && document.querySelector('#got textarea')"
        )
        page.evaluate(COUNT)
        return page

    yield show
    stage_page.GATE.set()


def tool(page, name):
    return page.locator(f"#it [data-name={name}]")


def got(page) -> dict:
    return json.loads(page.evaluate(GOT))


def wait_for(page, condition: str):
    """Wait until what Python got of the marks, `v`, meets a condition in JavaScript."""
    page.wait_for_function(f"() => {{ const v = JSON.parse({GOT} || 'null'); return v && {condition}; }}")
    return got(page)


def place(page, x, y, size):
    """Where on screen the middle of a pixel of the picture is, for the pointer to be put there."""
    box = page.locator("#it .sheet img").bounding_box()
    return box["x"] + (x + 0.5) * box["width"] / size[0] - 0.5, box["y"] + (y + 0.5) * box["height"] / size[1] - 0.5


def upload(page, path, size):
    page.locator("#it input[type=file]").set_input_files(path)
    return wait_for(page, f"String(v.size) === '{size[0]},{size[1]}'")


def shown_mask(page) -> np.ndarray:
    height, width, bits = page.evaluate(MASK)
    return (np.frombuffer(bits.encode(), np.uint8) == ord("1")).reshape(height, width)


def coded(tmp_path, size):
    path = tmp_path / "coded.png"
    Image.fromarray(harness.coded(*size)).save(path, compress_level=1)
    return path
