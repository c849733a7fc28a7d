"""What the tab's panels share: its model, the run that is shown, and how to get that run's trace.

A panel is a module with `lay_out(page, shared) -> ...`. It listens to `shared.finished.change`, which fires after each
run and after a run was taken back out of the history, and reads the run with `current(request)`, or, where it needs
the trace of a picture that was only stored, with `ensured(request)`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demos.shell import jobs, sessions
from demos.shell.models import Models, runtime
from pipelines.runtime.errors import UserError

TOPIC = "text_to_image"
MODELS = Models(TOPIC, pipeline="pipelines.text_to_image.sample")
known_model, ready = MODELS.known, MODELS.ready
RUN = "run"  # session: the Denoising that is shown
SHOWN = "text_to_image.shown"  # session: what is shown, also where its trace is gone


@dataclass(frozen=True)
class Shown:
    """What the page shows. settings: fields of `Settings`; edited: from a picture that the settings do not hold."""

    name: str
    model_id: str
    settings: dict[str, Any]
    edited: bool = False


@dataclass(frozen=True)
class Shared:
    """What the panels under the result need of the tab.

    asked: the components of Make. finished: hidden, the name of the run that is now shown; its `.change` tells of a
    new one. stored: the finished result that the tab opened with (`store.Stored`), or None.
    """

    asked: object
    finished: gr.Textbox
    stored: object | None


def load(model_id: str):
    """The loaded model of this id, or the app's choice if it is empty. Raises UserError.

    A full-size one gets the tiny autoencoder for its previews where that is on this machine.
    """
    ready()
    from pipelines.text_to_image.preview import with_tiny

    return with_tiny(MODELS.load(model_id), runtime())


def keep(request: gr.Request, shown: Shown, denoising) -> None:
    """Make a finished run the one that the panels speak of. denoising: None where its trace was freed."""
    session = sessions.of(request)
    session.put(RUN, denoising, nbytes=0 if denoising is None else denoising.nbytes)
    session.put(SHOWN, shown, nbytes=10_000)


def current(request: gr.Request):
    """The shown run's `Denoising`. Raises UserError where there is none, or not any more."""
    denoising = sessions.of(request).get(RUN)
    if denoising is None:
        raise UserError("text_to_image.run_first")
    return denoising


def ensured(request: gr.Request, shared: Shared) -> Generator:
    """The shown run's `Denoising` as this generator's return value; run again, a `Progress` a step, where it is gone.

    The same model, settings and seed give the same picture. Raises UserError where that cannot be: no picture yet,
    or one that was made from a picture that is not kept.
    """
    session = sessions.of(request)
    denoising = session.get(RUN)
    if denoising is not None:
        return denoising
    shown = session.get(SHOWN)
    if shown is None and shared.stored is not None:
        shown = shared.stored.shown
    if shown is None or shown.edited:
        raise UserError("text_to_image.run_first")
    denoising = yield from made(load(shown.model_id), shown.settings)
    keep(request, shown, denoising)
    return denoising


def finished(run: Generator):
    """What a run returns at its end; its steps are not looked at."""
    while True:
        try:
            next(run)
        except StopIteration as ended:
            return ended.value


def made(model, fields: dict[str, Any], edit=None) -> Generator:
    """Generate with these fields of `Settings`: yields a `Progress` a step, the device taken for each, and returns
    the `Denoising`. Raises UserError."""
    from pipelines.text_to_image.sample import generate
    from pipelines.text_to_image.settings import Settings
    from pipelines.text_to_image.trace import Denoising

    for item in jobs.steps(generate(model, Settings(**fields), edit=edit)):
        if isinstance(item, Denoising):
            return item
        yield item
    raise RuntimeError("the run ended without a picture")
