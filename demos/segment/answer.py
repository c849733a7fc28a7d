"""From what the stage asks for to masks: the encoder runs once a picture, the decoder once for each change of marks.

What did not change is not computed again: the session keeps each object's last answer with the marks it answers.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np

from demos.segment import parts
from demos.segment.parts import Layer, Pictured
from demos.segment.snippet import Call
from demos.segment.wanted import Wanted
from demos.shell import jobs, sessions
from pipelines.runtime.errors import UserError

if TYPE_CHECKING:
    from pipelines.segment.models import SegmentModel
    from pipelines.segment.prompt import Embedding, Masks, Prompt

SOLVED = "segment.solved"  # session: (embedding, {object's id: Solved})


@dataclass(frozen=True, eq=False)
class Step:
    """What the next mark gets as a prompt: the logits of the mask that was shown, (1, side, side) float32."""

    token: int
    logits: np.ndarray

    @classmethod
    def of(cls, masks: Masks, token: int | None) -> Step:
        """The step after an answer, of which this token was shown."""
        shown = taken(masks, token)
        return cls(shown, masks.logits[shown][None])


@dataclass(frozen=True, eq=False)
class Solved:
    """The masks of one object. steps: one for each mark, None while the marks only say what does not belong; empty
    without `chained`.
    """

    wanted: Wanted
    chained: bool
    masks: Masks
    steps: tuple[Step | None, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""
        return self.masks.logits.nbytes + sum(step.logits.nbytes for step in self.steps if step is not None)


@dataclass(frozen=True, eq=False)
class Answer:
    """Every object of a picture, answered. name: of this answer. refused: {place: why that object has no mask}.

    ms: what the decoder took now, 0 where every mask was known already. calls: of the decoder for the chosen object,
    from its first mark on.
    """

    name: str
    picture: Pictured
    layers: tuple[Layer, ...]
    active: int
    embedding: Embedding
    ms: float
    calls: tuple[Call, ...] = ()
    refused: dict[int, UserError] = field(default_factory=dict)

    @property
    def layer(self) -> Layer | None:
        """The chosen object, if it has a mask."""
        shown = self.layers[self.active] if self.layers else None
        return shown if shown is not None and shown.masks is not None else None


def answer(
    shown: Pictured, objects: tuple[Wanted, ...], active: int, *, model_id: str, chained: bool, request: gr.Request,
    name: str = "",
) -> Answer:  # fmt: skip
    """Answer what changed since the session's last answer, and keep it. The embedding must be there already.

    chained: see `solve`. Raises UserError without the embedding; an object that cannot be answered stands in `refused`.
    """
    embedding = parts.encoded(shown, model_id, request)
    if embedding is None:
        raise UserError("segment.gone")
    model, known = parts.load(model_id), _known(embedding, request)
    solved, refused, ms = {}, {}, 0.0
    for place, wanted in enumerate(objects):
        if wanted.empty:
            continue
        try:
            made = solve(model, embedding, wanted, chained=chained, known=known.get(wanted.id))
        except UserError as error:
            refused[place] = error
            continue
        solved[wanted.id] = made
        ms += made.masks.ms if made.masks is not _masks(known.get(wanted.id)) else 0.0
    layers = tuple(layer_of(wanted, place, _masks(solved.get(wanted.id))) for place, wanted in enumerate(objects))
    held = sum(each.nbytes for each in solved.values())
    sessions.of(request).put(SOLVED, (embedding, solved), nbytes=held + 1_000)
    name = name or secrets.token_urlsafe(12)
    parts.keep(request, name, layers, active)
    calls = calls_of(solved.get(objects[active].id)) if objects else ()
    return Answer(name, shown, layers, active, embedding, ms, calls, refused)


def solve(model: SegmentModel, embedding: Embedding, wanted: Wanted, *, chained: bool, known: Solved | None = None):
    """The `Solved` of one object; each call of the decoder takes the device for one turn. Raises UserError.

    chained: the marks are answered one after the other, each with the mask that is then shown as a prompt
    (arXiv 2304.02643, section 3); else all in one call. known: this object's last one, of which all is used that the
    new marks leave as it was.
    """
    if known is not None and known.chained == chained and _marks(known.wanted) == _marks(wanted):
        return _with_token(known, wanted)
    if not chained:
        return _with_token(Solved(wanted, False, predict(model, embedding, wanted)), wanted)
    steps = list(_common(known, wanted))[: len(wanted.order) - 1]
    while len(steps) < len(wanted.order):
        part = wanted.first(len(steps) + 1)
        if len(part.order) < len(wanted.order) and not _answerable(part):
            steps.append(None)
            continue
        masks = predict(model, embedding, part, steps[-1].logits if steps and steps[-1] else None)
        steps.append(Step.of(masks, wanted.token))
    return Solved(wanted, True, masks, tuple(steps))


def _with_token(solved: Solved, wanted: Wanted) -> Solved:
    """The same answer with the token that is wanted now: nothing is computed."""
    steps = (*solved.steps[:-1], Step.of(solved.masks, wanted.token)) if solved.chained else ()
    return Solved(wanted, solved.chained, solved.masks, steps)


def predict(model: SegmentModel, embedding: Embedding, wanted: Wanted, previous: np.ndarray | None = None) -> Masks:
    """One call of the decoder, in one turn of the device. Raises UserError."""
    from pipelines.segment import prompt

    return jobs.on_device(prompt.predict, model, embedding, prompt_of(wanted, previous))


def prompt_of(wanted: Wanted, previous: np.ndarray | None = None) -> Prompt:
    """The pipeline's `Prompt` of an object."""
    from pipelines.segment.clicks import Click
    from pipelines.segment.prompt import Prompt

    points = tuple(Click(x, y, positive=label == 1) for x, y, label in wanted.points)
    return Prompt(points=points, box=wanted.box, previous=previous)


def calls_of(solved: Solved | None) -> tuple[Call, ...]:
    """The calls of the decoder that give this object's mask, as "Copy as Python" writes them."""
    if solved is None:
        return ()
    if not solved.chained:
        return (Call(solved.wanted.points, solved.wanted.box, taken(solved.masks, solved.wanted.token)),)
    made = []
    for count, step in enumerate(solved.steps, start=1):
        part = solved.wanted.first(count)
        made += [Call(part.points, part.box, step.token)] if step else []
    return tuple(made)


def taken(masks: Masks, token: int | None) -> int:
    """The token whose mask is shown: the visitor's choice, else the best by predicted IoU."""
    return int(masks.best) if token is None else token


def _marks(wanted: Wanted) -> tuple:
    """What the decoder sees of an object."""
    return wanted.points, wanted.box, wanted.order


def _answerable(wanted: Wanted) -> bool:
    """Whether the marks say what belongs to the object, not only what does not."""
    return wanted.box is not None or any(label == 1 for _, _, label in wanted.points)


def _common(known: Solved | None, wanted: Wanted) -> tuple[Step | None, ...]:
    """The known steps up to the first mark that differs."""
    if known is None or not known.chained:
        return ()
    most = min(len(known.steps), len(wanted.order))
    same = (count for count in range(most, 0, -1) if _marks(wanted.first(count)) == _marks(known.wanted.first(count)))
    return known.steps[: next(same, 0)]


def _known(embedding: Embedding, request: gr.Request) -> dict[int, Solved]:
    """What the session knows of this very embedding."""
    kept = sessions.of(request).get(SOLVED)
    return kept[1] if kept is not None and kept[0] is embedding else {}


def _masks(solved: Solved | None) -> Masks | None:
    return None if solved is None else solved.masks


def layer_of(wanted: Wanted, place: int, masks: Masks | None) -> Layer:
    """The object at this place of the stage, with its answer."""
    token = 0 if masks is None else taken(masks, wanted.token)
    return Layer(
        id=wanted.id, number=place + 1, name=wanted.name, masks=masks, token=token,
        chosen=wanted.token is not None, visible=wanted.visible, threshold=wanted.threshold,
    )  # fmt: skip


# --- the picture ---


def pictured(asked, request: gr.Request) -> Pictured:
    """The picture of a `stage.Asked`, opened once. Raises UserError."""
    parts.ready()
    from pipelines.segment.prompt import fitted

    session = sessions.of(request)
    kept = session.get(parts.PICTURE)
    if kept is not None and (kept.name, kept.path) == (asked.name, asked.path):
        return kept
    picture = asked.open()
    shown = Pictured(asked.name, asked.path, picture.sha256, fitted(picture.pixels), picture.pixels.shape[:2])
    session.put(parts.PICTURE, shown, nbytes=shown.small.nbytes)
    return shown


def again(stored, request: gr.Request) -> Answer:
    """Compute the stored result here, for what a panel needs of it and a file does not hold. Raises UserError."""
    from demos.segment import wanted

    shown = pictured(stored.asked, request)
    model_id = stored.model_id
    if parts.encoded(shown, model_id, request) is None:
        parts.encode(shown, model_id, request)
    objects, active = wanted.read(stored.asked.value, *reversed(shown.full_size))
    return answer(shown, objects, active, model_id=model_id, chained=True, request=request, name=stored.name)
