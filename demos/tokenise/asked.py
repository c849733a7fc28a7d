"""The components that hold what a visitor asks for, and what a link puts into them. It imports no model library."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from demos.shell import links, model_switch
from demos.shell.components.file_intake import FileIntake
from demos.shell.components.picture import PictureChoice
from demos.shell.words import t
from demos.tokenise import changes, examples, store
from demos.tokenise.parts import SIZE, SIZES, TOPIC
from pipelines.runtime.errors import UserError

SETTINGS = ("example", "size", "model", "changes")


@dataclass(frozen=True)
class Opening:
    """How the tab opens. changes: of the picture's codes, as a link writes them.

    stored: the finished result to show. run: answer at once.
    """

    example: str
    size: int = SIZE
    model: str = ""
    changes: str = ""
    stored: store.Stored | None = None
    run: bool = False


@dataclass(frozen=True)
class Asked:
    """The question's components. file: takes a .vq. example, changes: without a face, what a link to this says."""

    picture: PictureChoice
    size: gr.Radio
    model: gr.Dropdown
    file: FileIntake
    example: gr.Textbox
    changes: gr.Textbox

    @property
    def inputs(self) -> list:
        """What a handler of a new grid needs: [picture, size, model]."""
        return [self.picture, self.size, self.model]


def opening(link: links.Link) -> Opening:
    """The stored result for a bare address; else the link's settings, each checked, the bad ones named as ignored."""
    first = examples.offered()[0]
    if not any(name in link for name in SETTINGS):
        stored = store.load()
        return Opening(first.id, stored=stored, run=stored is None)
    example = links.choice(link, "example", first.id, [one.id for one in examples.offered()])
    model = links.choice(link, "model", "", [entry.id for entry in model_switch.entries(TOPIC)])
    return Opening(
        example=example,
        size=int(links.choice(link, "size", str(SIZE), list(map(str, SIZES)))),
        model=model,
        changes=_changes(link),
        run=model_switch.is_ready(model),
    )


def _changes(link: links.Link) -> str:
    text = links.text(link, "changes", "")
    try:
        changes.read(text)
    except UserError:
        link.ignore("changes")
        return ""
    return text


def lay_out(start: Opening) -> Asked:
    """Picture, size, model, and a file that was saved here."""
    known = examples.find(start.example)
    offered = [(one.path, one.name) for one in examples.offered()]
    return Asked(
        picture=PictureChoice(known.path if known else None, examples=offered, leaves=(".vq",), elem_id="tk-picture"),
        size=gr.Radio(
            [(f"{side} px", side) for side in SIZES], value=start.size, label=t("tokenise.size"),
            info=t("tokenise.size_info"), interactive=True, elem_id="tk-size",
        ),
        model=model_switch.choice(TOPIC, start.model, elem_id="tk-model"),
        file=FileIntake(words="tokenise.vq", suffix=".vq", elem_id="tk-file"),
        example=gr.Textbox(start.example, visible="hidden"),
        changes=gr.Textbox(start.changes, visible="hidden"),
    )  # fmt: skip
