"""One pass of the model over a grid as the page gets it: bits of masks and a few numbers each, in private files."""

from __future__ import annotations

import math
import secrets
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from demos.shell import arrays
from demos.shell.components import door

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipelines.runtime.errors import UserError
    from pipelines.segment.everything import Funnel, GridPass, Thresholds

NUMBERS, PICTURE = "everything.npz", "everything.jpg"  # of the stored result
LONGEST_CELLS = 128  # of a mask on the page: finer ones are drawn coarser; filters and exports use them as they are
LIMITS = ("iou", "stability", "nms", "min_area")
FEW = 5  # where the library's thresholds leave fewer masks, the sliders begin lower
KEPT, SMALL = 0, 4  # in `Funnel.reasons`


@dataclass(frozen=True, eq=False)
class Candidates:
    """M masks, three for each point of the grid.

    bits: (M, rows, bytes) uint8, one bit a cell, the highest first; columns of them count. extent: (2,) rows and
    columns of the picture in cells, the last of which may be cut. numbers: (M, 9) float32: predicted IoU, stability;
    box x0, y0, x1, y1 and area in pixels of `size` (h, w); point x, y as shares of the picture. limits: (4,) what the
    sliders begin with, in the order of LIMITS.
    """

    bits: np.ndarray
    columns: np.ndarray
    extent: np.ndarray
    numbers: np.ndarray
    size: np.ndarray
    limits: np.ndarray


@dataclass(frozen=True)
class Under:
    """The picture under the masks. name: as the stage calls it. full_size: (H, W) of its file. jpeg: for the page."""

    name: str
    full_size: tuple[int, int]
    jpeg: bytes

    @classmethod
    def of(cls, name: str, full_size: tuple[int, int], pixels: np.ndarray) -> Under:
        """pixels: (h, w, 3) uint8 at display size."""
        return cls(name, full_size, door.encoded(pixels, longest=max(pixels.shape), quick=True)[0])


def candidates(grid: GridPass) -> Candidates:
    """A pass for the page."""
    block = thinned(grid)
    masks = grid.part(slice(None))[:, ::block, ::block] > 0
    pixels = np.rint(grid.areas.astype(np.float64) * (grid.size[0] * grid.size[1]))
    places = np.repeat((grid.points + 0.5) / grid.full_size[::-1], len(grid) // len(grid.points), axis=0)
    return Candidates(
        bits=np.packbits(masks, axis=2),
        columns=np.array(masks.shape[2]),
        extent=np.array(grid.frame.extent) / block,
        numbers=np.column_stack([grid.iou, grid.stability, grid.boxes, pixels, places]).astype(np.float32),
        size=np.array(grid.size),
        limits=np.array([getattr(start(grid), name) for name in LIMITS], np.float64),
    )


def start(grid: GridPass) -> Thresholds:
    """Where the sliders begin: the library's thresholds, which were chosen for a full-size SAM.

    A small model says lower scores of its masks. Where too little would be left, the best quarter by predicted IoU
    passes the first filter, and the more stable half of these the second.
    """
    from pipelines.segment.everything import Thresholds, filter

    library = Thresholds()
    if len(filter(grid, library).kept) >= FEW:
        return library
    iou = min(_two_digits(np.quantile(grid.iou, 3 / 4)), library.iou)
    stability = grid.stability[(grid.iou > iou) & np.isfinite(grid.stability)]
    median = _two_digits(np.median(stability)) if len(stability) else 0.0
    return replace(library, iou=iou, stability=min(median, library.stability))


def _two_digits(value: float) -> float:
    """Rounded down, so that what has the value passes."""
    return max(math.floor(value * 100) / 100, 0.0)


def thinned(grid: GridPass) -> int:
    """Every how many-th cell of a mask goes to the page."""
    return -(-max(grid.frame.valid) // LONGEST_CELLS)


def cleaned(grid: GridPass, funnel: Funnel) -> dict[str, Any]:
    """What the page cannot find out alone: the last filter, which looks at pixels.

    {"serial", "limits", "kept": candidates in order, "gone": [[candidate, who suppressed it]], "touched": candidates
    whose holes were closed or specks removed, "bits": theirs, packed as those of `Candidates`, "boxes": likewise}.
    """
    looked_at = np.flatnonzero((funnel.reasons == KEPT) | (funnel.reasons == SMALL)).tolist()
    block, touched = thinned(grid), [index for index in looked_at if funnel.cleaned.get(index) is not None]
    masks = [in_cells(funnel.mask(grid, index), grid.frame.extent)[::block, ::block] for index in touched]
    rows, columns = (-(-side // block) for side in grid.frame.valid)
    shaped = np.array(masks, bool).reshape(len(touched), rows, columns)
    small = np.flatnonzero(funnel.reasons == SMALL)
    return {
        "serial": secrets.token_hex(8),
        "limits": asdict(funnel.thresholds),
        "kept": funnel.kept.tolist(),
        "gone": np.column_stack([small, funnel.rival[small]]).tolist(),
        "touched": touched,
        "bits": arrays.pack(np.packbits(shaped, axis=2)),
        "boxes": arrays.pack(funnel.boxes[touched].reshape(-1, 4).astype(np.float32)),
    }


def refused(limits: Mapping[str, float], error: UserError) -> dict[str, Any]:
    """In place of `cleaned`: why the last filter did not work at these limits."""
    why = door.in_both(error.key, **error.values)
    return {"serial": secrets.token_hex(8), "limits": dict(limits), "refused": why}


def in_cells(mask: np.ndarray, extent: tuple[float, float]) -> np.ndarray:
    """(h, w) bool -> (rows, columns) bool: the pixel under the middle of each cell."""
    places = [
        np.minimum(((np.arange(np.ceil(cells)) + 0.5) * pixels / cells).astype(int), pixels - 1)
        for pixels, cells in zip(mask.shape, extent, strict=True)
    ]
    return mask[np.ix_(*places)]


def value(of: Candidates, under: Under, folder: Path, *, stem: str = "", stored: bool = False) -> dict[str, Any]:
    """What the funnel takes. Arrays and picture are written into the folder.

    stem: of the files' names there; left out, one that nobody can guess.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = stem or secrets.token_urlsafe(24)
    shown = folder / f"{stem}.jpg"
    shown.write_bytes(under.jpeg)
    height, width = (int(side) for side in of.size)
    return {
        "serial": stem,
        "name": under.name,
        "full": list(under.full_size),
        "stored": stored,
        "picture": {"url": arrays.address(shown)},
        "width": width,
        "height": height,
        "masks": arrays.pack_at(of.bits, folder / f"{stem}-masks.bin"),
        "numbers": arrays.pack_at(of.numbers, folder / f"{stem}-numbers.bin"),
        "cells": {"rows": of.bits.shape[1], "columns": int(of.columns), "extent": of.extent.tolist()},
        "thresholds": dict(zip(LIMITS, of.limits.tolist(), strict=True)),
    }


def save(grid: GridPass, folder: Path, *, name: str, pixels: np.ndarray) -> None:
    """Keep a pass for the stored result. name, pixels: see `Under`."""
    facts = {"name": np.array(name), "full_size": np.array(grid.full_size)}
    np.savez_compressed(folder / NUMBERS, **asdict(candidates(grid)), **facts)
    (folder / PICTURE).write_bytes(Under.of(name, grid.full_size, pixels).jpeg)


def stored(folder: Path, cache: Path) -> dict[str, Any] | None:
    """The funnel's value of a pass that `save` kept, its files copied to where the page may fetch them; or None."""
    if not (folder / NUMBERS).is_file():
        return None
    with np.load(folder / NUMBERS, allow_pickle=False) as kept:
        of = Candidates(**{field.name: kept[field.name] for field in fields(Candidates)})
        under = Under(str(kept["name"]), tuple(kept["full_size"].tolist()), (folder / PICTURE).read_bytes())
    return value(of, under, cache, stem="stored", stored=True)
