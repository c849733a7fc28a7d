"""Codes are not enough: the same decoder paints the codes of a picture, random codes, and codes of the second stage."""

from __future__ import annotations

import random
import secrets
from collections.abc import Generator
from dataclasses import dataclass

import gradio as gr
import numpy as np

from demos.shell import jobs, results
from demos.shell.prose import Prose
from demos.shell.words import say, spans, t
from demos.tokenise import answer, fill_run, parts
from demos.tokenise.fill_run import Wanted

PROSE = Prose("tokenise", "tk")


@dataclass(frozen=True)
class Panel:
    """picture: the button of the picture's own codes, which the tab wires. said: what is seen, one sentence."""

    picture: gr.Button
    random: gr.Button
    second_stage: gr.Button
    said: gr.HTML
    status: gr.HTML


def lay_out(page, shared: parts.Shared) -> Panel:
    """The three buttons and the sentence under them. Two of them are wired here, that of the picture by the tab."""
    _html(PROSE.framed(f"<h3>{PROSE.word('sources')}</h3>", PROSE.sentence("sources_about")))
    with gr.Row(elem_classes="lucida-actions", elem_id="tk-sources"):
        picture, scattered, chosen = (
            gr.Button(t(f"tokenise.source_{name}"), size="sm", elem_id=f"tk-source-{name}")
            for name in ("picture", "random", "second_stage")
        )
    said = _html(told(shared.answered.value or ""), elem_id="tk-source-said")
    status, stop = results.running("tk-source")
    panel = Panel(picture, scattered, chosen, said, status)
    _wire(page, shared, panel, stop)
    return panel


def _html(value: str = "", **kwargs) -> gr.HTML:
    return gr.HTML(value, apply_default_css=False, **kwargs)


def _wire(page, shared: parts.Shared, panel: Panel, stop: gr.Button) -> None:
    inputs = [shared.answered, shared.size, shared.model, page.lang]

    def on_random(answered, longest, model, lang, request: gr.Request):
        return rubbish(asked(answered, longest, model, source="random"), shared, request)

    def on_second_stage(answered, longest, model, lang, request: gr.Request):
        yield {stop: gr.Button(visible=True)}
        question = asked(answered, longest, model, source="second_stage")
        yield from generated(question, shared, request, status=panel.status)
        yield {stop: gr.Button(visible=False)}

    panel.random.click(jobs.short(on_random), inputs, [shared.board, shared.answered], **jobs.SHORT)
    outputs = [panel.status, stop, shared.board, shared.answered]
    handler = jobs.long(on_second_stage, status=panel.status, replaces=True)
    running = panel.second_stage.click(handler, inputs, outputs, trigger_mode="multiple", **jobs.LONG)
    jobs.wire_stop(stop, [running], status=panel.status)
    shared.answered.change(
        jobs.short(on_answer), [shared.answered, page.lang], [panel.said, panel.status], **jobs.SHORT
    )


def on_answer(answered, lang):
    """What is seen now, and a status line that speaks of nothing else. Raises UserError."""
    generated = answered and parts.question(answered).source == "second_stage"
    return told(answered), gr.skip() if generated else ""


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
    yield {status: spans("tokenise.source_begins")}
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
