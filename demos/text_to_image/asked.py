"""The components that hold what a visitor asks for, what a link puts into them, and reading them with care.

It imports no model library: the page is laid out, and a link read, before one is loaded. The pipeline checks every
value again; `Asked` gives it plain Python ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from demos.shell import links, model_switch
from demos.shell.components.canvas import Canvas
from demos.shell.components.picture import PictureInput
from demos.shell.words import t
from demos.text_to_image import examples, store
from demos.text_to_image.parts import TOPIC
from pipelines.runtime.errors import UserError

# As in pipelines/text_to_image/settings.py and samplers.py, which a test compares.
SAMPLERS = ("ddim", "ddpm", "euler", "euler_a", "heun", "dpmpp_2m", "unipc", "lcm")
STEPS, GUIDANCE, BATCH, SIDE = (1, 100), (0.0, 30.0), (1, 4), (64, 2048)
MOST_CHARACTERS, MOST_SEED = 2_000, 2**64 - 1
START = {
    "negative_prompt": "",
    "steps": 20,
    "guidance_scale": 4.0,
    "sampler": "ddim",
    "eta": 0.0,
    "width": 128,
    "height": 128,
    "batch": 1,
    "seed": 0,
    "strength": 0.7,
}
NAMES = ("prompt", *START)
ASKING = ("example", "model", *NAMES)  # settings of a link that ask for a run


@dataclass(frozen=True)
class Opening:
    """How the tab opens. stored: the finished result to show, or None. run: generate as soon as the page stands."""

    settings: dict[str, Any]
    model: str = ""
    stored: store.Stored | None = None
    run: bool = False


@dataclass(frozen=True)
class Asked:
    """The components of Make. seed: a text, since JavaScript's numbers end at 2^53. start, mask: of editing."""

    prompt: gr.Textbox
    negative_prompt: gr.Textbox
    steps: gr.Slider
    guidance_scale: gr.Slider
    sampler: gr.Dropdown
    eta: gr.Slider
    width: gr.Number
    height: gr.Number
    batch: gr.Slider
    seed: gr.Textbox
    strength: gr.Slider
    model: gr.Dropdown
    start: Canvas
    mask: PictureInput
    go: gr.Button
    another: gr.Button
    dice: gr.Button
    stop: gr.Button
    examples: dict[str, gr.Button]
    start_fold: gr.Accordion

    @property
    def fields(self) -> dict[str, gr.components.Component]:
        """The components of `Settings`, by the name of its field."""
        return {name: getattr(self, name) for name in NAMES}

    @property
    def inputs(self) -> list:
        """What a run needs: every field in the order of NAMES, then model, start and mask."""
        return [*self.fields.values(), self.model, self.start, self.mask]


def opening(link: links.Link) -> Opening:
    """The stored result for a bare address; else the link's settings, each checked, the bad ones named as ignored."""
    lang = language(link.get("lang"))
    if not any(name in link for name in ASKING):
        stored = store.load(lang)
        if stored is not None:
            return Opening({**START, **stored.settings}, stored=stored)
        first = examples.OFFERED[0]
        return Opening({**START, "prompt": first.prompt(lang), "seed": first.seed}, run=True)
    known = examples.find(links.choice(link, "example", "", [one.id for one in examples.OFFERED]))
    model = links.choice(link, "model", "", [entry.id for entry in model_switch.entries(TOPIC)])
    settings = {
        "prompt": links.text(link, "prompt", known.prompt(lang) if known else "", longest=MOST_CHARACTERS),
        "negative_prompt": links.text(link, "negative_prompt", "", longest=MOST_CHARACTERS),
        "steps": links.integer(link, "steps", START["steps"], *STEPS),
        "guidance_scale": links.number(link, "guidance_scale", START["guidance_scale"], *GUIDANCE),
        "sampler": links.choice(link, "sampler", START["sampler"], SAMPLERS),
        "eta": links.number(link, "eta", 0.0, 0.0, 1.0),
        "width": links.integer(link, "width", START["width"], *SIDE),
        "height": links.integer(link, "height", START["height"], *SIDE),
        "batch": links.integer(link, "batch", 1, *BATCH),
        "seed": links.integer(link, "seed", known.seed if known else 0, 0, MOST_SEED),
        "strength": START["strength"],
    }
    return Opening(settings, model=model, run=model_switch.is_ready(model))


def language(lang) -> str:
    """ "en" or "zh", whatever came."""
    return "zh" if lang == "zh" else "en"


def read(*values) -> tuple[dict[str, Any], str]:
    """The fields as plain values for `Settings`, and the model's id. Raises UserError for a seed that is no number."""
    fields = dict(zip(NAMES, values, strict=False))
    fields["seed"] = read_seed(fields["seed"])
    return fields, values[len(NAMES)]


def read_seed(text) -> int:
    """A whole number, written in digits; empty and -1 draw one. Raises UserError.

    The range is the pipeline's to check.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    text = str(text if text is not None else "").strip()
    if not text:
        return -1
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 30):
        raise UserError("text_to_image.seed_digits", seed=text[:30])
    return int(text)


def filled(asked: Asked, settings: dict[str, Any]) -> dict:
    """Every field's component with its value out of these settings; what they lack stays."""
    values = {**settings, "seed": str(settings["seed"])} if "seed" in settings else settings
    updates = {component: values[name] for name, component in asked.fields.items() if name in values}
    if "sampler" in settings:
        updates[asked.eta] = gr.Slider(value=settings.get("eta", 0.0), visible=settings["sampler"] == "ddim")
    return updates


# --- layout ---


def lay_out_prompt(start: Opening) -> gr.Textbox:
    return gr.Textbox(
        start.settings["prompt"], label=t("text_to_image.prompt"), info=t("text_to_image.prompt_info"),
        placeholder=t("text_to_image.prompt_hint"), lines=2, max_lines=8, interactive=True, elem_id="ti-prompt",
    )  # fmt: skip


def lay_out_examples() -> dict[str, gr.Button]:
    """A button an example, written in the visitor's language."""
    with gr.Row(elem_id="ti-examples", elem_classes="lucida-actions"):
        return {one.id: gr.Button(t(one.key), size="sm", min_width=40) for one in examples.OFFERED}


def lay_out_go(start: Opening) -> dict[str, gr.components.Component]:
    """Generate, another one, cancel, and the model."""
    with gr.Row(elem_id="ti-go"):
        go = gr.Button(t("text_to_image.generate"), variant="primary", scale=2, min_width=110, elem_id="ti-generate")
        another = gr.Button(t("text_to_image.another"), scale=1, min_width=90, elem_id="ti-another")
        stop = gr.Button(t("shell.cancel"), scale=1, min_width=70, elem_id="ti-stop")
    model = model_switch.choice(TOPIC, start.model, show_label=False, container=False, elem_id="ti-model")
    return {"go": go, "another": another, "stop": stop, "model": model}


def lay_out_settings(start: Opening) -> dict[str, gr.components.Component]:
    """Negative prompt, steps, guidance, sampler, size, batch, seed."""
    s = start.settings
    made: dict[str, gr.components.Component] = {}
    made["negative_prompt"] = gr.Textbox(
        s["negative_prompt"], label=t("text_to_image.negative_prompt"), info=t("text_to_image.negative_info"),
        lines=1, max_lines=4, interactive=True, elem_id="ti-negative",
    )  # fmt: skip
    with gr.Row():
        made["steps"] = _slider("steps", s, *STEPS, 1)
        made["guidance_scale"] = _slider("guidance_scale", s, *GUIDANCE, 0.1)
    with gr.Row():
        made["sampler"] = gr.Dropdown(
            [(t(f"text_to_image.sampler_{name}"), name) for name in SAMPLERS], value=s["sampler"],
            label=t("text_to_image.sampler"), allow_custom_value=True, interactive=True, min_width=140,
            elem_id="ti-sampler",
        )  # fmt: skip
        made["eta"] = _slider("eta", s, 0.0, 1.0, 0.05, visible=s["sampler"] == "ddim")
    with gr.Row():
        for name in ("width", "height"):
            made[name] = gr.Number(
                s[name], label=t(f"text_to_image.{name}"), precision=0, interactive=True, min_width=80,
                elem_id=f"ti-{name}",
            )  # fmt: skip
        made["batch"] = _slider("batch", s, *BATCH, 1)
    with gr.Row(elem_id="ti-seeds"):
        made["seed"] = gr.Textbox(
            str(s["seed"]), label=t("text_to_image.seed"), info=t("text_to_image.seed_info"), max_lines=1, scale=2,
            interactive=True, min_width=140, elem_id="ti-seed",
        )  # fmt: skip
        made["dice"] = gr.Button(t("text_to_image.dice"), size="sm", scale=1, min_width=80, elem_id="ti-dice")
    return made


def lay_out_start(start: Opening) -> dict[str, gr.components.Component]:
    """A picture to start from, strokes on it, a mask, and how much of the noise is put on."""
    made = {
        "start": Canvas(tools=("brush",), elem_id="ti-start"),
        "strength": _slider("strength", start.settings, 0.05, 1.0, 0.05),
    }
    with gr.Accordion(t("text_to_image.mask"), open=False, elem_id="ti-mask-fold"):
        made["mask"] = PictureInput(elem_id="ti-mask")
    return made


def _slider(name: str, settings: dict[str, Any], low: float, high: float, step: float, **kwargs) -> gr.Slider:
    return gr.Slider(
        low, high, value=settings[name], step=step, label=t(f"text_to_image.{name}"),
        info=t(f"text_to_image.{name}_info"), interactive=True, min_width=160, elem_id=f"ti-{name}", **kwargs,
    )  # fmt: skip
