"""The session's last runs: thumbnails, of which a click puts settings and picture back. Their files and traces are
kept within bounds, the oldest leaving first."""

from __future__ import annotations

import secrets
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from demos.shell import sessions
from demos.shell.components import door
from demos.shell.components.parts import script
from demos.shell.words import both
from demos.text_to_image import parts
from demos.text_to_image.views import Drawn
from pipelines.runtime.errors import UserError

_HERE = Path(__file__).parent
KEPT = "text_to_image.history"
MOST = 12
MOST_TRACE_BYTES = 2 * 2**20  # of a run that is no longer shown: a large one is rather made again
THUMBNAIL_PX = 96


@dataclass(frozen=True)
class Run:
    """A finished run. thumbnail: data URL. result: what `result.shown` made of it, without the picture's files."""

    name: str
    shown: parts.Shown
    drawn: tuple[Drawn, ...]
    thumbnail: str
    result: Any

    @property
    def folder(self) -> Path:
        return self.drawn[0].path.parent


class History(gr.HTML):
    """Thumbnails. The value is {"runs": [{"name", "thumbnail", "prompt"}], "on": name}; `.input` fires on a click, and
    Python gets the name of the run that was clicked, or ""."""

    def __init__(self, **kwargs: Any):
        super().__init__(
            None,
            html_template=(_HERE / "history.html").read_text("utf-8"),
            css_template=(_HERE / "history.css").read_text("utf-8"),
            js_on_load=script("common.js") + (_HERE / "history.js").read_text("utf-8"),
            apply_default_css=False,
            words=both("text_to_image.history", "text_to_image.history_run"),
            **kwargs,
        )

    def preprocess(self, payload: Any) -> str:
        chosen = payload.get("chosen") if isinstance(payload, Mapping) else None
        return chosen if isinstance(chosen, str) else ""

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def runs(request: gr.Request) -> tuple[Run, ...]:
    """The runs of this session, the newest first."""
    return sessions.of(request).get(KEPT) or ()


def add(request: gr.Request, run: Run, denoising) -> None:
    """Put a run at the front; the one that falls off loses its files and its trace."""
    session = sessions.of(request)
    kept = (run, *runs(request))
    for old in kept[MOST:]:
        shutil.rmtree(old.folder, ignore_errors=True)
        session.put(_trace(old.name), None, nbytes=0)
    kept = kept[:MOST]
    session.put(KEPT, kept, nbytes=sum(20_000 + len(one.thumbnail) for one in kept))
    if denoising.nbytes <= MOST_TRACE_BYTES:
        session.put(_trace(run.name), denoising, nbytes=denoising.nbytes)


def find(request: gr.Request, name: str) -> Run:
    """The run of this name. Raises UserError for one that is not kept any more."""
    run = next((run for run in runs(request) if run.name == name), None)
    if run is None or not all(one.path.is_file() for one in run.drawn):
        raise UserError("text_to_image.history_gone")
    return run


def trace(request: gr.Request, name: str):
    """The run's `Denoising`, or None where it was freed."""
    return sessions.of(request).get(_trace(name))


def value(kept: tuple[Run, ...], *, on: str) -> dict[str, Any]:
    """The component's value."""
    listed = [{"name": run.name, "thumbnail": run.thumbnail, "prompt": run.shown.settings["prompt"]} for run in kept]
    return {"runs": listed, "on": on}


def thumbnail(pixels: np.ndarray) -> str:
    """A small picture of (H, W, 3) uint8, as a data URL."""
    return door.data_url(*door.encoded(pixels, longest=THUMBNAIL_PX))


def packed(request: gr.Request) -> Path:
    """A zip of every picture of the session, each with its settings inside. Raises UserError when there is none."""
    kept = [run for run in runs(request) if run.folder.is_dir()]
    if not kept:
        raise UserError("text_to_image.nothing_to_download")
    folder = sessions.of(request).folder / "all"
    shutil.rmtree(folder, ignore_errors=True)  # the zip before this one
    folder = folder / secrets.token_urlsafe(16)
    folder.mkdir(parents=True)
    path = folder / "camera-lucida-pictures.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # a PNG does not get smaller
        for number, run in enumerate(reversed(kept), start=1):
            for one in run.drawn:
                archive.write(one.path, f"{number:02d}-{one.path.name}")
    return path


def _trace(name: str) -> str:
    return f"text_to_image.trace.{name}"
