"""What the panels under the result share of an answer: its logits as one file for all of them, and its picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np

from demos.segment import logit_views, parts
from demos.shell import array_files, sessions
from demos.shell.components.heat import ready

if TYPE_CHECKING:
    from pipelines.segment.masks import Masks

UNDER = "segment.under"  # session: (sha256 of the picture, the file that lies under the maps)


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
    return array_files.private(logit_views.logits(masks), "logits", request)


def stored(masks: Masks) -> dict:
    """The logits of the stored result as a file that every page may fetch."""
    return array_files.stored(logit_views.logits(masks), "logits", topic="segment")


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
