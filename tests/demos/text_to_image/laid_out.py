"""The tab's own components outside of a page, for tests of its handlers."""

from types import SimpleNamespace

import gradio as gr

from demos.shell import links, results
from demos.shell.components.starter import Starter
from demos.text_to_image import asked as asking
from demos.text_to_image import make_panel, tab


def laid_out() -> SimpleNamespace:
    """asked: `asked.Asked`; panel: `make_panel.Panel`, of a tab that opens without a stored result."""
    with gr.Blocks():
        from demos.shell import parcels

        page = SimpleNamespace(
            lang=gr.Textbox("en"),
            link=links.Link(),
            tab="text_to_image",
            tabs=(),
            outbox=parcels.Box(),
            inbox=parcels.Box(),
        )
        start = asking.Opening({**asking.START, "prompt": ""})
        question, _strip, _intake = tab._asking(page, start, Starter(run=False))
        made = tab._picture_level(start)
        panel = make_panel.Panel(code=results.copy_as_python(), model_facts=gr.HTML(), **made)
    return SimpleNamespace(asked=question, panel=panel)
