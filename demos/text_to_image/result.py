"""A finished run -> what every component of the tab shows of it, and its files. Pure but for the files."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from demos.shell import models, results
from demos.shell.words import spans
from demos.text_to_image import history, parts, snippet, views
from demos.text_to_image.views import Drawn


@dataclass(frozen=True)
class Facts:
    """What is said of a run besides its pictures, as HTML. code: the lines of "Copy as Python", as text."""

    notes: str
    provenance: str
    code: str


def run(denoising, folder: Path, *, edit=None, said: tuple[str, ...] = ()) -> history.Run:
    """Write the run's pictures into a folder of its own and say everything of it. said: further notes, as HTML."""
    name = secrets.token_urlsafe(16)
    settings = asdict(denoising.settings)
    shown = parts.Shown(name, denoising.model_id, settings, edited=edit is not None)
    drawn = write(denoising, folder / name)
    return history.Run(name, shown, drawn, history.thumbnail(denoising.pictures[0]), facts(denoising, edit, said=said))


def write(denoising, folder: Path) -> tuple[Drawn, ...]:
    """Each picture as a PNG with its own settings inside; a picture of a batch gets its own seed."""
    from pipelines.text_to_image.metadata import write_png

    folder.mkdir(parents=True)
    drawn = []
    for pixels, seed in zip(denoising.pictures, denoising.settings.seeds, strict=True):
        path = folder / f"lucida-{seed}.png"
        own = replace(denoising.settings, seed=seed, batch=1)
        path.write_bytes(write_png(pixels, own, denoising.model_id))
        drawn.append(Drawn(path, seed))
    return tuple(drawn)


def facts(denoising, edit, *, said: tuple[str, ...] = (), live: bool = True) -> Facts:
    """Notes, provenance and code of a run."""
    lines = [spans(note.key, **note.values) for note in denoising.notes]
    lines += [views.word(f"repaired_{part}") for part in denoising.repaired]
    return Facts(views.notes([*lines, *said]), provenance(denoising, live=live), code(denoising, edit))


def provenance(denoising, *, live: bool) -> str:
    """The line under the picture, with the seed that makes it again."""
    return results.computed(
        denoising.model_id,
        ms=denoising.ms["total"],
        live=live,
        device=denoising.device,
        dtype=denoising.dtype,
        seed=denoising.settings.seed,
    )


def code(denoising, edit) -> str:
    """The lines that draw the pictures again."""
    settings = asdict(denoising.settings)
    if edit is not None:
        return snippet.edited(settings, denoising.model_id, kind=edit.kind)
    entry = models.runtime().catalogue.find(denoising.model_id)
    return snippet.python(settings, entry, device=denoising.device, dtype=denoising.dtype)


def plain(settings: Mapping[str, Any], model_id: str, ms: Mapping[str, float]) -> dict[str, Any]:
    """A run's settings as the API tells them. The seed is written as a text where JavaScript could not hold it."""
    return {"model": model_id, **settings, "milliseconds": {name: round(value, 1) for name, value in ms.items()}}
