"""The components that hold a visitor's question, laid out beside each other, and what a link puts into them."""

from dataclasses import dataclass

import gradio as gr

from demos.shell import links, model_switch
from demos.shell.components.picture import PictureInput
from demos.shell.words import t
from demos.zero_shot import examples, store
from demos.zero_shot.quarrel import TEMPERATURE
from demos.zero_shot.question import TOPIC, read_crop, read_templates
from pipelines.runtime.errors import UserError

SETTINGS = ("example", "labels", "templates", "crop", "model", "temperature")


@dataclass(frozen=True)
class Opening:
    """How the tab opens. stored: the finished result to show, or None. run: classify as soon as the page stands."""

    example: str
    labels: str
    templates: str = ""
    crop: str = "own"
    model: str = ""
    temperature: float = 1.0
    stored: store.Stored | None = None
    run: bool = False


@dataclass(frozen=True)
class Asked:
    """The question's components. example, templates, crop and temperature have no face of their own here."""

    picture: PictureInput
    example: gr.Textbox
    labels: gr.Textbox
    templates: gr.Textbox
    crop: gr.Textbox
    model: gr.Dropdown
    temperature: gr.Number
    go: gr.Button

    @property
    def inputs(self) -> list:
        """What `question.read` needs after the picture: [picture, labels, templates, crop, model]."""
        return [self.picture, self.labels, self.templates, self.crop, self.model]


def view(value: str = "", **kwargs) -> gr.HTML:
    """HTML of `views.py`, which brings its own style."""
    return gr.HTML(value, apply_default_css=False, **kwargs)


def opening(link: links.Link) -> Opening:
    """The stored result for a bare address; else the link's settings, each checked, the bad ones named as ignored."""
    lang = "zh" if link.get("lang") == "zh" else "en"
    first = examples.offered()[0]
    if not any(name in link for name in SETTINGS):
        stored = store.load(lang)
        return Opening(first.id, first.labels[lang], stored=stored, run=stored is None)
    example = links.choice(link, "example", "", [one.id for one in examples.offered()])
    known = examples.find(example)
    return Opening(
        example=example,
        labels=links.text(link, "labels", known.labels[lang] if known else t_labels(lang)),
        templates=_passed(link, "templates", "", read_templates),
        crop=_passed(link, "crop", "own", read_crop),
        model=links.choice(link, "model", "", [entry.id for entry in model_switch.entries(TOPIC)]),
        temperature=links.number(link, "temperature", 1.0, *TEMPERATURE),
        run=known is not None,
    )


def t_labels(lang: str) -> str:
    """Labels to begin with on a picture that nothing is known of."""
    from demos.shell.words import say

    return say("zero_shot.example_labels", lang)


def _passed(link: links.Link, name: str, default: str, check) -> str:
    """The link's text if the check lets it pass."""
    value = links.text(link, name, default)
    try:
        check(value)
    except UserError:
        link.ignore(name)
        return default
    return value


def lay_out_picture(start: Opening) -> PictureInput:
    """The picture with the examples under it."""
    known = examples.find(start.example)
    offered = [(one.path, _title(one)) for one in examples.offered()]
    return PictureInput(known.path if known else None, examples=offered, elem_id="zs-picture")


def lay_out_controls(start: Opening, picture: PictureInput) -> Asked:
    """Labels, button and model, with the settings that have no face here."""
    labels = gr.Textbox(
        start.labels,
        label=t("zero_shot.labels"),
        info=t("zero_shot.labels_info"),
        lines=1,
        max_lines=8,
        placeholder=t("zero_shot.labels_hint"),
        interactive=True,
        elem_id="zs-labels",
    )
    with gr.Row(elem_id="zs-go"):
        model = model_switch.choice(
            TOPIC, start.model, show_label=False, container=False, scale=3, min_width=160, elem_id="zs-model"
        )
        go = gr.Button(t("zero_shot.classify"), variant="primary", scale=2, min_width=120, elem_id="zs-classify")
    with gr.Row(visible="hidden"):
        hidden = {name: gr.Textbox(getattr(start, name), visible="hidden") for name in ("example", "templates", "crop")}
        temperature = gr.Number(start.temperature, visible="hidden")
    return Asked(picture=picture, labels=labels, model=model, temperature=temperature, go=go, **hidden)


def _title(example) -> dict[str, str]:
    """The name under a thumbnail, with its credit."""
    return {
        "en": f"{example.title['en']} ({example.credit['en']})",
        "zh": f"{example.title['zh']}（{example.credit['zh']}）",
    }
