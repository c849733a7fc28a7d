""" "None of these?": the bank's histogram with its threshold; where no bank ships, a button that reads one."""

from dataclasses import dataclass

import gradio as gr

from demos.shell import jobs
from demos.shell.words import spans, t
from demos.zero_shot import answer as answers
from demos.zero_shot import nothing, views
from demos.zero_shot.asked import Asked, view
from demos.zero_shot.question import read
from demos.zero_shot.refusal import Refusal


@dataclass(frozen=True)
class Panel:
    """The panel's components."""

    refusal: Refusal
    bank: gr.Button
    stop: gr.Button
    status: gr.HTML

    def filled(self, refusal: dict | None, model_id: str) -> dict:
        """For a new answer; the button is offered where the bank must be read first."""
        offered = not nothing.bank_is_ready(model_id)
        return {
            self.refusal: refusal,
            self.bank: gr.Button(visible=offered),
            self.stop: gr.Button(visible=offered),
            self.status: "",
        }


def lay_out(page, asked: Asked, refusal: dict | None) -> Panel:
    view(views.framed(views.sentence("none_about")))
    shown = Refusal(refusal, elem_id="zs-refusal")
    with gr.Row(elem_classes="zs-buttons"):
        bank = gr.Button(t("zero_shot.read_bank"), size="sm", visible=False, elem_id="zs-bank")
        stop = gr.Button(t("shell.cancel"), size="sm", visible=False, elem_id="zs-bank-stop")
    status = jobs.status_line()
    outputs = [status, shown, bank, stop]
    reading = bank.click(jobs.long(on_bank, status=status), [*asked.inputs, page.lang], outputs, **jobs.LONG)
    jobs.wire_stop(stop, [reading], status=status)
    return Panel(shown, bank, stop, status)


def on_bank(picture, labels, templates, crop, model, lang, request: gr.Request):
    """Read the bank with a model that ships none, then rank the labels in it."""
    main = answers.current(picture, read(labels, templates, crop, model), request).main
    for step in nothing.bank_steps(main.model_id):
        yield spans("zero_shot.read_bank_step", i=step.done, n=step.total), gr.skip(), gr.skip(), gr.skip()
    hidden = gr.Button(visible=False)
    yield "", nothing.value_with(main, step.bank), hidden, hidden
