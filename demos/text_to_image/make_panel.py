"""Make: the press of Generate, streamed step by step, and everything that a finished run fills."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from demos.shell import jobs, links, model_switch, results, sessions
from demos.shell.arrays import address
from demos.shell.components.film import Film, frames
from demos.shell.components.starter import Starter
from demos.text_to_image import asked as asking
from demos.text_to_image import history, parts, result, views
from demos.text_to_image.asked import Asked
from pipelines.runtime.errors import UserError

FRAMES_EVERY_S = 0.08  # a page that gets them faster than it draws only waits longer for the picture


@dataclass(frozen=True)
class Panel:
    """Every component that a finished run fills, besides `parts.Shared.finished`. sent: path of the first picture."""

    status: gr.HTML
    film: Film
    pictures: gr.HTML
    notes: gr.HTML
    provenance: gr.HTML
    code: gr.HTML
    as_png: gr.DownloadButton
    as_zip: gr.Button
    use: gr.Button
    history: history.History
    finished: gr.Textbox
    sent: gr.Textbox
    model_facts: gr.HTML

    @property
    def outputs(self) -> list:
        """What `filled` gives, the status and the film."""
        own = [self.status, self.film, self.pictures, self.notes, self.provenance, self.code, self.as_png]
        return [*own, self.history, self.finished, self.sent]


def generator(asked: Asked, panel: Panel):
    """The handler of Generate: updates of the panel, a step at a time. Its parameters are `Asked.inputs`."""

    def on_generate(
        prompt, negative_prompt, steps, guidance_scale, sampler, eta, width, height, batch, seed, strength, model,
        start, mask, lang, request: gr.Request,
    ):  # fmt: skip
        sizes = (width, height, batch, seed, strength)
        given = [prompt, negative_prompt, steps, guidance_scale, sampler, eta, *sizes, model, start, mask]
        try:
            yield from _generated(asked, panel, given, request)
        except Exception:  # the sentence is told by `jobs.long`; here only the line of the run is taken away
            yield {panel.status: ""}
            raise

    return on_generate


def _generated(asked: Asked, panel: Panel, given: list, request: gr.Request) -> Generator:
    fields, model_id, start, mask = read(given)
    yield {panel.status: views.preparing("preparing")}
    model = parts.load(model_id)
    edit = made_edit(start, mask, fields, model)
    denoising = yield from _watched(parts.made(model, fields, edit), model, panel)
    yield {panel.status: views.preparing("finishing")}
    run = result.run(denoising, sessions.of(request).folder, edit=edit)
    history.add(request, run, denoising)
    parts.keep(request, run.shown, denoising)
    times = model_switch.note(parts.TOPIC, request, {denoising.model_id: denoising.ms["total"]})
    yield {
        panel.status: "",
        **filled(panel, run, request),
        panel.model_facts: model_switch.told(parts.TOPIC, denoising.model_id, times),
        asked.seed: str(denoising.settings.seed),
        asked.width: denoising.settings.width,
        asked.height: denoising.settings.height,
    }


def read(given: list) -> tuple[dict[str, Any], str, Any, Any]:
    """(fields, model's id, start, mask) of a handler's values; texts are checked before a model is loaded."""
    parts.ready()
    from pipelines.text_to_image.settings import text

    *values, start, mask = given
    fields, model_id = asking.read(*values)
    text(fields["prompt"])
    text(fields["negative_prompt"])
    return fields, parts.known_model(model_id), start, mask


def made_edit(start, mask, fields: dict[str, Any], model):
    """The `Edit` of a start picture: inpainting where strokes or a mask say which part, else image to image; None
    without a picture. Raises UserError."""
    if start is None:
        return None
    from demos.shell.components.marks import brush_mask
    from pipelines.text_to_image.edit import create
    from pipelines.text_to_image.settings import Settings, check

    picture, marks = start
    where = brush_mask(marks, *picture.size)
    if mask is not None:
        where = where | _as_large(mask.pixels, where.shape)
    settings = check(Settings(**fields), model).settings
    size = {"width": settings.width, "height": settings.height}
    return (
        create("inpaint", picture.pixels, mask=where, **size)
        if where.any()
        else create("image", picture.pixels, **size)
    )


def _as_large(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A mask picture, (H, W, 3) uint8, as booleans of this shape: what is lighter than the middle."""
    from PIL import Image

    grey = Image.fromarray(pixels).convert("L").resize((shape[1], shape[0]), Image.Resampling.NEAREST)
    return np.asarray(grey) > 127


def _watched(run: Generator, model, panel: Panel) -> Generator:
    """Pass a run's steps on as film frames; returns its `Denoising`. Closing this closes the run."""
    waiting, told_at = [], 0.0
    try:
        while True:
            try:
                progress = next(run)
            except StopIteration as ended:
                return ended.value
            i, n = progress.index + 1, progress.total
            waiting.append(shown(model, progress.step))
            if i == n or time.monotonic() - told_at >= FRAMES_EVERY_S:
                yield {panel.status: views.running(i, n), panel.film: frames(i - len(waiting), n, waiting, quick=True)}
                waiting, told_at = [], time.monotonic()
    finally:
        run.close()


def shown(model, step) -> tuple[np.ndarray, np.ndarray]:
    """A step's frame: x_t and x0-hat as pictures, those of a batch side by side."""
    return tiled(model.preview(step.x_t)), tiled(model.preview(step.x0))


def tiled(pictures: np.ndarray) -> np.ndarray:
    """(B, H, W, 3) -> one picture: two in a row."""
    if len(pictures) == 1:
        return pictures[0]
    rows = [np.concatenate([*pictures[k : k + 2], *_blank(pictures, k)], axis=1) for k in range(0, len(pictures), 2)]
    return np.concatenate(rows)


def _blank(pictures: np.ndarray, k: int) -> list[np.ndarray]:
    """White paper where a row has one picture only."""
    return [np.full_like(pictures[0], 255)] if k + 1 == len(pictures) else []


def filled(panel: Panel, run: history.Run, request: gr.Request) -> dict:
    """Every component's value for a run out of the history, the newest included."""
    return {
        panel.pictures: views.pictures(run.drawn, prompt=run.shown.settings["prompt"]),
        panel.notes: run.result.notes,
        panel.provenance: run.result.provenance,
        panel.code: results.snippet(run.result.code),
        panel.as_png: str(run.drawn[0].path),
        panel.history: history.value(history.runs(request), on=run.name),
        panel.finished: run.name,
        panel.sent: str(run.drawn[0].path),
    }


def zipped(lang, request: gr.Request) -> str:
    """The address of a zip with all of the session's pictures."""
    return address(history.packed(request))


def wire(page, asked: Asked, panel: Panel, *, starter: Starter) -> None:
    """Generate, Another one, Enter, an example, a link that asks for it; Cancel."""
    inputs = [*asked.inputs, page.lang]
    outputs = [*panel.outputs, panel.model_facts, asked.seed, asked.width, asked.height]
    handler = jobs.long(generator(asked, panel), status=panel.status, replaces=True)
    run = {"fn": handler, "inputs": inputs, "outputs": outputs, **jobs.LONG}
    pressed = [asked.go.click, asked.prompt.submit]
    gr.on(pressed, None, None, None, js=_LOOK, **links.PRIVATE)
    # Of several presses the newest counts, whoever made it: the handler is one and the same.
    going = [gr.on(pressed, trigger_mode="multiple", **run), starter.start(trigger_mode="multiple", **run)]
    asked.dice.click(None, None, asked.seed, js=_ROLL, **links.PRIVATE)
    another = asked.another.click(None, None, asked.seed, js=_ROLL, **links.PRIVATE)
    going.append(another.then(trigger_mode="multiple", **run))
    for name, button in asked.examples.items():
        taken = button.click(jobs.short(_example(name)), [page.lang], [asked.prompt, asked.seed], **jobs.SHORT)
        going.append(taken.then(trigger_mode="multiple", **run))
    jobs.wire_stop(asked.stop, going, status=panel.status)


# On a phone the result lies under the controls.
_LOOK = """() => { if (innerWidth < 700) document.querySelector(".ti-result").scrollIntoView(); }"""
_ROLL = "() => String(crypto.getRandomValues(new Uint32Array(1))[0])"


def wire_tools(page, asked: Asked, panel: Panel) -> None:
    """Download all, and the picture as the start of the next run."""
    results.wire_saving(panel.as_zip, zipped, [page.lang])
    panel.use.click(
        jobs.short(_used), [panel.sent, page.lang], [asked.start, asked.mask, asked.start_fold], **jobs.SHORT
    )


def _used(path, lang):
    """The picture that is shown, as one to start from."""
    if not path:
        raise UserError("text_to_image.run_first")
    if not sessions.is_own_file(path):
        raise UserError("errors.picture_gone")
    return path, None, gr.Accordion(open=True)


def _example(name: str):
    """The handler of an example's button."""

    def on_example(lang):
        example = asking.examples.find(name)
        return example.prompt(asking.language(lang)), str(example.seed)

    return on_example
