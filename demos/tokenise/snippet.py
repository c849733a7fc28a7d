"""A grid -> the lines of "Copy as Python", which decode the very picture that the tab shows."""

from __future__ import annotations

from collections.abc import Sequence

from demos.tokenise.changes import Change

MOST_LINES = 20
MOST_CHANGES = 24  # written out; a grid with more is read from its file


def python(path: str, *, longest: int, model_id: str, changes: Sequence[Change] = ()) -> str:
    """At most 20 lines: a picture's codes, with the cells that were edited."""
    if len(changes) > MOST_CHANGES:
        return from_file(model_id)
    edits = f"for row, column, code in {list(changes)!r}:\n    indices[row, column] = code\n" if changes else ""
    return f"""\
from PIL import Image
from pipelines.runtime import context
from pipelines.runtime.pictures import open_picture
from pipelines.tokenise.code import decode, encode, prepared
from pipelines.tokenise.compare import psnr_db, ssim

model = context.current().load({model_id!r})
pixels = prepared(open_picture({path!r}).pixels, longest={longest})  # (H, W, 3) uint8
tokens = encode(model, pixels)
indices = tokens.indices.copy()  # (h, w) int32, each below model.codes
{edits}picture = decode(model, indices, size=tokens.size)
print(f"{{indices.size}} tokens, {{tokens.bytes}} bytes")
print(f"PSNR {{psnr_db(pixels, picture):.2f}} dB, SSIM {{ssim(pixels, picture):.3f}}")
Image.fromarray(picture).save("reconstruction.png")
"""


def from_file(model_id: str) -> str:
    """The same for a grid that no picture has: it is read from the file that the tab saves."""
    return f"""\
from pathlib import Path
from PIL import Image
from pipelines.runtime import context
from pipelines.tokenise.code import decode
from pipelines.tokenise.container import unpack

found = unpack(Path("tokens.vq").read_bytes())  # the .vq file saved beside the picture
model = context.current().load({model_id!r})
picture = decode(model, found.indices, size=found.size)
print(f"{{found.indices.size}} tokens, {{found.codes}} codes")
Image.fromarray(picture).save("reconstruction.png")
"""
