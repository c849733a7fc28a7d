"""The components that hold what a visitor asks for, and what a link puts into them. It imports no model library."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from demos.segment import examples, store, wanted
from demos.segment.parts import TOPIC
from demos.segment.stage import Stage
from demos.shell import links, model_switch
from demos.shell.words import t
from pipelines.runtime.errors import UserError

SETTINGS = ("example", "objects", "model", "previous")


@dataclass(frozen=True)
class Opening:
    """How the tab opens. objects: in the stage's form. stored: the finished result to show. run: answer at once."""

    example: str
    objects: dict[str, Any] | None = None
    model: str = ""
    previous: bool = True
    stored: store.Stored | None = None
    run: bool = False


@dataclass(frozen=True)
class Asked:
    """The question's components. previous: whether the mask before goes in as a prompt with the next mark.

    example, objects: without a face, what a link to this says: the example's id, and the objects as JSON.
    """

    stage: Stage
    model: gr.Dropdown
    previous: gr.Checkbox
    example: gr.Textbox
    objects: gr.Textbox

    @property
    def inputs(self) -> list:
        """What a handler of marks needs: [stage, model, previous]."""
        return [self.stage, self.model, self.previous]


def opening(link: links.Link) -> Opening:
    """The stored result for a bare address; else the link's settings, each checked, the bad ones named as ignored."""
    first = examples.offered()[0]
    if not any(name in link for name in SETTINGS):
        stored = store.load()
        marks = wanted.plain(*wanted.read(examples.MARKS, *examples.size(first)))
        return Opening(first.id, marks, stored=stored, run=stored is None)
    example = links.choice(link, "example", "", [one.id for one in examples.offered()])
    model = links.choice(link, "model", "", [entry.id for entry in model_switch.entries(TOPIC)])
    return Opening(
        example=example,
        objects=_objects(link, example),
        model=model,
        previous=links.choice(link, "previous", "true", ("true", "false")) == "true",
        run=bool(example) and model_switch.is_ready(model),
    )


def _objects(link: links.Link, example: str) -> dict[str, Any] | None:
    """The link's objects, checked as everything from outside; without their picture they mean nothing."""
    text = links.text(link, "objects", "")
    if not text:
        return None
    known = examples.find(example)
    try:
        if known is None:
            raise UserError("segment.objects_form")
        return wanted.plain(*wanted.read(json.loads(text), *examples.size(known)))
    except (UserError, json.JSONDecodeError, RecursionError):
        link.ignore("objects")
        return None


def lay_out_stage(start: Opening) -> Stage:
    """The picture with the marks on it and the examples under it."""
    known = examples.find(start.example)
    value = None if known is None else (known.path, start.objects) if start.objects else known.path
    return Stage(value, examples=[(one.path, one.name) for one in examples.offered()], elem_id="sg-stage")


def lay_out_controls(start: Opening, stage: Stage) -> Asked:
    """Model and previous mask, with the settings that have no face here."""
    model = model_switch.choice(TOPIC, start.model, show_label=False, container=False, elem_id="sg-model")
    previous = gr.Checkbox(
        start.previous, label=t("segment.previous"), info=t("segment.previous_info"), interactive=True,
        elem_id="sg-previous",
    )  # fmt: skip
    example = gr.Textbox(start.example, visible="hidden")
    objects = gr.Textbox(json.dumps(start.objects) if start.objects else "", visible="hidden")
    return Asked(stage=stage, model=model, previous=previous, example=example, objects=objects)
