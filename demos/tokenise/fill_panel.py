"""Fill a hole: the second stage names the hidden codes step by step, on the board and in a film of its certainty."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np

from demos.shell import jobs
from demos.shell.components import door
from demos.shell.links import PRIVATE
from demos.shell.words import spans, t
from demos.tokenise import answer, decoded, fill_run, fill_views, parts
from demos.tokenise.fill_api import API
from demos.tokenise.fill_film import FillFilm
from demos.tokenise.fill_run import Wanted
from pipelines.runtime.errors import UserError

if TYPE_CHECKING:
    from demos.tokenise.edited import Edited
    from pipelines.tokenise.fill import Filling
    from pipelines.tokenise.models import TokeniseModel

__all__ = ["API", "Panel", "lay_out"]
MOST_SEED = 2**32 - 1
_TO_BOARD = 'document.getElementById("tk-board")?.scrollIntoView({ block: "nearest" });'
_BRUSH = (
    f'() => {{ dispatchEvent(new CustomEvent("lucida-board-pick", {{ detail: {{ tool: "hole" }} }})); {_TO_BOARD} }}'
)
_HIDE = f'() => {{ dispatchEvent(new CustomEvent("lucida-board-hole", {{ detail: {{ all: true }} }})); {_TO_BOARD} }}'


@dataclass(frozen=True)
class Panel:
    text: gr.Textbox
    guidance: gr.Slider
    steps: gr.Slider
    temperature: gr.Slider
    seed: gr.Number
    status: gr.HTML
    film: FillFilm

    @property
    def settings(self) -> list:
        """The inputs of `wanted`."""
        return [self.text, self.guidance, self.steps, self.temperature, self.seed]


def lay_out(page, shared: parts.Shared) -> Panel:
    """The panel; it works on the holes of the board."""
    gr.HTML(fill_views.about(), apply_default_css=False)
    with gr.Row(elem_classes="lucida-actions"):
        brush = gr.Button(t("tokenise.fill_brush"), size="sm", elem_id="tk-fill-brush")
        hide = gr.Button(t("tokenise.fill_hide"), size="sm", elem_id="tk-fill-hide")
    settings = _settings()
    with gr.Row(elem_classes="lucida-actions"):
        go = gr.Button(t("tokenise.fill_go"), variant="primary", size="sm", elem_id="tk-fill-go")
        stop = gr.Button(t("shell.cancel"), size="sm", elem_id="tk-fill-stop")
    status = jobs.status_line(elem_id="tk-fill-status")
    film = FillFilm(elem_id="tk-fill-film")
    panel = Panel(**settings, status=status, film=film)
    brush.click(None, js=_BRUSH, **PRIVATE)
    hide.click(None, js=_HIDE, **PRIVATE)
    _wire(page, shared, panel, go=go, stop=stop)
    return panel


def _settings() -> dict[str, gr.components.Component]:
    with gr.Row():
        text = gr.Textbox(
            label=t("tokenise.fill_text"), info=t("tokenise.fill_text_info"),
            placeholder=t("tokenise.fill_text_example"), max_lines=1, max_length=200,
            interactive=True, scale=2, min_width=240, elem_id="tk-fill-text",
        )  # fmt: skip
        guidance = gr.Slider(
            0, 6, fill_run.GUIDANCE, step=0.5, label=t("tokenise.fill_guidance"), info=t("tokenise.fill_guidance_info"),
            interactive=True, min_width=240, elem_id="tk-fill-guidance",
        )  # fmt: skip
    with gr.Row():
        steps = gr.Slider(
            1, 64, fill_run.STEPS, step=1, label=t("tokenise.fill_steps"), info=t("tokenise.fill_steps_info"),
            interactive=True, min_width=240, elem_id="tk-fill-steps",
        )  # fmt: skip
        temperature = gr.Slider(
            0, 2, fill_run.TEMPERATURE, step=0.05, label=t("tokenise.fill_temperature"),
            info=t("tokenise.fill_temperature_info"), interactive=True, min_width=240, elem_id="tk-fill-temperature",
        )  # fmt: skip
        seed = gr.Number(
            0, label=t("tokenise.fill_seed"), info=t("tokenise.fill_seed_info"), precision=0, minimum=0,
            maximum=MOST_SEED, interactive=True, min_width=160, elem_id="tk-fill-seed",
        )  # fmt: skip
    return {"text": text, "guidance": guidance, "steps": steps, "temperature": temperature, "seed": seed}


def _wire(page, shared: parts.Shared, panel: Panel, *, go: gr.Button, stop: gr.Button) -> None:
    def on_fill(answered, board, text, guidance, steps, temperature, seed, lang, request: gr.Request):
        asked = Wanted(text, guidance, steps, temperature, seed)
        yield from filled(panel, shared, answered=answered, board=board, asked=asked, request=request)

    inputs = [shared.answered, shared.board, *panel.settings, page.lang]
    outputs = [panel.status, panel.film, shared.decoded, shared.edited]
    running = go.click(jobs.long(on_fill, status=panel.status), inputs, outputs, **jobs.LONG)
    panel.text.submit(None, None, None, js='() => document.querySelector("#tk-fill-go").click()', **PRIVATE)
    jobs.wire_stop(stop, [running], status=panel.status)
    shared.answered.change(
        jobs.short(lambda answered, lang: ("", None)), [shared.answered, page.lang], [panel.status, panel.film],
        **jobs.SHORT,
    )  # fmt: skip


def filled(panel: Panel, shared: parts.Shared, *, answered, board: Edited | None, asked: Wanted, request) -> Generator:
    """Updates for the panel and the board: each step as it is committed. A turn of the device holds one step."""
    question = parts.question(answered)
    if board is None or board.name != question.name:
        raise UserError("tokenise.nothing_shown")
    if not board.hole.any():
        raise UserError("tokenise.fill_no_hole")
    yield {panel.status: spans("tokenise.fill_begins")}
    model = parts.load(question.model_id)
    stage = fill_run.stage_for(model.id)
    steps = []
    for step in jobs.steps(fill_run.run(stage, board.indices, board.hole, asked)):
        if other_grid(question, request):
            yield {panel.status: spans("tokenise.fill_other")}
            return
        steps.append(step)
        pixels = jobs.on_device(_so_far, model, step, question.size)
        yield {
            panel.status: spans("shell.step", i=step.step, n=step.steps),
            panel.film: fill_views.frame(pixels, steps, board.hole, cell=model.cell, codes=model.codes),
            shared.decoded: _answer(board, step, pixels),
        }
    said = spans("tokenise.fill_done", count=int(board.hole.sum()), steps=len(steps))
    yield {panel.status: said, shared.edited: secrets.token_urlsafe(6)}


def other_grid(question: parts.Question, request: gr.Request) -> bool:
    """Whether another grid was put on the board meanwhile."""
    latest = answer.latest(request)
    return latest is not None and latest.question.name != question.name


def _so_far(model: TokeniseModel, step: Filling, size: tuple[int, int]) -> np.ndarray:
    from pipelines.tokenise import fill

    return fill.so_far(model, step, size=size)


def _answer(board: Edited, step: Filling, pixels: np.ndarray) -> dict:
    """The board gets the codes so far; what stood in a hole stays under its hatching until it is filled."""
    hidden = step.indices == step.hidden
    indices = np.where(hidden, board.indices, step.indices)
    note = door.in_both("tokenise.fill_on_board", i=step.step, n=step.steps)
    return decoded.answer(board.name, board.serial, pixels, indices=indices, hole=hidden, note=note)
