"""The stage with its clocks over a made-up SAM: the mask is a disc about the last point, so that its edge is known."""

import json
import math
import threading
from functools import lru_cache

import gradio as gr
import numpy as np

from demos.segment.clocks import Clocks, answer, encoding, layer
from demos.segment.stage import Asked, Stage, wire_finger
from demos.shell import jobs
from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import open_picture
from pipelines.segment.marks import Prompt
from pipelines.segment.masks import Masks
from tests.browser import harness

SQUARE, SIDE, DISPLAY = 256, 128, 1024
RADIUS = 20  # of a disc, in cells of the logits
FINGERS = []  # of every place of a finger that Python was asked for: (x, y), and the colour of the picture there
GATE = threading.Event()  # while it is not set, the answer to a finger waits
GATE.set()


def made_up(x: float, y: float, full_size: tuple[int, int]) -> Masks:
    """A disc about the middle of pixel (x, y); the logit is the distance to its edge in cells, at most 10."""
    height, width = full_size
    scale = min(1.0, DISPLAY / max(full_size))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    input_size = tuple(int(side * SQUARE / max(size) + 0.5) for side in size)
    row, column = np.mgrid[:SIDE, :SIDE] + 0.5
    cells = SIDE / SQUARE
    cx, cy = (x + 0.5) / width * input_size[1] * cells, (y + 0.5) / height * input_size[0] * cells
    logits = np.clip(RADIUS - np.hypot(column - cx, row - cy), -10, 10).astype(np.float32)
    four = np.full(4, 0.5, np.float32)
    valid = tuple(math.ceil(side * cells) for side in input_size)
    return Masks(
        np.stack([logits] * 4), four, four, four, valid, SQUARE, input_size, size, full_size, 12.0, Prompt(), "", ""
    )  # fmt: skip


@lru_cache(maxsize=2)
def pixels_of(path) -> np.ndarray:
    """Opened once: 16 megapixels take a second."""
    return open_picture(path).pixels


def middle(marks: list[dict]) -> tuple[float, float] | None:
    """Where the disc of these marks lies: at the last point that belongs, else in the middle of the box."""
    points = [mark for mark in marks if mark["kind"] == "point" and mark["label"] == 1]
    if points:
        return points[-1]["x"], points[-1]["y"]
    boxes = [mark for mark in marks if mark["kind"] == "box"]
    return ((boxes[-1]["x0"] + boxes[-1]["x1"]) / 2, (boxes[-1]["y0"] + boxes[-1]["y1"]) / 2) if boxes else None


def on_marks(asked: Asked | None, lang):
    if asked is None:
        yield "null", None
        return
    yield gr.skip(), encoding(asked.name)
    pixels = pixels_of(asked.path)
    layers, under = {}, []
    for each in asked.objects:
        place = middle(each["marks"])
        layers[each["id"]] = layer(made_up(*place, pixels.shape[:2]), 1) if place else None
        under += [pixels[mark["y"], mark["x"]].tolist() for mark in each["marks"] if mark["kind"] == "point"]
    got = {"name": asked.name, "objects": asked.objects, "active": asked.active, "under": under}
    got["size"] = [pixels.shape[1], pixels.shape[0]]
    yield json.dumps(got), answer(asked.name, layers=layers, encoder_ms=123.0, decoder_ms=12.0)


def on_finger(asked: Asked | None, lang):
    GATE.wait(20)
    pixels = pixels_of(asked.path)
    x, y = asked.finger
    FINGERS.append(((x, y), tuple(pixels[y, x].tolist())))
    if y == 0:
        raise UserError("errors.picture_gone")
    return answer(asked.name, finger=layer(made_up(x, y, pixels.shape[:2]), 1), encoder_ms=123.0, decoder_ms=8.5)


def show_stage():
    stage = Stage(harness.OFFERED[1][0], examples=harness.OFFERED, elem_id="it")
    clocks = Clocks(elem_id="clocks")
    got = gr.Textbox(elem_id="got", interactive=True)
    lang = gr.Textbox("en", interactive=True)
    stage.input(on_marks, [stage, lang], [got, clocks], **harness.LAST)
    wire_finger(stage, jobs.short(on_finger), [stage, lang], clocks)


harness.SHOWN["stage"] = show_stage

if __name__ == "__main__":
    with harness.served(7821) as address:
        print(address, flush=True)
        threading.Event().wait()
