"""Components of a tab that go on where the heat map ends: its map and keys, and controls of their own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from demos.shell.components import colours
from demos.shell.components.heat import WORDS as HEAT_WORDS
from demos.shell.components.heat import HeatMap
from demos.shell.components.parts import script, template
from demos.shell.words import both


class OverHeat(HeatMap):
    """A heat map with more on it. Its value is a heat map's, and whatever `name`.js wants besides.

    folder: of the tab; `name`.html, `name`.css and `name`.js lie there. `name`.js runs behind heat.js in one scope: it
    reads and paints the map by heat.js's own functions and variables. words: keys of the sentences that it writes;
    none: the key of what stands there without a value. scripts: of the same folder, to stand between heat.js and
    `name`.js, with their style sheets where they have one.
    """

    def __init__(
        self,
        value: Mapping | None = None,
        *,
        folder: Path,
        name: str,
        none: str,
        words: tuple[str, ...] = (),
        scripts: tuple[str, ...] = (),
        **kwargs: Any,
    ):
        own = both(*(f"components.{word}" for word in HEAT_WORDS), *words, none)
        for sentences in own.values():
            sentences["no_map"] = sentences[none.split(".")[-1]]

        def read(file: str) -> str:  # a constant, since Gradio evaluates templates
            return (folder / file).read_text("utf-8")

        styles = [file for file in (one.replace(".js", ".css") for one in scripts) if (folder / file).is_file()]
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
