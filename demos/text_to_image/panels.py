"""The demonstrations under the result, in the order in which they are seen: `tab.py` lays out just this."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from demos.shell import sessions
from demos.shell.words import t
from demos.text_to_image import branch_panel, futures_panel, latent_panel, machine_panel, parts, reel, replay_panel
from demos.text_to_image.machine import view
from demos.text_to_image.panel_views import STYLE


def lay_out(page, shared: parts.Shared, *, stored_folder=None, last: Callable[[gr.Tabs], None]) -> machine_panel.Panel:
    """stored_folder: where `reel.save` put the reel of the stored result; left out, the machine opens empty.

    last: lays out further tabs behind these.
    """
    view(STYLE)
    first = (
        reel.stored(stored_folder, sessions.cache() / "stored" / "text_to_image" / stored_folder.name)
        if stored_folder
        else None
    )
    with gr.Tabs(elem_id="t2i-panels", overflow_behavior="wrap") as tabs:
        with gr.Tab(t("text_to_image.panel_machine"), id="machine"):
            machine = machine_panel.lay_out(page, shared, stored=first)
            branch_panel.lay_out(page, shared, machine)
        with gr.Tab(t("text_to_image.panel_futures"), id="futures"):
            futures_panel.lay_out(page, shared, machine)
        with gr.Tab(t("text_to_image.panel_latent"), id="latent") as tab:
            latent_panel.lay_out(page, shared, tab=tab)
        with gr.Tab(t("text_to_image.panel_replay"), id="replay") as tab:
            replay_panel.lay_out(page, shared, machine, tab=tab)
        last(tabs)
    return machine
