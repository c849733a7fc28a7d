"""The one picture input of every tab: drop, choose, paste, camera, examples; every file passes `runtime/pictures.py`.

In the browser the value is {"picture": file} or {"example": id}, with "width", "height", "notes", "preview" for the
page and "lang", the page's language, in which a refusal is told. Python gets a checked `Picture`, or None.

Wire `picture.input(..., trigger_mode="always_last")`, which fires when the visitor chose, changed or removed a picture.
Gradio's `change` fires also when the language is switched; without the trigger mode, Gradio drops a choice that is made
while the handler of the one before still runs.
"""

import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.components.base import server

from demos.shell import jobs
from demos.shell.components import door
from demos.shell.components.parts import script, template
from demos.shell.words import both
from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import LIMITS, Picture, open_picture

WORDS = [
    "choose",
    "choose_other",
    "remove",
    "drop_here",
    "offer",
    "picture_shown",
    "uploading",
    "checking",
    "too_big",
    "upload_failed",
    "not_a_file",
]


@dataclass(frozen=True)
class Chosen:
    """A picture that is not opened yet. name: as the page calls it, an example's id or the path of its file.

    path: its file, one that may be opened.
    """

    name: str
    path: Path

    def open(self) -> Picture:
        """The picture, checked and upright. Raises UserError."""
        return open_picture(self.path)


class PictureInput(gr.HTML):
    """examples: (path, key of the title) or (path, {"en", "zh"}) each; their id in a link is the file's stem.

    picks: whether a visitor may put a picture in; without, it shows what another component's value says.
    leaves: endings of file names that another component takes when they are dropped here.
    """

    def __init__(
        self,
        value: Any = None,
        *,
        examples: Iterable[door.Example | tuple] = (),
        picks: bool = True,
        leaves: Iterable[str] = (),
        **kwargs: Any,
    ):
        offered = [door.example(given) for given in examples]
        # Not named as the parameter is: Gradio would send an attribute of that name to the browser, paths and all.
        self._offered = {example.id: example for example in offered}
        super().__init__(
            value,
            **self._files(),
            apply_default_css=False,
            words=both(*(name if "." in name else f"components.{name}" for name in self._words())),
            limit_bytes=LIMITS.file_bytes,
            picks=picks,
            leaves=list(leaves),
            offered=[
                {"id": example.id, "title": dict(example.title), "thumbnail": door.thumbnail(example.path)}
                for example in offered
            ],
            **kwargs,
        )

    def _files(self) -> dict[str, str]:
        return {
            "html_template": template("picture.html"),
            "css_template": template("picture.css"),
            "js_on_load": script("common.js", "intake.js", "picture.js"),
        }

    def _words(self) -> list[str]:
        """Keys of the words that the scripts write: of this package by their last part, of others whole."""
        return WORDS

    @server
    def look(self, payload: Any) -> dict:
        """What the page asks after an upload and for an example: may it be used, and how is it shown?

        payload: {"picture": {"path"}} or {"example": id}. Gives `door.shown`, for an example with its picture in
        any case, or {"refused": the sentence in both languages}.
        """
        try:
            path = self._path(payload)
            shown = door.shown(open_picture(path), path)
        except UserError as error:
            return {"refused": door.in_both(error.key, **error.values)}
        if payload.get("example") and not shown["preview"]:
            shown["preview"] = door.data_url(path.read_bytes(), mimetypes.guess_type(path)[0])
        return shown

    def preprocess(self, payload: Any) -> Picture | None:
        """The picture, checked; a refusal is a sentence in the language that the payload names."""
        if payload in (None, ""):  # the page sends "" when the picture was taken away
            return None
        try:
            return open_picture(self._path(payload))
        except UserError as error:
            raise jobs.sentence(error, language_of(payload)) from None

    def postprocess(self, value: Picture | np.ndarray | str | Path | None) -> dict | None:
        """An example's path, any picture file of the app's, a `Picture` or its pixels."""
        if value is None:
            return None
        file = door.cached_file(value, self.GRADIO_CACHE)
        path = Path(file["path"])
        shown = door.shown(open_picture(path), path)
        if shown["preview"]:
            shown["preview"] = door.preview_file(shown["preview"], self.GRADIO_CACHE)
        return {"picture": file, "example": self._example_id(value), **shown}

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}

    def _chosen(self, payload: Any) -> Chosen | None:
        """What the browser sent, as a file that may be opened; a refusal is a sentence as above."""
        if payload in (None, ""):
            return None
        try:
            path = self._path(payload)
        except UserError as error:
            raise jobs.sentence(error, language_of(payload)) from None
        return Chosen(payload.get("example") or payload["picture"]["path"], path)

    def _path(self, payload: Any) -> Path:
        if not isinstance(payload, Mapping):
            raise UserError("errors.picture_not_file")
        return door.allowed_file(payload, cache=self.GRADIO_CACHE, examples=self._offered)

    def _example_id(self, value: Any) -> str | None:
        if not isinstance(value, str | Path):
            return None
        path = Path(value).resolve()
        return next((example.id for example in self._offered.values() if example.path == path), None)


class PictureChoice(PictureInput):
    """The same for Python that does not need the pixels each time: it gets a `Chosen`, or None."""

    def preprocess(self, payload: Any) -> Chosen | None:
        return self._chosen(payload)


def language_of(payload: Any) -> str:
    """The page's language as the payload names it; English if it does not."""
    lang = payload.get("lang") if isinstance(payload, Mapping) else None
    return lang if isinstance(lang, str) else "en"
