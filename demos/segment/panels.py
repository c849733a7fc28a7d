"""The demonstrations under the result, in the order in which they are seen: `tab.py` lays out just this."""

from __future__ import annotations

import gradio as gr

from demos.segment import everything_panel, ladder_panel, parts, threshold_panel, views
from demos.segment.asked import Asked, Opening
from demos.shell import model_switch
from demos.shell.words import t


def lay_out(page, shared: parts.Shared, question: Asked, start: Opening) -> model_switch.Panel:
    """The panels across the whole width. Returns the model's."""
    with gr.Tabs(elem_id="sg-panels", overflow_behavior="wrap") as tabs:
        with gr.Tab(t("segment.panel_ladder"), id="ladder"):
            ladder_panel.lay_out(page, shared)
        with gr.Tab(t("segment.panel_threshold"), id="threshold"):
            threshold_panel.lay_out(page, shared)
        with gr.Tab(t("segment.panel_everything"), id="everything"):
            everything_panel.lay_out(page, shared)
        with gr.Tab(t("segment.panel_model"), id="model"):
            gr.HTML(views.framed(views.sentence("model_about")), apply_default_css=False)
            switch = model_switch.lay_out(
                page, parts.TOPIC, question.model, start=start.model, bundled=parts.BUNDLED, tabs=tabs, prefix="sg"
            )
    return switch
