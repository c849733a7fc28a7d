"""The model switch's other half: the shell's, with this tab's times."""

import gradio as gr

from demos.shell import model_switch
from demos.zero_shot import answer as answers
from demos.zero_shot import views
from demos.zero_shot.asked import Asked, view
from demos.zero_shot.question import TOPIC

BUNDLED = "lucida-clip"


def lay_out(page, asked: Asked, start, tabs: gr.Tabs) -> model_switch.Panel:
    """tabs: the panels, of which this one comes to the front where a chosen model must be downloaded first."""
    view(views.framed(views.sentence("model_about")))
    return model_switch.lay_out(page, TOPIC, asked.model, start=start.model, bundled=BUNDLED, tabs=tabs, prefix="zs")


def note(answer: answers.Answer, request: gr.Request) -> dict[str, float]:
    """Keep the time of the answer's halves and return all that is known."""
    halves = [half for half in (answer.softmax, answer.sigmoid) if half is not None]
    return model_switch.note(TOPIC, request, {half.model_id: half.ms["total"] for half in halves})
