"""Starts the answer that a link asks for, as soon as the tab stands."""

from typing import Any

import gradio as gr


class Starter(gr.HTML):
    """Without a face. `.start` fires once if `run`."""

    def __init__(self, *, run: bool, **kwargs: Any):
        super().__init__(None, html_template="<i hidden></i>", js_on_load='if (props.run) trigger("start");',
                         apply_default_css=False, run=run, elem_classes="lucida-box", **kwargs)  # fmt: skip

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
