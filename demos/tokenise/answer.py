"""From what is asked to a grid on the board, and from an edited grid to its picture.

Every new grid goes through `put`, whatever its codes come from: a picture, chance, the second stage, a file. The
session keeps that grid as it was before any edit, with its picture, for maps of what an edit changed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import gradio as gr
import numpy as np

from demos.shell import jobs, sessions
from demos.tokenise import board, parts
from demos.tokenise.parts import Question, Shared
from pipelines.runtime.errors import UserError

GRID = "tokenise.grid"  # session: Grid
EDITED = "tokenise.edited"  # session: (name of the grid, indices, pixels) of the edit that was decoded last


@dataclass(frozen=True, eq=False)
class Grid:
    """What was put on the board, before any edit. indices: (h, w) int32. pixels: (H, W, 3) uint8, what they paint.

    ms: what decoding took.
    """

    question: Question
    indices: np.ndarray
    pixels: np.ndarray
    ms: float = 0.0


@dataclass(frozen=True, eq=False)
class Painted:
    """An edited grid, decoded. other: what the second grid of a swap paints, or None. ms: of both."""

    pixels: np.ndarray
    other: np.ndarray | None
    ms: float


def put(
    question: Question, indices: np.ndarray, pixels: np.ndarray, *, codes: int, cell: int, shared: Shared,
    request: gr.Request, original: np.ndarray | None = None, ms: float = 0.0,
) -> dict:  # fmt: skip
    """Values of the board and of `answered` for a new grid, which the session keeps.

    indices: (h, w) integers below `codes`. pixels: (H, W, 3) uint8, what they decode to. original: the picture that was
    encoded, at that size, where the codes are a picture's. cell: pixels that a token covers. ms: of decoding.
    """
    question = replace(question, size=pixels.shape[:2])
    keep(Grid(question, indices, pixels, ms), request)
    shown = board.grid(
        question.name,
        indices,
        codes=codes,
        cell=cell,
        size=question.size,
        picture=pixels,
        original=original,
        source=question.source,
    )
    return {shared.board: shown, shared.answered: question.text}


def keep(made: Grid, request: gr.Request) -> None:
    """Make this grid the one that the session speaks of."""
    sessions.of(request).put(GRID, made, nbytes=made.indices.nbytes + made.pixels.nbytes + 1_000)


def latest(request: gr.Request) -> Grid | None:
    """The grid that was put on the board last, if the session still holds it."""
    return sessions.of(request).get(GRID)


def grid(answered: str, request: gr.Request) -> Grid:
    """The grid on the board as it was before any edit; a picture's is computed again where it was let go of.

    Raises UserError.
    """
    asked, kept = parts.question(answered), latest(request)
    if kept is not None and kept.question.name == asked.name:
        return kept
    if asked.source != "picture":
        raise UserError("tokenise.grid_gone")
    made = of_picture(asked, request)
    if kept is None:  # else a newer grid is on the board, and this one is asked for by what began before it
        keep(made, request)
    return made


def of_picture(asked: Question, request: gr.Request) -> Grid:
    """Encode the question's picture and decode its codes. Raises UserError."""
    tokens = parts.encoded(asked.picture, asked.longest, asked.model_id, request).tokens
    pixels, ms = painted(asked.model_id, tokens.indices, size=tokens.size)
    return Grid(replace(asked, size=tokens.size), tokens.indices, pixels, ms)


def painted(model_id: str, indices: np.ndarray, *, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """((H, W, 3) uint8, milliseconds): a grid decoded in one turn of the device. Raises UserError."""
    loaded = parts.load(model_id)
    from pipelines.tokenise import code

    def run() -> tuple[np.ndarray, float]:
        started = time.perf_counter()
        pixels = code.decode(loaded, indices, size=size)
        return pixels, (time.perf_counter() - started) * 1000

    return jobs.on_device(run)


def pixels_of(begun: Grid, now: np.ndarray, request: gr.Request) -> np.ndarray:
    """What a grid (h, w) that began as `begun` paints: known where it was decoded just now. Raises UserError."""
    if np.array_equal(now, begun.indices):
        return begun.pixels
    name, indices, pixels = sessions.of(request).get(EDITED) or ("", None, None)
    if name == begun.question.name and np.array_equal(indices, now):
        return pixels
    pixels, _ = painted(begun.question.model_id, now, size=begun.question.size)
    _keep_edited(begun.question.name, now, pixels, request)
    return pixels


def edited(asked: Question, now, request: gr.Request) -> Painted:
    """Decode the board as it is now (`edited.Edited`). Raises UserError."""
    pixels, ms = painted(asked.model_id, now.indices, size=asked.size)
    _keep_edited(asked.name, now.indices, pixels, request)
    if now.other is None:
        return Painted(pixels, None, ms)
    other, other_ms = painted(asked.model_id, now.other, size=asked.size)
    return Painted(pixels, other, ms + other_ms)


def _keep_edited(name: str, indices: np.ndarray, pixels: np.ndarray, request: gr.Request) -> None:
    held = indices.nbytes + pixels.nbytes
    sessions.of(request).put(EDITED, (name, indices, pixels), nbytes=held)
