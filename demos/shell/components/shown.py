"""The base of components with a template, a style and a script of their own, from which Python gets nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from demos.shell.components.parts import script
from demos.shell.words import both


def files(folder: Path, name: str, *scripts: str) -> dict[str, Any]:
    """`name`.html, `name`.css and `name`.js in a tab's folder; `scripts` of the same folder come before its own.

    They are constants: Gradio evaluates templates, so nothing is filled in.
    """

    def read(file: str) -> str:
        return (folder / file).read_text("utf-8")

    return {
        "html_template": read(f"{name}.html"),
        "css_template": read(f"{name}.css"),
        "js_on_load": "\n".join([script("common.js"), *map(read, scripts), read(f"{name}.js")]),
        "apply_default_css": False,
    }


class Shown(gr.HTML):
    """Only shown: a handler that takes it gets None. words: keys of the sentences that its script writes."""

    def __init__(self, value: Mapping | None = None, *, words: Sequence[str] = (), **kwargs: Any):
        super().__init__(value, words=both(*words), **kwargs)

    def preprocess(self, payload: Any) -> Any:
        return None

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
