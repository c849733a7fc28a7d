"""Arrays for the browser as files that are named by their content: made and fetched once for all panels."""

from __future__ import annotations

import secrets
from hashlib import sha256
from pathlib import Path

import gradio as gr
import numpy as np

from demos.shell import arrays, sessions

MOST_FILES = 4  # of a kind: the page may still be fetching the one before


def private(array: np.ndarray, stem: str, request: gr.Request) -> dict:
    """The array as a file of the session, {"dtype", "shape", "url"}; of those with this stem the latest stay."""
    folder = sessions.of(request).folder
    made = written(array, folder / f"{stem}-{_digest(array)}.bin")
    kept = sorted(folder.glob(f"{stem}-*.bin"), key=lambda path: path.stat().st_mtime_ns)
    for old in kept[:-MOST_FILES]:
        old.unlink(missing_ok=True)
    return made


def stored(array: np.ndarray, stem: str, *, topic: str) -> dict:
    """An array of the stored result as a file that every page may fetch."""
    folder = sessions.cache() / "stored" / topic
    folder.mkdir(parents=True, exist_ok=True)
    return written(array, folder / f"{stem}-{_digest(array)}.bin")


def written(array: np.ndarray, path: Path) -> dict:
    """{"dtype", "shape", "url"} of the array in that file; a page never fetches half of it."""
    half = path.with_suffix(f".{secrets.token_hex(4)}")
    made = arrays.pack_at(array, half)
    half.replace(path)
    return {**made, "url": arrays.address(path)}


def _digest(array: np.ndarray) -> str:
    return sha256(np.ascontiguousarray(array)).hexdigest()[:24]
