"""Codes are not enough: the same decoder paints the codes of a picture, random codes, and codes of the second stage."""

from __future__ import annotations

import random
import secrets
from collections.abc import Generator
from dataclasses import dataclass

import gradio as gr
import numpy as np

from demos.shell import jobs, results
from demos.shell.links import PRIVATE
from demos.shell.prose import Prose
from demos.shell.words import say, spans, t
from demos.tokenise import answer, fill_run, parts
from demos.tokenise.fill_run import Wanted

PROSE = Prose("tokenise", "tk")
BUTTONS = ("picture", "random", "second_stage")


@dataclass(frozen=True)
class Panel:
    """picture: the button of the picture's own codes, which the tab wires. said: what is seen, one sentence."""

    picture: gr.Button
    random: gr.Button
    second_stage: gr.Button
    said: gr.HTML
    status: gr.HTML
    stop: gr.Button

    @property
    def buttons(self) -> dict[str, gr.Button]:
        """By the source that each one asks for."""
        return {name: getattr(self, name) for name in BUTTONS}


def lay_out(page, shared: parts.Shared) -> Panel:
    """The three buttons and the sentence under them. Two of them are wired here, that of the picture by the tab."""
    _html(PROSE.framed(f"<h3>{PROSE.word('sources')}</h3>", PROSE.sentence("sources_about")))
    first = shared.answered.value or ""
    with gr.Row(elem_classes="lucida-actions", elem_id="tk-sources"):
        buttons = {
            name: gr.Button(
                t(f"tokenise.source_{name}"), size="sm", variant=_variant(name, first), elem_id=f"tk-source-{name}"
            )
            for name in BUTTONS
        }
    said = _html(told(first), elem_id="tk-source-said")
    status, stop = results.running("tk-source")
    panel = Panel(**buttons, said=said, status=status, stop=stop)
    _wire(page, shared, panel)
    return panel


def _html(value: str = "", **kwargs) -> gr.HTML:
    return gr.HTML(value, apply_default_css=False, **kwargs)


def _variant(name: str, answered: str) -> str:
    """The button of what is seen now stands out."""
    return "primary" if answered and parts.question(answered).source == name else "secondary"


def _wire(page, shared: parts.Shared, panel: Panel) -> None:
    inputs = [shared.answered, shared.size, shared.model, page.lang]

    def on_random(answered, longest, model, lang, request: gr.Request):
        return rubbish(asked(answered, longest, model, source="random"), shared, request)

    def on_second_stage(answered, longest, model, lang, request: gr.Request):
        ended = {panel.stop: gr.Button(visible=False)}
        question = asked(answered, longest, model, source="second_stage")
        fill_run.stage_id(question.model_id)  # says at once where there is none
        yield {panel.status: spans("tokenise.source_begins"), panel.stop: gr.Button(visible=True)}
        try:
            yield from generated(question, shared, request, status=panel.status)
        except Exception:  # the sentence is told by `jobs.long`; here only the line of the run is taken away
            yield {panel.status: "", **ended}
            raise
        yield ended

    outputs = [panel.status, panel.stop, shared.board, shared.answered]
    handler = jobs.long(on_second_stage, status=panel.status, replaces=True)
    running = panel.second_stage.click(handler, inputs, outputs, trigger_mode="multiple", **jobs.LONG)
    jobs.wire_stop(panel.stop, [running], status=panel.status)
    panel.stop.click(None, None, panel.stop, js="() => ({ __type__: 'update', visible: false })", **PRIVATE)
    for button in (panel.picture, panel.random):  # what was asked for last is what is seen
        button.click(None, cancels=[running])
    panel.random.click(jobs.short(on_random), inputs, [shared.board, shared.answered], **jobs.SHORT)
    shown = [panel.said, panel.status, panel.stop, *panel.buttons.values()]
    shared.answered.change(jobs.short(_on_answer(panel)), [shared.answered, page.lang], shown, **jobs.SHORT)


def _on_answer(panel: Panel):
    def on_answer(answered, lang):
        """What is seen now, and a status line that speaks of nothing else."""
        shown = {button: gr.Button(variant=_variant(name, answered)) for name, button in panel.buttons.items()}
        other = not answered or parts.question(answered).source != "second_stage"
        ended = {panel.status: "", panel.stop: gr.Button(visible=False)} if other else {}
        return {panel.said: told(answered), **shown, **ended}

    return on_answer


def told(answered: str) -> str:
    """The sentence on where the grid's codes come from; nothing where there is no grid."""
    return PROSE.framed(PROSE.sentence(f"said_{parts.question(answered).source}")) if answered else ""


def asked(answered, longest, model, *, source: str) -> parts.Question:
    """A new question for what is shown now, or for the page's settings where nothing is. Raises UserError."""
    if answered:
        now = parts.question(answered)
        return parts.ask(now.picture, now.longest, now.model_id, source)
    return parts.ask("", parts.size(longest), parts.chosen(model), source)


def rubbish(question: parts.Question, shared: parts.Shared, request: gr.Request) -> dict:
    """A grid as large as the picture's, each code drawn alone and evenly: what the board and the panels get."""
    model = parts.load(question.model_id)
    if question.picture:
        tokens = parts.encoded(question.picture, question.longest, question.model_id, request).tokens
        shape, size = tokens.indices.shape, tokens.size
    else:
        side = question.longest // model.cell
        shape, size = (side, side), (question.longest, question.longest)
    indices = np.random.default_rng(secrets.randbits(32)).integers(0, model.codes, shape, dtype=np.int32)
    return _put(question, indices, model, size=size, shared=shared, request=request)


def generated(question: parts.Question, shared: parts.Shared, request: gr.Request, *, status: gr.HTML) -> Generator:
    """Updates: how far the second stage is, then its grid. It makes one picture of its own size, from a name alone.

    Larger grids could be filled through windows, but nobody plans what stands where then: several half pictures.
    """
    model = parts.load(question.model_id)
    stage = fill_run.stage_for(model.id)
    place = random.randrange(len(names("en")))
    wanted = Wanted(names("en")[place], fill_run.GUIDANCE, fill_run.STEPS, fill_run.TEMPERATURE, secrets.randbits(32))
    everything = np.ones((stage.side, stage.side), bool)
    for step in jobs.steps(fill_run.run(stage, np.zeros_like(everything, np.int32), everything, wanted)):
        yield {status: spans("shell.step", i=step.step, n=step.steps)}
    side = stage.side * model.cell
    name = {lang: names(lang)[place] for lang in ("en", "zh")}
    filled = _put(question, step.indices, model, size=(side, side), shared=shared, request=request)
    yield {status: spans("tokenise.source_done", name=name, seed=wanted.seed, side=side), **filled}


def names(lang: str) -> list[str]:
    """What the second stage is asked for, in the same order in both languages."""
    return say("tokenise.source_names", lang).split("|")


def _put(question, indices: np.ndarray, model, *, size: tuple[int, int], shared, request) -> dict:
    pixels, ms = answer.painted(model.id, indices, size=size)
    return answer.put(
        question, indices, pixels, codes=model.codes, cell=model.cell, shared=shared, request=request, ms=ms
    )
