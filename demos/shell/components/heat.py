"""A map laid over a picture in its true place: strength and smoothing are the visitor's, without a round trip.

A value is {"picture", "map", "box", "signed", "range"}:

    HeatMap() <- {"picture": picture, "map": values, "box": (x0, y0, x1, y1), "signed": True}

picture: a `Picture`, its pixels (H, W, 3) uint8, or what `ready(picture)` gave: while a map streams in, make that
once. map: (h, w) floats, row 0 at the top; NaN where nothing is computed yet. box: where the map lies, in pixels of
the picture; left out, all of it. signed: zero has a meaning, and gets the middle of the diverging colours. range: the
values at both ends of the colours; left out, those of the map itself.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from demos.shell.arrays import pack
from demos.shell.components import colours, door
from demos.shell.components.parts import script, template
from demos.shell.components.shown import Shown
from pipelines.runtime.pictures import Picture

LONGEST_PX = 1024  # of the picture under a map
WORDS = ["heat", "opacity", "smooth", "cell", "cell_missing", "range_sequential", "range_signed", "hatched", "no_map"]


class HeatMap(Shown):
    """Only shown: Python gets nothing from it."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        super().__init__(
            value,
            html_template=template("heat.html"),
            css_template=template("heat.css"),
            js_on_load=script("common.js", "heat.js"),
            apply_default_css=False,
            words=[f"components.{name}" for name in WORDS],
            colours=colours.stored(),
            **kwargs,
        )

    def postprocess(self, value: Mapping | None) -> dict | None:
        if value is None:
            return None
        shown = value["picture"] if isinstance(value["picture"], Mapping) else ready(value["picture"])
        values = value["map"] if isinstance(value["map"], Mapping) else pack(_checked(value["map"]))
        box = value.get("box") or (0, 0, shown["width"], shown["height"])
        signed, limits = bool(value.get("signed")), value.get("range")
        return {
            **shown,
            "map": values,
            "box": [float(side) for side in box],
            "signed": signed,
            "range": [float(end) for end in limits] if limits is not None else None,
        }


def ready(picture: Picture | np.ndarray) -> dict:
    """The picture as a file that a value can name: {"picture": file, "width", "height" of the picture itself}."""
    pixels = picture if isinstance(picture, np.ndarray) else picture.pixels
    height, width = pixels.shape[:2]
    data, mime = door.encoded(pixels, longest=LONGEST_PX)
    path = save_bytes_to_cache(data, "under." + mime.removeprefix("image/"), get_upload_folder())
    return {"picture": door.file_data(path), "width": width, "height": height}


def _checked(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"a map must have shape (h, w), got {values.shape}")
    if np.isinf(values).any():
        raise ValueError("a map must be finite; NaN stands for what is not computed yet")
    return values.astype(np.float32)
