"""What the tab and its panels share: the model, the picture on the stage, its embedding, and the objects on it.

A panel is a module with `lay_out(page, shared)`. It listens to `shared.answered.change`, which fires after each answer
(a click, another object or token chosen, a model changed), takes `shared.answered` and `page.lang` among its inputs,
and reads what is shown with `embedding(answered, shared, request)`, `layer(...)`, `masks(...)` or `pixels(...)`. Each
of them refuses with a sentence when there is no picture, no mark yet, or when the session's store has let go of it.
Long work goes through `jobs.long` and `jobs.steps`, short work through `jobs.short` and `jobs.on_device`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np

from demos.shell import jobs, sessions
from demos.shell.models import Models
from pipelines.runtime.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.segment.models import SegmentModel
    from pipelines.segment.prompt import Embedding, Masks

TOPIC = "segment"
BUNDLED = "lucida-sam"
MODELS = Models(TOPIC, pipeline="pipelines.segment.prompt")
known_model, chosen, ready, load = MODELS.known, MODELS.chosen, MODELS.ready, MODELS.load
PICTURE = "segment.picture"  # session: Pictured
EMBEDDING = "segment.embedding"  # session: Embedding
OBJECTS = "segment.objects"  # session: tuple of Layer
ACTIVE = "segment.active"  # session: place of the chosen object among them
ANSWERED = "segment.answered"  # session: the name of the last answer, as the page's hidden box holds it


@dataclass(frozen=True, eq=False)
class Pictured:
    """The picture on the stage. name: as the page calls it (an example's id, or the file). path: where it lies.

    small: (h, w, 3) uint8, what is answered: at most `prompt.DISPLAY_PX` a side. full_size: (H, W) of the file.
    """

    name: str
    path: Path
    sha256: str
    small: np.ndarray
    full_size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Layer:
    """One object as it was answered. id: the stage's. number: its place there, from 1.

    masks: the answer to its marks, None before it has any. token: 0 to 3, the one that is taken. chosen: whether the
    visitor chose it, else it is the best by predicted IoU. threshold: in logits, where its edge lies.
    """

    id: int
    number: int
    name: str
    masks: Masks | None
    token: int
    chosen: bool = False
    visible: bool = True
    threshold: float = 0.0


@dataclass(frozen=True)
class Shared:
    """What the panels need of the tab.

    stage: the picture with its marks. model: the model switch. lang: hidden, "en" or "zh". answered: hidden, the name
    of what is shown; its `.change` tells of a new answer. stored: the finished result that the tab opened with
    (`store.Stored`), or None.
    """

    stage: gr.components.Component
    model: gr.Dropdown
    lang: gr.Textbox
    answered: gr.Textbox
    stored: object | None


# --- what is shown, for the panels ---


def picture(answered: str, shared: Shared, request: gr.Request) -> Pictured:
    """The picture that the shown answer belongs to. Raises UserError."""
    return _kept(PICTURE, answered, shared, request)


def pixels(answered: str, shared: Shared, request: gr.Request) -> np.ndarray:
    """That picture, (h, w, 3) uint8, at display size. Raises UserError."""
    return picture(answered, shared, request).small


def embedding(answered: str, shared: Shared, request: gr.Request) -> Embedding:
    """The embedding that the shown answer was decoded from. Raises UserError."""
    return _kept(EMBEDDING, answered, shared, request)


def model(answered: str, shared: Shared, request: gr.Request) -> SegmentModel:
    """The model that it was computed by. Raises UserError."""
    return load(_kept(EMBEDDING, answered, shared, request).model_id)


def layers(answered: str, shared: Shared, request: gr.Request) -> tuple[Layer, ...]:
    """Every object, in the order of the stage. Raises UserError."""
    return _kept(OBJECTS, answered, shared, request)


def layer(answered: str, shared: Shared, request: gr.Request) -> Layer:
    """The object that is chosen; it has masks. Raises UserError where it has no mark yet."""
    place, these = _kept(ACTIVE, answered, shared, request), layers(answered, shared, request)
    if not these or these[place].masks is None:
        raise UserError("segment.mark_first")
    return these[place]


def masks(answered: str, shared: Shared, request: gr.Request) -> Masks:
    """The four masks of the object that is chosen. Raises UserError."""
    return layer(answered, shared, request).masks


def _kept(key: str, answered: str, shared: Shared, request: gr.Request):
    """What the session keeps of the answer of that name; the stored result is computed again when it is asked for."""
    session = sessions.of(request)
    if not answered:
        raise UserError("errors.picture_missing")
    if session.get(ANSWERED) != answered:
        if shared.stored is None or answered != shared.stored.name:
            raise UserError("segment.gone")
        from demos.segment import answer

        answer.again(shared.stored, request)
    found = session.get(key)
    if found is None:
        raise UserError("segment.gone")
    return found


def keep(request: gr.Request, answered: str, objects: tuple[Layer, ...], active: int) -> None:
    """Make an answer the one that the panels speak of."""
    session = sessions.of(request)
    held = sum(each.masks.logits.nbytes for each in objects if each.masks is not None)
    session.put(OBJECTS, objects, nbytes=held + 1_000)
    session.put(ACTIVE, active, nbytes=100)
    session.put(ANSWERED, answered, nbytes=100)


def encoded(shown: Pictured, model_id: str, request: gr.Request) -> Embedding | None:
    """The session's embedding of this very picture by this model, if it still holds one."""
    found = sessions.of(request).get(EMBEDDING)
    fits = found is not None and (found.picture_key, found.model_id) == (shown.sha256, model_id)
    return found if fits else None


def encode(shown: Pictured, model_id: str, request: gr.Request) -> Embedding:
    """Run the encoder in one turn of the device, unless another call has done so meanwhile. Raises UserError."""
    from pipelines.runtime.pictures import open_picture
    from pipelines.segment import prompt

    model, pixels = load(model_id), open_picture(shown.path).pixels

    def run() -> Embedding:
        return encoded(shown, model_id, request) or prompt.encode(model, pixels, picture=shown.sha256)

    made = jobs.on_device(run)
    keep_embedding(made, request)
    return made


def keep_embedding(made: Embedding, request: gr.Request) -> None:
    """Put an embedding into the visitor's session; nobody else's call can reach it."""
    sessions.of(request).put(EMBEDDING, made, nbytes=made.nbytes)
