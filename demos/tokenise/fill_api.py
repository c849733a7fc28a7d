"""Filling as a named function for the Python client, REST and MCP: same limits and sentences as the page."""

from __future__ import annotations

import math
import secrets
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from demos.shell import jobs, sessions
from demos.shell.components.door import file_data, uploaded
from demos.tokenise import fill_run, fill_views, parts
from demos.tokenise.fill_run import Wanted
from pipelines.runtime.errors import UserError

MOST_BOXES = 100


def fill_hole(
    picture: gr.FileData, hole: list | None = None, text: str = "", guidance: float = fill_run.GUIDANCE,
    steps: int = fill_run.STEPS, temperature: float = fill_run.TEMPERATURE, seed: int = 0, size: int = parts.SIZE,
    model: str = parts.BUNDLED, lang: str = "en",
) -> dict:  # fmt: skip
    """Hide some of a picture's codes and let the second stage fill them; gives the codes, each step and the picture.

    Args:
        picture: the picture file, at most 20 MB and 50 megapixels
        hole: up to 100 boxes [x0, y0, x1, y1] in pixels of the picture, which hide all codes that they touch; none: all
        text: what it should be, a name or short sentence in English or Chinese, up to 200 characters; may be empty
        guidance: weight of the text, 0 to 10; 1 is as the second stage was trained
        steps: 1 to 64
        temperature: 0 (always the likeliest code) to 2
        seed: 0 to 4294967295; the same seed gives the same codes
        size: pixels of the longer side, 128, 256, 512 or 1024; a smaller picture is never enlarged
        model: the autoencoder, an id of the model catalogue that has a second stage
        lang: en or zh, the language of error sentences
    """
    asked, longest = Wanted(text, guidance, steps, temperature, seed), parts.size(size)
    stage_id = fill_run.stage_id(parts.chosen(model))  # before the picture is decoded: what is wrong costs nothing
    fill_run.check(asked)
    opened, loaded = uploaded(picture), parts.load(model)
    from pipelines.tokenise import code

    pixels = code.prepared(opened.pixels, longest=longest)
    tokens = jobs.on_device(code.encode, loaded, pixels, picture=opened.sha256)
    hidden = holes(hole, tokens.indices.shape, cell=loaded.cell, full=opened.pixels.shape[:2], size=tokens.size)
    made = list(jobs.steps(fill_run.run(parts.load_any(stage_id), tokens.indices, hidden, asked)))
    painted = jobs.on_device(code.decode, loaded, made[-1].indices, size=tokens.size)
    path = sessions.of(gr.Request()).folder / f"{secrets.token_urlsafe(16)}.png"  # of a session of its own
    Image.fromarray(painted).save(path)
    return {
        "model": loaded.id,
        "second_stage": stage_id,
        "indices": made[-1].indices.tolist(),
        "hole": hidden.astype(int).tolist(),
        "steps": [fill_views.point(step) for step in made],
        "picture": file_data(str(path)),
    }


def holes(boxes: Any, shape: tuple[int, int], *, cell: int, full: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(h, w) bool: the codes that boxes touch; all of them where there is no box.

    boxes: [[x0, y0, x1, y1], ...] in pixels of the picture, of `full` = (H, W). size: (H, W) of what was encoded.
    Raises UserError.
    """
    if boxes is None or boxes == []:
        return np.ones(shape, bool)
    if not isinstance(boxes, list | tuple) or len(boxes) > MOST_BOXES:
        raise UserError("tokenise.fill_boxes", most=MOST_BOXES)
    made = np.zeros(shape, bool)
    for box in boxes:
        x0, y0, x1, y1 = _box(box)
        across, down = size[1] / full[1] / cell, size[0] / full[0] / cell
        rows = slice(max(math.floor(y0 * down), 0), max(math.ceil(y1 * down), 0))
        made[rows, max(math.floor(x0 * across), 0) : max(math.ceil(x1 * across), 0)] = True
    if not made.any():
        raise UserError("tokenise.fill_box_outside", width=full[1], height=full[0])
    return made


def _box(box: Any) -> tuple[float, float, float, float]:
    """Four finite numbers, the first corner above and left of the second. Raises UserError."""
    plain = isinstance(box, list | tuple) and len(box) == 4
    if not plain or any(isinstance(side, bool) or not isinstance(side, int | float) for side in box):
        raise UserError("tokenise.fill_boxes", most=MOST_BOXES)
    if not all(map(math.isfinite, box)) or box[0] >= box[2] or box[1] >= box[3]:
        raise UserError("tokenise.fill_boxes", most=MOST_BOXES)
    return tuple(map(float, box))


API = {"fill_hole": fill_hole}
