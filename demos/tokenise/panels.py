"""The demonstrations under the result, in the order in which they are seen: `tab.py` lays out just this."""

from __future__ import annotations

import gradio as gr

from demos.shell import model_switch
from demos.shell.words import t
from demos.tokenise import codebook_panel, fill_panel, loss_panel, parts, surgery_panel, views
from demos.tokenise.asked import Asked, Opening
from pipelines.runtime.errors import UserError
from pipelines.tokenise import pairs

SHOWN = {
    "surgery": surgery_panel,
    "codebook": codebook_panel,
    "loss": loss_panel,
    "fill": fill_panel,
}


def lay_out(page, shared: parts.Shared, question: Asked, start: Opening) -> model_switch.Panel:
    """The panels across the whole width. Returns the model's."""
    with gr.Tabs(elem_id="tk-panels", overflow_behavior="wrap") as tabs:
        for name, panel in SHOWN.items():
            with gr.Tab(t(f"tokenise.panel_{name}"), id=name):
                panel.lay_out(page, shared)
        with gr.Tab(t("tokenise.panel_model"), id="model"):
            gr.HTML(views.framed(views.sentence("model_about")), apply_default_css=False)
            switch = model_switch.lay_out(
                page, parts.TOPIC, question.model, start=start.model, bundled=parts.BUNDLED, tabs=tabs, prefix="tk"
            )
            gr.HTML(views.framed(views.sentence("stage_about")), apply_default_css=False)
            model_switch.companion(
                page, question.model, stage_of, start=start.model, chosen=switch.chosen, prefix="tk-stage"
            )
    return switch


def stage_of(model_id: str) -> str | None:
    """Id of the second stage of a model that may have one; of the bundled one's where the app chooses."""
    try:
        return pairs.stage_of(model_id or parts.BUNDLED)
    except UserError:
        return None
