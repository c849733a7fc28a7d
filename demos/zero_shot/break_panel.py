"""Break it: words on the picture beside two controls, what this model is known to do, and the crop."""

from dataclasses import dataclass, replace

import gradio as gr

from demos.shell import jobs, links
from demos.shell.components.canvas import Canvas
from demos.shell.words import t
from demos.zero_shot import answer as answers
from demos.zero_shot import examples, nothing, trials, views
from demos.zero_shot.asked import Asked, view
from demos.zero_shot.question import CROPS, Question, read
from demos.zero_shot.trials import Try

# The canvas shows the picture of the picture input: a copy of its value, made in the browser. The style sheet hides it
# while another crop is chosen.
_SHOW = """(kind, picture, crop) => kind === 'box'
  ? [picture ? {...picture, marks: []} : null, crop]
  : [null, kind]"""
_BOX = """(canvas, crop) => {
  const m = (canvas?.marks || []).find((mark) => mark.kind === 'crop');
  return m ? [m.x0, m.y0, m.x1, m.y1].map((side) => Math.round(side * 10) / 10).join(',') : 'own';
}"""


@dataclass(frozen=True)
class Panel:
    """crop and canvas: the tab classifies again when one of them changes."""

    result: gr.HTML
    expectation: gr.HTML
    crop: gr.Radio
    canvas: Canvas

    def cleared(self, model_id: str) -> dict:
        return {self.result: "", self.expectation: expectation(model_id)}


def lay_out(page, asked: Asked, start) -> Panel:
    view(views.framed(views.sentence("break_about")))
    with gr.Row(elem_classes="zs-line"):
        typed = gr.Textbox(
            label=t("zero_shot.typed"), info=t("zero_shot.typed_info"), max_lines=1, interactive=True, scale=4,
            elem_id="zs-typed",
        )  # fmt: skip
        write = gr.Button(t("zero_shot.write"), scale=1, min_width=110, elem_id="zs-write")
    result = view("", elem_id="zs-attack")
    told = view(expectation(start.stored.answer.main.model_id) if start.stored else "", elem_id="zs-expect")
    crop, canvas = _crop(asked, start)
    gr.on([write.click, typed.submit], jobs.short(on_write), [*asked.inputs, typed, page.lang], result, **jobs.SHORT)
    return Panel(result, told, crop, canvas)


def _crop(asked: Asked, start) -> tuple[gr.Radio, Canvas]:
    view(views.framed(f"<h4>{views.word('crop')}</h4>", views.sentence("crop_about")))
    kind = start.crop if start.crop in CROPS else "box"
    with gr.Column(elem_id="zs-crop-area"):
        radio = gr.Radio(
            [(t(f"zero_shot.crop_{name}"), name) for name in (*CROPS, "box")],
            value=kind,
            show_label=False,
            container=False,
            interactive=True,
            elem_id="zs-crop-kind",
        )
        view(views.framed(views.sentence("crop_draw", kind="zs-note")), elem_id="zs-crop-draw")
        offered = [(one.path, one.title) for one in examples.offered()]
        canvas = Canvas(None, tools=["crop"], examples=offered, picks=False, elem_id="zs-crop")
    radio.input(None, [radio, asked.picture, asked.crop], [canvas, asked.crop], js=_SHOW, **links.PRIVATE)
    canvas.input(None, [canvas, asked.crop], asked.crop, js=_BOX, **links.PRIVATE)
    return radio, canvas


def expectation(model_id: str) -> str:
    known = nothing.measured(model_id)
    return trials.expectation(known.overlay if known else None)


def on_write(picture, labels, templates, crop, model, typed, lang, request: gr.Request) -> str:
    """The untouched picture, the words, random letters and a blank patch, each with its bars."""
    question = read(labels, templates, crop, model)
    answer = answers.current(picture, question, request)
    return trials.attack(tries(picture.pixels, answer, typed), typed)


def tries(pixels, answer: answers.Answer, typed) -> list[Try]:
    """The four pictures as the model sees them, with their classifications. Raises UserError.

    The words are written on what the model sees, so that no crop cuts them off.
    """
    from pipelines.zero_shot.overlay import KINDS, write_on

    main = answer.main
    on_view = replace(answer.question, crop="own", box=None)
    made = [Try("before", main.view, main)]
    for kind in KINDS:
        written = write_on(main.view, typed, kind=kind)
        made.append(Try(kind, written, _classified(written, on_view, main.model_id)))
    return made


def _classified(pixels, question: Question, model_id: str):
    return answers.classify(pixels, question, model_id)
