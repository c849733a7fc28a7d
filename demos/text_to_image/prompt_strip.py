"""The prompt strip: what the model will read of the prompt, before anything is generated."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import gradio as gr

from demos.shell import jobs, model_switch
from demos.shell.components.starter import Starter
from demos.text_to_image import parts, views


@dataclass(frozen=True)
class Strip:
    """shown: the chips."""

    shown: gr.HTML


def lay_out(stored: dict[str, Any] | None) -> Strip:
    """stored: the tokens of the prompt that the tab opens with, as `plain` made them."""
    text = views.strip(opened(stored)) if stored else ""
    return Strip(gr.HTML(text, apply_default_css=False, elem_id="ti-strip"))


def wire(page, strip: Strip, prompt: gr.Textbox, model: gr.Dropdown, *, starter: Starter) -> None:
    """Follow the typing: while one call is on its way, only the newest text waits behind it."""
    call = {"fn": jobs.short(on_prompt), "inputs": [prompt, model, page.lang], "outputs": strip.shown, **jobs.SHORT}
    gr.on([prompt.change, model.change], trigger_mode="always_last", **call)
    starter.start(**call)


def on_prompt(prompt, model, lang):
    """The chips of this prompt for the chosen model; a model that is not here has none."""
    if not model_switch.is_ready(parts.known_model(model)):
        return ""
    return views.strip(tokens(prompt, model))


def tokens(prompt, model: str):
    """`PromptTokens` of the prompt. Raises UserError."""
    parts.ready()
    from pipelines.text_to_image import prompt as pipeline

    pipeline.clean(prompt)  # before a model is loaded: a bad text costs nothing
    return pipeline.tokenise(parts.load(model), prompt)


def plain(read) -> dict[str, Any]:
    """The tokens as JSON can say them: for the API and the stored result."""
    chips = [
        {"text": chip.text, "id": chip.id, "kind": chip.kind, "word": chip.word, "start": chip.start, "end": chip.end}
        for chip in read.chips
    ]
    return {"chips": chips, "limit": read.limit, "used": read.used, "cut_from": read.cut_from}


def opened(said: dict[str, Any]) -> SimpleNamespace:
    """What `plain` said, with the fields that `views.strip` reads."""
    return SimpleNamespace(**{**said, "chips": [SimpleNamespace(**chip) for chip in said["chips"]]})
