"""Takes a PNG that was made here, dropped anywhere on the tab or chosen, and hands over its bytes as they are.

The picture input decodes what it gets, and the settings inside the file would be lost; here nothing is decoded.
In the browser the value is {"path", "lang"}; Python gets the file's bytes, or None. `.input` fires after each upload.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from demos.shell import jobs, sessions
from demos.shell.components.parts import script
from demos.shell.components.picture import language_of
from demos.shell.words import both
from pipelines.runtime.errors import UserError

_HERE = Path(__file__).parent
WORDS = ("png_choose", "png_drop", "png_over", "png_sending", "png_failed", "png_too_big")
MOST_BYTES = 20 * 2**20


class PngIntake(gr.HTML):
    """A button and a sentence; the whole tab around it takes the drop."""

    def __init__(self, **kwargs: Any):
        super().__init__(
            None,
            html_template=(_HERE / "png_intake.html").read_text("utf-8"),
            css_template=(_HERE / "png_intake.css").read_text("utf-8"),
            js_on_load=script("common.js") + (_HERE / "page.js").read_text("utf-8"),
            apply_default_css=False,
            words=both(*(f"text_to_image.{name}" for name in WORDS)),
            most_bytes=MOST_BYTES,
            **kwargs,
        )

    def preprocess(self, payload: Any) -> bytes | None:
        """The bytes of a file that was uploaded here; a refusal is a sentence in the language that the page names."""
        if payload is None:
            return None
        try:
            return opened(payload)
        except UserError as error:
            raise jobs.sentence(error, language_of(payload)) from None

    def postprocess(self, value: Any) -> None:
        return None

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def opened(payload: Any) -> bytes:
    """The bytes of the file that the payload names, if it lies in this app's folder of uploads. Raises UserError."""
    name = payload.get("path") if isinstance(payload, Mapping) else None
    if not isinstance(name, str) or not sessions.is_own_file(name):
        raise UserError("errors.picture_gone")
    path = Path(name)
    if path.stat().st_size > MOST_BYTES:
        raise UserError("errors.picture_too_heavy", size_mb=round(path.stat().st_size / 2**20), limit_mb=20)
    return path.read_bytes()
