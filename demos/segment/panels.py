"""The demonstrations under the result, in the order in which they are seen: `tab.py` lays out just this."""

from __future__ import annotations

import gradio as gr

from demos.segment import parts, views
from demos.segment.asked import Asked, Opening
from demos.shell import model_switch, results
from demos.shell.words import t


def lay_out(page, shared: parts.Shared, question: Asked, levels: results.Levels, start: Opening) -> model_switch.Panel:
    """The levels below the picture, and the panels across the whole width. Returns the model's."""
    with gr.Tabs(elem_id="sg-panels", overflow_behavior="wrap") as tabs:
        with gr.Tab(t("segment.panel_model"), id="model"):
            gr.HTML(views.framed(views.sentence("model_about")), apply_default_css=False)
            return model_switch.lay_out(
                page, parts.TOPIC, question.model, start=start.model, bundled=parts.BUNDLED, tabs=tabs, prefix="sg"
            )
