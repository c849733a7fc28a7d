"""The steps of a filling as they arrive, then scrubbed and played in the browser: the shell's film with its curves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from demos.shell.components import door
from demos.shell.components.film import WORDS as FILM_WORDS
from demos.shell.components.parts import script, template
from demos.shell.components.shown import Shown
from demos.shell.words import both

_HERE = Path(__file__).parent
_STRIPS = ("fill_picture", "fill_confidence", "fill_entropy")
_WORDS = (
    *("fill_none", "fill_at", "fill_at_one", "fill_left", "fill_schedule", "fill_axis", "fill_sure", "fill_bits"),
    *("fill_curve_left", "fill_curve_sure"),
)


class FillFilm(Shown):
    """Its value is `fill_views.frame`; Python gets nothing from it. fill_film.js runs behind film.js in one scope."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        own = both(*(f"components.{name}" for name in FILM_WORDS), *(f"tokenise.{name}" for name in _WORDS))
        for sentences in own.values():
            sentences["no_frames"] = sentences["fill_none"]
        gr.HTML.__init__(
            self,
            value,
            html_template=template("film.html") + (_HERE / "fill_film.html").read_text("utf-8"),
            css_template=template("film.css") + (_HERE / "fill_film.css").read_text("utf-8"),
            js_on_load=script("common.js", "film.js") + "\n" + (_HERE / "fill_film.js").read_text("utf-8"),
            apply_default_css=False,
            words=own,
            strips=[door.in_both(f"tokenise.{name}") for name in _STRIPS],
            **kwargs,
        )

    def postprocess(self, value: Mapping | None) -> dict | None:
        return None if value is None else dict(value)
