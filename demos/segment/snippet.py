"""Marks -> the lines of "Copy as Python", which print the numbers and save the cut-out that the tab shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_LINES = 20


@dataclass(frozen=True)
class Call:
    """One call of the decoder. points: (x, y, label). token: whose mask is shown, and fed to the next call."""

    points: tuple[tuple[int, int, int], ...]
    box: tuple[float, float, float, float] | None
    token: int


def python(calls: Sequence[Call], model_id: str, *, path: str, threshold: float = 0.0) -> str:
    """At most 20 lines. calls: of the chosen object, in order; none where nothing is marked yet."""
    steps = ", ".join(f"({each.points!r}, {each.box!r}, {each.token})" for each in calls) or "(((10, 10, 1),), None, 1)"
    return f"""\
from PIL import Image
from pipelines.runtime import context
from pipelines.runtime.pictures import open_picture
from pipelines.segment.export import cut_out
from pipelines.segment.marks import read
from pipelines.segment.prompt import encode, predict

model = context.current().load({model_id!r})
pixels = open_picture({path!r}).pixels  # (H, W, 3) uint8
embedding, previous = encode(model, pixels), None  # the slow half, once
for points, box, token in [{steps}]:  # (x, y, label); each call gets the mask before
    masks = predict(model, embedding, read(points, box, previous=previous))
    previous = masks.as_prompt(token)
mask = masks.mask(token, threshold={threshold:g}, full=True)
print(f"predicted IoU {{masks.iou[token]:.4f}}, stability {{masks.stability[token]:.4f}}, {{mask.sum()}} pixels")
Image.fromarray(cut_out(pixels, mask)).save("cut_out.png")
"""
