"""A hole filled by settings that came from outside: for the panel, for the buttons of the sources, and for the API."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from demos.shell import jobs, models
from demos.tokenise import parts
from pipelines.runtime.errors import UserError

if TYPE_CHECKING:
    from pipelines.tokenise.fill import Filling
    from pipelines.tokenise.second_stage import SecondStage

STEPS, TEMPERATURE, GUIDANCE = 12, 1.0, 2.0  # where the sliders begin


@dataclass(frozen=True)
class Wanted:
    """How a hole is to be filled; see `pipelines.tokenise.fill.fill`."""

    text: str
    guidance: float
    steps: int
    temperature: float
    seed: int


def stage_id(model_id: str) -> str:
    """The second stage that speaks the codes of this autoencoder. Raises UserError where there is none."""
    from pipelines.tokenise.pairs import stage_of

    return stage_of(model_id)


def stage_for(model_id: str) -> SecondStage:
    """That second stage, loaded. Raises UserError."""
    return parts.load_any(stage_id(model_id))


def run(stage: SecondStage, indices: np.ndarray, hole: np.ndarray, asked: Wanted) -> Generator[Filling]:
    """The steps of filling, by settings that came from outside. Raises UserError."""
    from pipelines.tokenise import fill

    check(asked)
    numbers = asdict(asked)
    return fill.fill(stage, indices, hole, condition=read(stage, numbers.pop("text")), **numbers)


def check(asked: Wanted) -> None:
    """Raises UserError for settings that are out of range or no numbers, and for a text that is none or too long."""
    from pipelines.tokenise import fill

    numbers = asdict(asked)
    text = numbers.pop("text")
    if text is not None and (not isinstance(text, str) or len(text.strip()) > fill.MOST_LETTERS):
        raise UserError("errors.fill_text", most=fill.MOST_LETTERS)
    fill.check_settings(**numbers)


def read(stage: SecondStage, text: str | None) -> np.ndarray | None:
    """The condition that a text gives; None without one. Raises UserError."""
    from pipelines.tokenise import fill

    if not text or not text.strip():
        return None
    return jobs.on_device(fill.read, models.runtime().load(stage.reader), text)
