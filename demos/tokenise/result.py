"""A grid as it is now -> what every component under the board shows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np

from demos.shell import results
from demos.tokenise import answer, changes, examples, figures, parts, snippet, views
from demos.tokenise.figures import Figures
from demos.tokenise.parts import Question
from pipelines.runtime.errors import UserError

if TYPE_CHECKING:
    from pipelines.tokenise.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Shown:
    """The grid on the board now. tokens: of its picture, None where it has none. full_size: of the picture.

    indices: (h, w). pixels: (H, W, 3), what they paint. changes: from the grid that it began as. ms: encoder and
    decoder together, of that grid.
    """

    question: Question
    tokens: Tokens | None
    full_size: tuple[int, int] | None
    indices: np.ndarray
    pixels: np.ndarray
    changes: list[changes.Change]
    figures: Figures
    ms: float
    decode_ms: float


def shown(answered: str, board, request: gr.Request) -> Shown:
    """What stands on the board. board: its `Edited`, or None where it has not arrived yet. Raises UserError."""
    begun = answer.grid(answered, request)
    asked = begun.question
    now = board.indices if board is not None and board.name == asked.name else begun.indices
    if now.shape != begun.indices.shape:  # `answered` was altered: its grid is not the board's
        raise UserError("tokenise.gone")
    found = parts.encoded(asked.picture, asked.longest, asked.model_id, request) if asked.source == "picture" else None
    tokens = found.tokens if found else None
    pixels = answer.pixels_of(begun, now, request)
    changed = changes.between(begun.indices, now)
    measured = figures.measured(
        now,
        pixels,
        codes=parts.load(asked.model_id).codes,
        original=tokens.pixels if tokens else None,
        edited=len(changed),
    )
    ms = begun.ms + (tokens.ms if tokens else 0.0)
    full_size = found.full_size if found else None
    return Shown(asked, tokens, full_size, now, pixels, changed, measured, ms, begun.ms)


def notes(made: Shown) -> str:
    """How the picture got through."""
    return views.notes(views.fitted(made.tokens, made.full_size)) if made.tokens else ""


def code(made: Shown) -> str:
    """The lines of "Copy as Python" as HTML."""
    return results.snippet(code_text(made.question, made.changes))


def code_text(asked: Question, changed: list[changes.Change]) -> str:
    """These lines."""
    if asked.source != "picture":
        return snippet.from_file(asked.model_id)
    known = examples.find(asked.picture)
    path = f"assets/examples/{known.path.name}" if known else "picture.jpg"
    return snippet.python(path, longest=asked.longest, model_id=asked.model_id, changes=changed)


def example(asked: Question) -> str:
    """The example's id for a link; "" for any other picture."""
    return asked.picture if examples.find(asked.picture) else ""


def link_changes(made: Shown) -> str:
    """The edits as a link holds them; they mean nothing without their picture."""
    own = made.question.source == "picture" and example(made.question)
    return changes.written(made.changes) if own else ""
