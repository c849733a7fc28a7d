"""Template lab: the bare name, one sentence at a time, and their average, as dots on one line a label."""

from dataclasses import dataclass

import gradio as gr

from demos.shell import jobs, links, models
from demos.shell.words import t
from demos.zero_shot import answer as answers
from demos.zero_shot import trials, views
from demos.zero_shot.asked import Asked, view
from demos.zero_shot.question import MOST_TEXTS, read, read_templates
from pipelines.runtime.errors import UserError
from pipelines.zero_shot.templates import BARE, TEMPLATES

DOTS = 7  # the bare name, five templates, the average


@dataclass(frozen=True)
class Panel:
    """use: whether the quarrel takes the templates too; the tab classifies again when it changes."""

    text: gr.Textbox
    use: gr.Checkbox
    result: gr.HTML

    def cleared(self) -> dict:
        return {self.result: ""}


def lay_out(page, asked: Asked, active: str, lang: str) -> Panel:
    """active: the templates that the quarrel uses already, by a link."""
    view(views.framed(views.sentence("lab_about")))
    text = gr.Textbox(
        active or "\n".join(TEMPLATES[lang][: DOTS - 2]), label=t("zero_shot.templates"), lines=5, max_lines=12,
        interactive=True, elem_id="zs-templates",
    )  # fmt: skip
    with gr.Row(elem_classes="zs-buttons"):
        go = gr.Button(t("zero_shot.compare"), size="sm", elem_id="zs-compare")
        use = gr.Checkbox(bool(active), label=t("zero_shot.use_templates"), interactive=True, elem_id="zs-use")
    result = view("", elem_id="zs-lab")
    panel = Panel(text, use, result)
    go.click(jobs.short(on_compare), [*asked.inputs, text, page.lang], result, **jobs.SHORT)
    active_now = "(use, text) => use ? text : ''"
    gr.on([use.input, text.blur], None, [use, text], asked.templates, js=active_now, **links.PRIVATE)
    return panel


def on_compare(picture, labels, templates, crop, model, text, lang, request: gr.Request) -> str:
    """Dots and winners for these templates; the bare name is always the first."""
    question = read(labels, "", crop, model)
    answer = answers.current(picture, question, request)
    result = compare(picture.pixels, answer, read_templates(text))
    return trials.lab(result.templates, result.labels, result.softmax)


def compare(pixels, answer: answers.Answer, templates: tuple[str, ...]):
    """The pipeline's `TemplateLab`, the bare name put first. Raises UserError."""
    from pipelines.zero_shot.classify import compare_templates, encode_picture

    lines = (BARE, *(line for line in templates if line != BARE))
    labels = answer.question.labels
    if len(labels) * len(lines) > MOST_TEXTS:
        counts = {"labels": len(labels), "templates": len(lines), "texts": len(labels) * len(lines)}
        raise UserError("zero_shot.too_many_texts", most=MOST_TEXTS, **counts)
    model = models.runtime().load(answer.main.model_id)
    picture = jobs.on_device(encode_picture, model, pixels, crop=answers.crop_of(answer.question))
    return jobs.on_device(compare_templates, model, picture, labels, templates=lines)
