"""What the panels under the result share of an answer: its logits as one file for all of them, and its picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import gradio as gr
import numpy as np

from demos.segment import logit_views, parts
from demos.shell import arrays, sessions
from demos.shell.components.heat import ready

if TYPE_CHECKING:
    from pipelines.segment.masks import Masks

PACKED = "segment.packed"  # session: the latest answers' (Masks, packed), newest last
UNDER = "segment.under"  # session: (sha256 of the picture, the file that lies under the maps)
MOST_FILES = 4  # answers whose file is kept: the page may still be fetching the one before


@dataclass(frozen=True, eq=False)
class Shown:
    """The chosen object as the panels show it. packed: its logits. under: the picture, as a map's value names it."""

    layer: parts.Layer
    picture: parts.Pictured
    packed: Mapping
    under: Mapping


def shown(answered: str, shared: parts.Shared, request: gr.Request) -> Shown | None:
    """What is shown now; None where no object has a mark yet. Raises UserError when the session has let go of it."""
    if not answered:
        return None
    layers = parts.layers(answered, shared, request)
    place = sessions.of(request).get(parts.ACTIVE)
    if not layers or place is None or layers[place].masks is None:
        return None
    picture = parts.picture(answered, shared, request)
    return Shown(layers[place], picture, packed(layers[place].masks, request), _under(picture, request))


def packed(masks: Masks, request: gr.Request) -> dict:
    """The logits of all four tokens as a private file of the session; the same file for every panel."""
    session = sessions.of(request)
    kept = list(session.get(PACKED) or ())
    for known, made in kept:
        if known is masks:
            return made
    made = arrays.pack_file(logit_views.logits(masks), session)
    kept.append((masks, made))
    for _, old in kept[:-MOST_FILES]:
        (session.folder / Path(old["url"]).name).unlink(missing_ok=True)
    session.put(PACKED, tuple(kept[-MOST_FILES:]), nbytes=1_000)
    return made


def stored(masks: Masks) -> dict:
    """The logits of the stored result as a file that every page may fetch, named by its content."""
    array = logit_views.logits(masks)
    data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    folder = sessions.cache() / "stored" / "segment"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sha256(data).hexdigest()[:32]}.bin"
    if not path.is_file():
        path.write_bytes(data)
    return {"dtype": array.dtype.name, "shape": list(array.shape), "url": f"gradio_api/file={quote(str(path))}"}


def under(pixels: np.ndarray) -> dict:
    """The picture under a map, once for every value that names it."""
    return ready(pixels)


def _under(picture: parts.Pictured, request: gr.Request) -> dict:
    session = sessions.of(request)
    kept = session.get(UNDER)
    if kept is None or kept[0] != picture.sha256:
        kept = (picture.sha256, ready(picture.small))
        session.put(UNDER, kept, nbytes=1_000)
    return kept[1]
