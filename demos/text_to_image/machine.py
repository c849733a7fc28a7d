"""The time machine and the step that the whole tab stands at, as components: scrubbed in the browser alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from demos.shell.components import colours
from demos.shell.components.shown import Shown, files
from pipelines.runtime.errors import UserError

HERE = Path(__file__).parent
_MACHINE_WORDS = (
    *("machine_empty", "machine_unguided", "machine_which", "machine_picture", "machine_said"),
    *("strip_x_t", "strip_x_t_about", "strip_x0", "strip_x0_about", "strip_guidance", "strip_guidance_about"),
    *("strip_sigma", "strip_sigma_about", "strip_fixed", "strip_fixed_about"),
)


def view(value: str = "", **kwargs: Any) -> gr.HTML:
    """HTML that the views wrote."""
    return gr.HTML(value, apply_default_css=False, **kwargs)


class TimeMachine(Shown):
    """Four strips and two curves. Its value is `reel.value`; Python gets nothing from it."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        names = [*(f"text_to_image.{name}" for name in _MACHINE_WORDS)]
        names += [f"components.{name}" for name in ("play", "pause", "step")]
        super().__init__(value, **files(HERE, "machine"), words=names, colours=colours.stored()["sequential"], **kwargs)


class StepChoice(Shown):
    """A slider for the step, in step with the time machine. A handler gets the step's index from 0, an int.

    Listen to `.edit`: it fires when the visitor lets go of the slider, or moves the machine while this one is seen.
    `.change` fires at every frame that is scrubbed past.
    """

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        words = ("text_to_image.step_from", "components.step_of")
        super().__init__(value, **files(HERE, "step_choice"), words=words, **kwargs)

    def preprocess(self, payload: Any) -> int:
        return step_of(payload)


def step_of(payload: Any) -> int:
    """The index in what the browser sent; whatever else it is stands for the first step."""
    at = payload.get("at") if isinstance(payload, Mapping) else None
    return at if isinstance(at, int) and not isinstance(at, bool) and at >= 0 else 0


def check_step(k: int, denoising) -> int:
    """`k` if the run has such a step. Raises UserError."""
    if not 0 <= k < len(denoising.steps):
        raise UserError("text_to_image.step_unknown", k=k + 1, n=len(denoising.steps))
    return k
