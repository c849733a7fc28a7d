"""The tab's named functions for the Python client, REST and MCP: same limits and sentences as the page."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from demos.segment import answer, downloads, everything_panel, everything_views, parts, result, wanted
from demos.shell import jobs, sessions
from demos.shell.components.door import uploaded
from demos.shell.words import say
from pipelines.runtime.errors import UserError


def segment(
    picture: gr.FileData, points: list | None = None, labels: list | None = None, box: list | None = None,
    token: int = -1, previous: bool = True, threshold: float = 0.0, model: str = "", lang: str = "en",
) -> dict:  # fmt: skip
    """Cut out one object of a picture by clicks and a box; gives the mask, its numbers and the cut-out.

    Args:
        picture: the picture file, at most 20 MB and 50 megapixels
        points: up to 100 clicks [x, y] or [x, y, label] in pixels of the picture, from 0; [[120, 80], [40, 60, 0]]
        labels: for each point 1 (belongs to the object) or 0 (does not); left out, its own label, else 1
        box: [x0, y0, x1, y1], edges in pixels of the picture; it comes before the points
        token: which of the decoder's masks, 0 to 3; -1 for the one of 1 to 3 with the highest predicted IoU
        previous: whether each further click also gets the mask so far, as in training; else all go in at once
        threshold: where the mask is cut, in logits; 0 is the library's
        model: an id of the model catalogue such as lucida-sam; empty for the app's choice
        lang: en or zh, the language of notes and error sentences
    """
    asked = object_of(points, labels, box, token=token, threshold=threshold)
    parts.chosen(model)  # before the picture is decoded: a wrong name costs nothing
    opened = uploaded(picture)
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
        "notes": [say(note.key, lang, **note.values) for note in opened.notes],
        **_files(kept, folder, lang),
    }


def segment_everything(
    picture: gr.FileData, side: int = 16, iou: float = -1.0, stability: float = -1.0, nms: float = 0.7,
    min_area: int = 0, model: str = "", lang: str = "en",
) -> dict:  # fmt: skip
    """Cut out everything in a picture: three masks for each point of a grid, then the filters of SAM's own generator.

    Args:
        picture: the picture file, at most 20 MB and 50 megapixels
        side: 8, 16 or 32 points along each side of the grid
        iou: what a mask's predicted IoU must be above, 0 to 1; -1 for the page's start value, which fits the model
        stability: what a mask's stability must reach, 0 to 1; -1 for the page's start value
        nms: of two masks whose boxes overlap by more than this (IoU of boxes) the better one stays, 0 to 1
        min_area: holes and specks of fewer pixels are closed and removed, 0 leaves them
        model: an id of the model catalogue; empty for the app's choice
        lang: en or zh, the language of names and error sentences
    """
    side = everything_panel.read_side(side)
    parts.chosen(model)
    opened, loaded = uploaded(picture), parts.load(model)
    from pipelines.segment import prompt
    from pipelines.segment.everything import Thresholds, filter, grid_pass

    embedding = jobs.on_device(prompt.encode, loaded, opened.pixels, picture=opened.sha256)
    *_, grid = jobs.steps(grid_pass(loaded, embedding, side=side))
    start = everything_views.start(grid)
    given = {"iou": start.iou if iou == -1 else iou, "stability": start.stability if stability == -1 else stability}
    funnel = filter(grid, Thresholds(**given, nms=nms, min_area=min_area))
    return {
        "model": loaded.id,
        "thresholds": asdict(funnel.thresholds),
        "counts": funnel.counts,
        "coco": everything_panel.coco(grid, funnel, lang),
        "milliseconds": round(grid.ms, 1),
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
    for point, label in zip(points, labels or [None] * len(points), strict=True):
        if not isinstance(point, list | tuple) or len(point) not in (2, 3):
            raise UserError("errors.mark_form", found=str(point)[:40])
        made.append({"kind": "point", "x": point[0], "y": point[1], "label": _label(label, *point[2:])})
    return {"marks": made, "token": None if token in (-1, None) else token, "threshold": threshold}


def _label(given: Any, own: Any = 1) -> int:
    """The label given for a point, else its own third number, else 1. Raises UserError."""
    label = own if given is None else given
    if not isinstance(label, int | float) or label not in (0, 1):
        raise UserError("errors.mark_label", label=str(label)[:20])
    return int(label)


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


API = {"segment": segment, "segment_everything": segment_everything}
