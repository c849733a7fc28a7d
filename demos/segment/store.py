"""The finished result that the tab opens with, made by the real model: `python -m demos.segment.store`.

assets/stored/segment/ holds the masks of the first example's marks, their cut-out, the grid of "Everything", and what
made them: the hashes of model, picture and code. Reading one imports no model library.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from demos.segment import examples, parts
from demos.segment.parts import Layer
from demos.segment.snippet import Call
from demos.segment.stage import Asked
from demos.shell.stored import hashed, served

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "assets" / "stored" / "segment"
WEIGHTS = ROOT / "assets" / "models" / "segment" / "lucida"
CODE = ("prompt.py", "masks.py", "marks.py", "models.py", "export.py", "grid.py", "everything.py")
CUT_OUT = "cut_out.png"
NUMBERS = ("logits", "iou", "stability", "area")


@dataclass(frozen=True, eq=False)
class Stored:
    """asked: what the stage would ask. layer: the answer, its masks as `pipelines.segment.masks.Masks`.

    pixels: (h, w, 3) uint8 at display size. calls: of the decoder. said: device, dtype, encoder_ms.
    """

    folder: Path
    asked: Asked
    layer: Layer
    pixels: np.ndarray
    model_id: str
    calls: tuple[Call, ...]
    said: dict[str, Any]
    made_of: dict[str, str]

    @property
    def name(self) -> str:
        """The name of this answer, as the page's hidden box holds it."""
        return "stored"

    def cut_out(self) -> Path:
        """A small PNG of the cut-out, copied to where the page may fetch files."""
        return served(self.folder / CUT_OUT, parts.TOPIC)


@cache
def load() -> Stored | None:
    """The stored result, or None before the first `make stored`."""
    path = FOLDER / "result.json"
    if not path.is_file():
        return None
    data = json.loads(path.read_text("utf-8"))
    known = examples.find(data["example"])
    if known is None:
        return None
    calls = tuple(Call(tuple(map(tuple, points)), box and tuple(box), token) for points, box, token in data["calls"])
    masks = _masks(data["masks"], path.with_name("masks.npz"), calls[-1])
    layer = Layer(**data["layer"], masks=masks)
    asked = Asked(known.id, known.path, data["objects"]["objects"], data["objects"]["active"])
    pixels = np.asarray(Image.open(known.path).convert("RGB"))
    return Stored(path.parent, asked, layer, pixels, data["model"], calls, data["said"], data["made_of"])


def made_of() -> dict[str, str]:
    """SHA-256 of the model, of the example with its marks, and of the code that computes."""
    first = examples.offered()[0]
    pipeline = ROOT / "pipelines" / "segment"
    return {
        "model": hashed([WEIGHTS / "model.safetensors"]),
        "picture": hashed([first.path]),
        "marks": hashlib.sha256(json.dumps(examples.MARKS, sort_keys=True).encode()).hexdigest(),
        "code": hashed([pipeline / name for name in CODE]),
    }


def make() -> None:
    """Answer the first example's marks and write the result."""
    from demos.segment import answer, downloads, everything_views, wanted
    from pipelines.runtime.pictures import open_picture
    from pipelines.segment import everything, prompt

    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    model, first = parts.load(parts.BUNDLED), examples.offered()[0]
    picture = open_picture(first.path)
    objects, active = wanted.read(examples.MARKS, *examples.size(first))
    for _ in range(2):  # the second run shows the time after the first
        embedding = prompt.encode(model, picture.pixels, picture=picture.sha256)
        solved = answer.solve(model, embedding, objects[active], chained=True)
    layer = answer.layer_of(objects[active], active, solved.masks)
    small = prompt.fitted(picture.pixels)
    np.savez_compressed(FOLDER / "masks.npz", **{name: _small(getattr(solved.masks, name)) for name in NUMBERS})
    (FOLDER / CUT_OUT).write_bytes(downloads.preview(small, layer))
    *_, grid = everything.grid_pass(model, embedding)
    everything_views.save(grid, FOLDER, name=first.id, pixels=small)
    data = {
        "example": first.id,
        "model": parts.BUNDLED,
        "objects": wanted.plain(objects, active),
        "layer": {name: getattr(layer, name) for name in ("id", "number", "name", "token", "threshold")},
        "masks": _plain(solved.masks),
        "calls": [[call.points, call.box, call.token] for call in answer.calls_of(solved)],
        "said": {"device": model.device, "dtype": str(model.dtype).removeprefix("torch."), "encoder_ms": embedding.ms},
        "made_of": made_of(),
    }
    (FOLDER / "result.json").write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _plain(masks) -> dict[str, Any]:
    """What a `Masks` says besides its arrays."""
    names = ("valid", "square", "input_size", "size", "full_size", "ms", "model_id", "picture_key")
    return {name: getattr(masks, name) for name in names}


def _masks(data: dict[str, Any], path: Path, call: Call):
    """The stored `Masks`; its prompt without the mask before."""
    from pipelines.segment.marks import read
    from pipelines.segment.masks import Masks

    with np.load(path, allow_pickle=False) as found:
        arrays = {name: found[name].astype(np.float32) for name in NUMBERS}
    pairs = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    return Masks(**arrays, **pairs, prompt=read(call.points, call.box))


def _small(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16) if array.ndim == 3 else array


if __name__ == "__main__":
    make()
