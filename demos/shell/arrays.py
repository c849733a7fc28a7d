"""Arrays for the browser: logits, maps, frames. `lucida.unpack` in page.js gives them back as typed arrays.

A small array travels inside a component's value; a large one as a file in the session's own folder, whose name
cannot be guessed.
"""

import base64
import secrets
import urllib.parse
from pathlib import Path

import numpy as np

from demos.shell.sessions import Session

DTYPES = ("uint8", "uint16", "float16", "float32")


def pack(array: np.ndarray) -> dict:
    """{"dtype", "shape", "data"}: little-endian bytes in C order as base64. dtype: one of `DTYPES`."""
    return {**_head(array), "data": base64.b64encode(_bytes(array)).decode("ascii")}


def pack_file(array: np.ndarray, session: Session) -> dict:
    """{"dtype", "shape", "url"}: the same bytes as a private file, for arrays above some 100 kB."""
    return pack_at(array, session.folder / f"{secrets.token_urlsafe(24)}.bin")


def pack_at(array: np.ndarray, path: Path) -> dict:
    """As `pack_file`, at a place of its own among the files that the page may fetch."""
    path.write_bytes(_bytes(array))
    return {**_head(array), "url": address(path)}


def address(path: Path) -> str:
    """Where the page fetches a file from, relative to the app's own address."""
    return f"gradio_api/file={urllib.parse.quote(str(path))}"


def unpack(packed: dict) -> np.ndarray:
    """The array of `pack`, for stored results and tests."""
    if packed["dtype"] not in DTYPES:
        raise ValueError(f"dtype must be one of {DTYPES}, got {packed['dtype']!r}")
    raw = base64.b64decode(packed["data"])
    return np.frombuffer(raw, dtype=np.dtype(packed["dtype"]).newbyteorder("<")).reshape(packed["shape"]).copy()


def _head(array: np.ndarray) -> dict:
    if array.dtype.name not in DTYPES:
        raise ValueError(f"dtype must be one of {DTYPES}, got {array.dtype}")
    return {"dtype": array.dtype.name, "shape": list(array.shape)}


def _bytes(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
