"""Reads the files that make a component: its HTML, its style sheet and its script.

Gradio evaluates ``{{name}}`` and ``${name}`` in templates as JavaScript, so that a visitor's text in one would
run: our templates are constants without either, and scripts write words with ``textContent``.
"""

from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
_EVALUATED = ("{{", "${", "`", "\\")


@cache
def template(name: str) -> str:
    """The constant template `name`; ValueError if Gradio would evaluate any of it."""
    text = (_HERE / name).read_text("utf-8")
    found = [sign for sign in _EVALUATED if sign in text]
    if found:
        raise ValueError(f"{name} holds {found}, which Gradio would run as code")
    return text


@cache
def script(*names: str) -> str:
    """The scripts `names`, one after the other: they share one function's scope in the browser."""
    return "\n".join((_HERE / name).read_text("utf-8") for name in names)
