"""From a question to both models' answers, kept for the session so that no panel runs a model twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import gradio as gr
import numpy as np

from demos.shell import jobs, sessions
from demos.shell.models import Models, runtime
from demos.zero_shot.question import TOPIC, Question
from pipelines.runtime.errors import UserError

KEPT = "zero_shot.answer"
MODELS = Models(TOPIC, pipeline="pipelines.zero_shot.classify")


@dataclass(frozen=True, eq=False)
class Answer:
    """Both halves of the quarrel. chosen: "softmax" or "sigmoid", the half of the model that the visitor chose.

    A half is a `Classification`, or None where that model could not be used; `missing` then says why.
    """

    question: Question
    softmax: object | None
    sigmoid: object | None
    chosen: str
    missing: UserError | None = None

    @property
    def main(self):
        """The chosen model's classification."""
        return self.softmax if self.chosen == "softmax" else self.sigmoid


def ask(pixels: np.ndarray, question: Question) -> Answer:
    """Classify with the chosen model and with its counterpart of the other read-out. Raises UserError."""
    main = classify(pixels, question, MODELS.chosen(question.model))
    other_role = "twin" if main.objective == "softmax" else "main"
    other, missing = None, None
    try:
        other = classify(pixels, question, runtime().choose(TOPIC, role=other_role).entry.id)
    except UserError as error:  # the chosen model's answer stands alone, and the page says why
        missing = error
    halves = {"softmax": None, "sigmoid": None, main.objective: main}
    if other is not None and other.objective != main.objective:
        halves[other.objective] = other
    return Answer(question, halves["softmax"], halves["sigmoid"], main.objective, missing)


def classify(pixels: np.ndarray, question: Question, model_id: str):
    """One model's `Classification`. Many texts take the device in portions, so that others get between."""
    from pipelines.zero_shot import classify as pipeline

    model = runtime().load(model_id)
    portion = max(1, pipeline.TEXTS_A_BATCH // len(question.templates))
    for start in range(0, len(question.labels) - portion, portion):
        labels = question.labels[start : start + portion]
        jobs.on_device(pipeline.encode_labels, model, labels, templates=question.templates)
    return jobs.on_device(
        pipeline.classify, model, pixels, question.labels, templates=question.templates, crop=crop_of(question)
    )


def crop_of(question: Question):
    """The pipeline's `Crop` of a question."""
    from pipelines.zero_shot.preprocess import Crop

    return Crop(question.crop, question.box)


def current(picture, question: Question, request: gr.Request) -> Answer:
    """The session's answer if it is to this very picture and question, else a new one, which is then kept."""
    if picture is None:
        raise UserError("errors.picture_missing")
    session, name = sessions.of(request), key(picture, question)
    kept = session.get(KEPT)
    if kept is not None and kept[0] == name:
        return kept[1]
    answer = ask(picture.pixels, question)
    session.put(KEPT, (name, answer), nbytes=_nbytes(answer))
    return answer


def key(picture, question: Question) -> str:
    """Equal for equal pictures and questions."""
    asked = (picture.sha256, question.labels, question.templates, question.crop, question.box, question.model)
    return hashlib.sha256(repr(asked).encode()).hexdigest()


def _nbytes(answer: Answer) -> int:
    halves = [half for half in (answer.softmax, answer.sigmoid) if half is not None]
    return sum(half.text_features.nbytes + half.view.nbytes for half in halves) + 100_000


def marks(labels: tuple[str, ...]) -> list[str]:
    """How the bundled models met each label in training; a name in no list of theirs was never taught."""
    from pipelines.zero_shot.labels import taught

    return [taught(label) for label in labels]
