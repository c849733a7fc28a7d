"""What the tab's panels share: its model, the run that is shown, and how to get that run's trace.

A panel is a module with `lay_out(page, shared) -> ...`. It listens to `shared.finished.change`, which fires after each
run and after a run was taken back out of the history, and reads the run with `current(request)`, or, where it needs
the trace of a picture that was only stored, with `ensured(request)`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import gradio as gr

from demos.shell import jobs, sessions
from pipelines.runtime.errors import UserError

TOPIC = "text_to_image"
RUN = "run"  # session: the Denoising that is shown
SHOWN = "text_to_image.shown"  # session: what is shown, also where its trace is gone


@dataclass(frozen=True)
class Shown:
    """What the page shows. settings: with which it was made; edited: from a picture that the settings do not hold."""

    name: str
    model_id: str
    settings: object
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


def runtime():
    """The process's runtime; imported when first computing, as every model library."""
    from pipelines.runtime import context

    return context.current()


def known_model(model_id) -> str:
    """The id, if it is one of this tab's models or empty. Raises UserError."""
    if not isinstance(model_id, str):
        raise UserError("errors.model_unknown", model=str(model_id)[:60])
    if model_id and runtime().catalogue.find(model_id).topic != TOPIC:
        raise UserError("shell.model_of_other_tab", model=model_id[:60])
    return model_id


def load(model_id: str):
    """The loaded model of this id, or the app's choice if it is empty. Raises UserError."""
    return runtime().load(known_model(model_id) or runtime().choose(TOPIC).entry.id)


def keep(request: gr.Request, shown: Shown, denoising) -> None:
    """Make a finished run the one that the panels speak of."""
    session = sessions.of(request)
    session.put(RUN, denoising, nbytes=denoising.nbytes)
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
    from pipelines.text_to_image.sample import generate

    model = load(shown.model_id)
    for step in jobs.steps(generate(model, shown.settings)):
        if hasattr(step, "pictures"):
            denoising = step
        else:
            yield step
    keep(request, shown, denoising)
    return denoising
