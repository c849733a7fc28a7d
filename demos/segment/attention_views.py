"""Attention and the mask's product -> what attention.js and pixel.js take. Pure: no gradio, no torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from demos.segment import logit_views
from demos.shell.arrays import pack

if TYPE_CHECKING:
    from pipelines.segment.attention import Attention, Token
    from pipelines.segment.formula import Product
    from pipelines.segment.masks import Masks

MOST_NUMBERS = 2_000_000  # sent with every head; above, the heads are averaged
FINAL = "final"


def marks(masks: Masks) -> dict:
    """{"marks": [{"x", "y", "label"}], "marked_box"} of the prompt, in pixels of the picture at `size`."""
    (height, width), (full_height, full_width) = masks.size, masks.full_size
    across, down = width / full_width, height / full_height
    points = [
        {"x": (click.x + 0.5) * across, "y": (click.y + 0.5) * down, "label": int(click.positive)}
        for click in masks.prompt.points
    ]
    box = masks.prompt.box
    return {"marks": points, "marked_box": box and [edge * (across, down)[i % 2] for i, edge in enumerate(box)]}


# --- attention ---


def attention(found: Attention, *, token: int) -> dict:
    """All of it but the picture; "array" still to be packed. token: of the mask whose attention comes first."""
    rows, columns = (math.ceil(length) for length in found.extent)
    parts = {name: values[:, :, :rows, :columns] for name, values in found.layers.items()}
    averaged = sum(values.size for values in parts.values()) > MOST_NUMBERS
    if averaged:
        parts = {name: values.mean(axis=0, keepdims=True) for name, values in parts.items()}
    layers, offset = [], 0
    for name, values in parts.items():  # in the order in which they work
        layers.append({"final": name == FINAL, "heads": len(values), "offset": offset})
        offset += values.size
    (height, width), (high, wide) = found.masks.size, found.extent
    first = next(i for i, one in enumerate(found.tokens) if (one.kind, one.number) == ("mask", token))
    return {
        "array": np.concatenate([values.astype(np.float16).ravel() for values in parts.values()]),
        "map": list(parts.values())[-1][:, first].mean(axis=0),
        "box": (0.0, 0.0, columns * width / wide, rows * height / high),
        "layers": layers,
        "tokens": [_token(one) for one in found.tokens],
        "token": first,
        "averaged": averaged,
        **marks(found.masks),
    }


def _token(token: Token) -> dict:
    """{"kind": the end of its word's key, "n"}: masks by their token, what the visitor marked counted from 1."""
    if token.kind == "click":
        return {"kind": "positive" if token.positive else "negative", "n": token.number + 1}
    return {"kind": token.kind, "n": token.number + (token.kind == "corner")}


# --- the product ---


def product(found: Product, *, token: int) -> dict:
    """All of it but the picture; "array", the map's vectors, still to be packed. It begins at the first mark."""
    masks, (rows, columns) = found.masks, found.masks.valid
    cells = np.clip(found.map[:, :rows, :columns], -logit_views.HALF_MAX, logit_views.HALF_MAX)
    return {
        "array": cells.astype(np.float16),
        "vectors": pack(np.ascontiguousarray(found.hyper, dtype=np.float32)),
        "map": masks.logits[token, :rows, :columns],
        "box": logit_views.cells_box(masks),
        "signed": True,
        "token": token,
        "spot": _first_cell(masks),
        **marks(masks),
    }


def _first_cell(masks: Masks) -> dict:
    """The cell under the first click, or in the middle of the box; the middle of the picture without either."""
    said, (height, width), (rows, columns) = marks(masks), masks.size, masks.valid
    _, _, right, bottom = logit_views.cells_box(masks)
    x, y = width / 2, height / 2
    if said["marks"]:
        x, y = said["marks"][0]["x"], said["marks"][0]["y"]
    elif said["marked_box"]:
        (x0, y0, x1, y1) = said["marked_box"]
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return {
        "row": min(int(y / bottom * rows), rows - 1),
        "column": min(int(x / right * columns), columns - 1),
    }
