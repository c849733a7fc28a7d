"""The levels Blocks and Numbers of the run that is shown."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from demos.shell import results
from demos.shell.words import t
from demos.text_to_image import asked


@dataclass(frozen=True)
class Panel:
    """step: which step's numbers are put into the formula, from 1."""

    blocks: gr.HTML
    step: gr.Slider
    numbers: gr.HTML

    @property
    def outputs(self) -> list:
        return [self.blocks, self.step, self.numbers]

    def filled(self, request: gr.Request) -> dict:
        return {self.blocks: "", self.numbers: ""}


def lay_out(levels: results.Levels, start: asked.Opening) -> Panel:
    said = start.stored.said if start.stored else {}
    with levels.blocks:
        blocks = gr.HTML(said.get("blocks", ""), apply_default_css=False, elem_id="ti-blocks")
    with levels.numbers:
        step = gr.Slider(1, 20, value=1, step=1, label=t("text_to_image.numbers_step"), interactive=True)
        numbers = gr.HTML("", apply_default_css=False, elem_id="ti-numbers")
    return Panel(blocks, step, numbers)


def wire(page, shared, panel: Panel) -> None:
    return None
