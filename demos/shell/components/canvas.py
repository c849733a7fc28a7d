"""The picture input with marks on it: points, boxes, brush strokes, a crop, exact to the pixel at any zoom.

Python gets (`Picture`, marks) or None and gives a picture, or (picture, marks); `marks.py` says what marks are.
Wire `canvas.input(..., trigger_mode="always_last")`: it fires after each change of the picture or its marks.
"""

from collections.abc import Sequence
from typing import Any

from demos.shell import jobs
from demos.shell.components import marks
from demos.shell.components.parts import script, template
from demos.shell.components.picture import WORDS, PictureInput, language_of
from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import Picture

TOOLS = ("point", "box", "brush", "crop")
# A component that is more than a canvas puts its own scripts between these and canvas_begin.js.
CANVAS_SCRIPTS = ("common.js", "intake.js", "canvas.js", "canvas_paint.js", "canvas_hands.js")
CANVAS_WORDS = [
    *(*TOOLS, "negative", "negative_hint", "crop_hint", "undo", "redo", "clear", "zoom_in", "zoom_out"),
    *("canvas", "toolbar", "at_place", "marks_said"),
]


class Canvas(PictureInput):
    """tools: those offered, in this order. A new picture comes without marks."""

    def __init__(self, value: Any = None, *, tools: Sequence[str] = ("point", "box", "brush"), **kwargs: Any):
        if not tools or set(tools) - set(self._offers()):
            raise ValueError(f"tools must be some of {self._offers()}, got {tools}")
        super().__init__(value, tools=list(tools), **kwargs)

    def _offers(self) -> Sequence[str]:
        """The tools that there are, from which `tools` are chosen."""
        return TOOLS

    def _files(self) -> dict[str, str]:
        return {
            "html_template": template("canvas.html"),
            "css_template": template("picture.css") + template("canvas.css"),
            "js_on_load": script(*CANVAS_SCRIPTS, "canvas_begin.js"),
        }

    def _words(self) -> list[str]:
        return [*WORDS, *CANVAS_WORDS]

    def preprocess(self, payload: Any) -> tuple[Picture, list[dict]] | None:
        picture = super().preprocess(payload)
        if picture is None:
            return None
        try:
            return picture, marks.checked(payload.get("marks") or [], *picture.size, clamp=True)
        except UserError as error:
            raise jobs.sentence(error, language_of(payload)) from None

    def postprocess(self, value: Any) -> dict | None:
        picture, given = value if isinstance(value, tuple) else (value, [])
        shown = super().postprocess(picture)
        return shown and {**shown, "marks": marks.checked(given, shown["width"], shown["height"])}
