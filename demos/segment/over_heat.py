"""Components of this tab that go on where the shell's heat map ends: its map and keys, and controls of their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from demos.shell.components import colours
from demos.shell.components.heat import WORDS as HEAT_WORDS
from demos.shell.components.heat import HeatMap
from demos.shell.components.parts import script, template
from demos.shell.words import both

_HERE = Path(__file__).parent


def read(name: str) -> str:
    """A file beside this one: a constant, since Gradio evaluates templates."""
    return (_HERE / name).read_text("utf-8")


class OverHeat(HeatMap):
    """A heat map with more on it. Its value is a heat map's, and whatever `name`.js wants besides.

    `name`.js runs behind heat.js in one scope: it reads and paints the map by heat.js's own functions and variables.
    words: names of this tab's sentences; `<name>_none` is what stands there without a value. scripts: of this tab, to
    stand between heat.js and `name`.js, with their style sheets where they have one.
    """

    def __init__(
        self,
        value: Mapping | None = None,
        *,
        name: str,
        words: tuple[str, ...] = (),
        scripts: tuple[str, ...] = (),
        **kwargs: Any,
    ):
        own = both(*(f"components.{word}" for word in HEAT_WORDS), *(f"segment.{word}" for word in words))
        for sentences in own.values():
            sentences["no_map"] = sentences[f"{name}_none"]
        styles = [file for file in (one.replace(".js", ".css") for one in scripts) if (_HERE / file).is_file()]
        gr.HTML.__init__(  # in place of the heat map's own files
            self,
            value,
            html_template=template("heat.html") + read(f"{name}.html"),
            css_template="".join([template("heat.css"), *map(read, styles), read(f"{name}.css")]),
            js_on_load="\n".join([script("common.js", "heat.js"), *map(read, scripts), read(f"{name}.js")]),
            apply_default_css=False,
            words=own,
            colours=colours.stored(),
            **kwargs,
        )

    def postprocess(self, value: Mapping | None) -> dict | None:
        shown = super().postprocess(value)
        return None if shown is None else {**value, **shown}
