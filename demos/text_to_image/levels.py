"""The levels Blocks and Numbers of the run that is shown, at the step at which the whole tab stands.

They are worked out when they are looked at: for a large model the parts of one step take seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from demos.shell import jobs, results, sessions
from demos.text_to_image import asked, level_views, parts
from demos.text_to_image.machine import StepChoice, check_step


@dataclass(frozen=True)
class Panel:
    """switch: which level is seen. steps: the step's slider on each level, blocks first."""

    switch: results.LevelSwitch
    blocks: gr.HTML
    numbers: gr.HTML
    steps: tuple[StepChoice, StepChoice]


def lay_out(levels: results.Levels, start: asked.Opening) -> Panel:
    said = start.stored.said if start.stored else {}
    with levels.blocks:
        blocks_step = StepChoice(elem_id="ti-blocks-step")
        blocks = gr.HTML(said.get("blocks", ""), apply_default_css=False, elem_id="ti-blocks")
    with levels.numbers:
        numbers_step = StepChoice(elem_id="ti-numbers-step")
        first = said["numbers"][0] if said else ""
        numbers = gr.HTML(first, apply_default_css=False, elem_id="ti-numbers")
    return Panel(levels.switch, blocks, numbers, (blocks_step, numbers_step))


def wire(page, shared: parts.Shared, panel: Panel) -> None:
    """A level that comes up, a run that is new, a step that was moved to."""

    def on_blocks(level, k, lang, request: gr.Request):
        return _of("blocks", level, k, shared, request)

    def on_numbers(level, k, lang, request: gr.Request):
        return _of("numbers", level, k, shared, request)

    for handler, step, shown in zip((on_blocks, on_numbers), panel.steps, (panel.blocks, panel.numbers), strict=True):
        call = {"inputs": [panel.switch, step, page.lang], "outputs": shown, **jobs.SHORT}
        for event in (panel.switch.change, shared.finished.change, step.edit):
            event(jobs.short(handler), trigger_mode="always_last", **call)


def _of(name: str, level, k: int, shared: parts.Shared, request: gr.Request):
    """The HTML of a level; nothing is done while another one is seen."""
    if level != name:
        return gr.skip()
    denoising = sessions.of(request).get(parts.RUN)
    if denoising is not None:
        k = min(k, len(denoising.steps) - 1)  # the slider may still stand where a longer run had its end
        return WRITERS[name](parts.load(denoising.model_id), denoising, check_step(k, denoising))
    if shared.stored is None or sessions.of(request).get(parts.SHOWN) is not None:
        return level_views.empty()
    said = shared.stored.said
    if name == "numbers":
        return said["numbers"][min(k, len(said["numbers"]) - 1)]
    if k == said["blocks_step"]:
        return said["blocks"]
    denoising = parts.finished(parts.ensured(request, shared))
    return blocks(parts.load(denoising.model_id), denoising, check_step(k, denoising))


def blocks(model, denoising, k: int) -> str:
    """The model's parts at work on call k of the run."""
    from pipelines.text_to_image.blocks import blocks as watched

    found = jobs.on_device(watched, model, denoising, k)
    n = len(denoising.steps)
    return level_views.blocks(found, denoising.ms, k=k, n=n, calls=n)


def numbers(model, denoising, k: int) -> str:
    """The arithmetic of call k of the run."""
    from pipelines.text_to_image.formula import GLYPHS, formula

    return level_views.numbers(formula(model, denoising, k), GLYPHS, k=k, n=len(denoising.steps))


WRITERS = {"blocks": blocks, "numbers": numbers}


def stored(model, denoising, k: int) -> dict[str, Any]:
    """What `Stored.said` holds for both levels: the parts at step k, the numbers of every step."""
    blocks(model, denoising, k)  # the second time shows the milliseconds after the first
    return {
        "blocks": blocks(model, denoising, k),
        "blocks_step": k,
        "numbers": [numbers(model, denoising, number) for number in range(len(denoising.steps))],
    }
