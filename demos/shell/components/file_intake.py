"""Takes a file that was made here, dropped anywhere on the tab or chosen, and hands over its bytes as they are.

A picture input decodes what it gets, and what stands in a file besides its pixels would be lost; here nothing is
decoded. In the browser the value is {"path", "lang"}; Python gets the file's bytes, or None. `.input` fires after each
upload. The tab's words have the sentences `<name>_choose`, `_drop`, `_over`, `_sending`, `_failed` and `_too_big`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from demos.shell import jobs, sessions
from demos.shell.components.parts import script, template
from demos.shell.components.picture import language_of
from demos.shell.words import both
from pipelines.runtime.errors import UserError

WORDS = ("choose", "drop", "over", "sending", "failed", "too_big")
MOST_BYTES = 20 * 2**20


class FileIntake(gr.HTML):
    """A button and a sentence; the whole tab around it takes the drop.

    words: the beginning of its words' keys, such as "text_to_image.png". suffix: of the files, such as ".png".
    """

    def __init__(self, *, words: str, suffix: str, **kwargs: Any):
        super().__init__(
            None,
            html_template=template("file_intake.html"),
            css_template=template("file_intake.css"),
            js_on_load=script("common.js", "file_intake.js"),
            apply_default_css=False,
            words=both(*(f"{words}_{name}" for name in WORDS)),
            prefix=words.split(".")[-1],
            suffix=suffix,
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
