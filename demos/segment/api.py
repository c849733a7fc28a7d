"""The tab's named functions for the Python client, REST and MCP: same limits and sentences as the page."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from demos.segment import answer, downloads, parts, result, wanted
from demos.shell import jobs, sessions
from pipelines.runtime.errors import UserError


def segment(
    picture: gr.FileData, points: list | None = None, labels: list | None = None, box: list | None = None,
    token: int = -1, previous: bool = True, threshold: float = 0.0, model: str = "", lang: str = "en",
) -> dict:  # fmt: skip
    """Cut out one object of a picture by clicks and a box; gives the mask, its numbers and the cut-out.

    Args:
        picture: the picture file, at most 20 MB and 50 megapixels
        points: up to 100 clicks [x, y] in pixels of the picture, counted from 0; [[120, 80], [40, 60]]
        labels: for each point 1 (belongs to the object) or 0 (does not); left out, all are 1
        box: [x0, y0, x1, y1], edges in pixels of the picture; it comes before the points
        token: which of the decoder's masks, 0 to 3; -1 for the one of 1 to 3 with the highest predicted IoU
        previous: whether each further click also gets the mask so far, as in training; else all go in at once
        threshold: where the mask is cut, in logits; 0 is the library's
        model: an id of the model catalogue such as lucida-sam; empty for the app's choice
        lang: en or zh, the language of error sentences
    """
    asked = object_of(points, labels, box, token=token, threshold=threshold)
    parts.chosen(model)  # before the picture is decoded: a wrong name costs nothing
    opened = _opened(picture)
    height, width = opened.pixels.shape[:2]
    (one,), _ = wanted.read({"objects": [asked]}, width, height)
    if one.empty:
        raise UserError("errors.mark_none")
    loaded = parts.load(model)
    from pipelines.segment import prompt

    embedding = jobs.on_device(prompt.encode, loaded, opened.pixels, picture=opened.sha256)
    solved = answer.solve(loaded, embedding, one, chained=previous is not False)
    layer = answer.layer_of(one, 0, solved.masks)
    kept = downloads.Full(opened.pixels, (layer,), 0)
    folder = sessions.of(gr.Request()).folder / secrets.token_urlsafe(16)  # of a session of its own
    folder.mkdir()
    return {
        "model": loaded.id,
        "width": width,
        "height": height,
        **result.plain(layer),
        "encoder_milliseconds": round(embedding.ms, 2),
        **_files(kept, folder, lang),
    }


def object_of(points: Any, labels: Any, box: Any, *, token: Any, threshold: Any) -> dict:
    """One object in the stage's form out of plain values, its places still unchecked. Raises UserError."""
    points, labels, box = (_list(value) for value in (points, labels, box))
    if len(points) > wanted.MOST_POINTS:
        raise UserError("errors.marks_many", count=len(points), most=wanted.MOST_POINTS)
    if labels and len(labels) != len(points):
        raise UserError("segment.labels_count", labels=len(labels), points=len(points))
    made = []
    if box:
        if len(box) != 4:
            raise UserError("errors.mark_form", found=str(box)[:40])
        made.append({"kind": "box", **dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))})
    for point, label in zip(points, labels or [1] * len(points), strict=True):
        if not isinstance(point, list | tuple) or len(point) != 2:
            raise UserError("errors.mark_form", found=str(point)[:40])
        made.append({"kind": "point", "x": point[0], "y": point[1], "label": label})
    return {"marks": made, "token": None if token in (-1, None) else token, "threshold": threshold}


def _list(value: Any) -> list:
    """A list, or the JSON text of one; nothing is an empty one. Raises UserError."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else []
        except (ValueError, RecursionError):
            raise UserError("errors.mark_json", found=value[:40]) from None
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise UserError("errors.mark_form", found=str(value)[:40])
    return list(value)


def _files(kept: downloads.Full, folder: Path, lang: str) -> dict:
    """The mask as COCO writes it, and the two pictures."""
    from pipelines.segment import export

    mask = downloads.mask_of(kept.layer)
    made = {"area_pixels": int(mask.sum()), "rle": export.rle(mask), "polygons": export.polygons(mask)}
    kinds = ("mask", "cut_out") if mask.any() else ("mask",)
    return {**made, **{kind: _file(downloads.write(kind, kept, folder, lang=lang)) for kind in kinds}}


def _file(path: Path) -> dict:
    return {"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}


def _opened(picture):
    """The picture of a file that was uploaded here. Raises UserError."""
    from pipelines.runtime.pictures import open_picture

    path = picture.get("path") if isinstance(picture, Mapping) else picture  # a file of Gradio's client, or its name
    if not path:
        raise UserError("errors.picture_missing")
    if not isinstance(path, str):
        raise UserError("errors.picture_not_file")
    if not sessions.is_own_file(path):
        raise UserError("errors.picture_gone")
    return open_picture(Path(path))


API = {"segment": segment}
