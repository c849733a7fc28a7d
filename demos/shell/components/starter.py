"""Starts what should happen when a tab stands: the answer that a link asks for; unfolded settings on a wide screen."""

from typing import Any

import gradio as gr

_JS = """
if (innerWidth >= 900) trigger("wide");
if (props.run) trigger("start");
"""


class Starter(gr.HTML):
    """Without a face. `.start` fires once if `run`; `.wide` where there is room beside the result."""

    def __init__(self, *, run: bool, **kwargs: Any):
        super().__init__(None, html_template="<i hidden></i>", js_on_load=_JS, apply_default_css=False, run=run,
                         elem_classes="lucida-box", **kwargs)  # fmt: skip

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
