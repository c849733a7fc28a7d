"""The finished result that the tab opens with, made by the real model: `python -m demos.tokenise.store`.

assets/stored/tokenise/ holds the codes of the first example with the encoder's vectors, what they paint, the rivals,
what each panel wants to open with, and what made them: the hashes of models, picture and code. Reading one imports no
model library.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from demos.shell import models, results
from demos.shell.arrays import address
from demos.shell.stored import hashed, served
from demos.tokenise import answer, board, examples, parts, rivals, views
from demos.tokenise.figures import Figures, measured
from demos.tokenise.parts import Question
from pipelines.runtime.picture_pixels import fitted
from pipelines.runtime.pictures import open_picture

if TYPE_CHECKING:
    from pipelines.tokenise.tokens import Tokens

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "assets" / "stored" / "tokenise"
CODE = ("code.py", "models.py", "tiles.py", "tokens.py", "compare.py")
PICTURE = "reconstruction.png"


@dataclass(frozen=True, eq=False)
class Stored:
    """tokens: of the picture. pixels: (H, W, 3) uint8, what its codes paint. rows: the rivals, their pictures in files.

    full_size: (H, W) of the example. said: device, dtype, decode_ms.
    """

    folder: Path
    question: Question
    tokens: Tokens
    pixels: np.ndarray
    figures: Figures
    full_size: tuple[int, int]
    rows: tuple[dict[str, Any], ...]
    said: dict[str, Any]
    made_of: dict[str, str]

    @property
    def model_id(self) -> str:
        """The model that made it."""
        return self.tokens.model_id

    def grid(self) -> dict:
        """The board's value."""
        tokens = self.tokens
        return board.grid(
            self.question.name,
            tokens.indices,
            codes=tokens.codes,
            cell=tokens.cell,
            size=tokens.size,
            picture=self.folder / PICTURE,
            original=tokens.pixels,
        )

    def rivals(self) -> dict:
        """The rivals' value."""
        rows = [
            rivals.Row(**{**row, "src": address(served(self.folder / row["src"], parts.TOPIC))}) for row in self.rows
        ]
        return rivals.value(self.question, rows)

    def notes(self) -> str:
        """How the picture got through."""
        return views.notes(views.fitted(self.tokens, self.full_size))

    def line(self) -> str:
        """The provenance line."""
        ms = self.tokens.ms + self.said["decode_ms"]
        return results.computed(self.model_id, ms=ms, live=False, device=self.said["device"], dtype=self.said["dtype"])


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
    tokens = _tokens(data["tokens"], path.with_name("tokens.npz"), fitted(open_picture(known.path).pixels, parts.SIZE))
    with Image.open(path.with_name(PICTURE)) as file:
        pixels = np.asarray(file.convert("RGB"))
    return Stored(
        folder=path.parent,
        question=Question("stored", known.id, parts.SIZE, tokens.model_id, size=tokens.size),
        tokens=tokens,
        pixels=pixels,
        figures=Figures(**{**data["figures"], "size": tokens.size}),
        full_size=tuple(data["full_size"]),
        rows=tuple(data["rivals"]),
        said=data["said"],
        made_of=data["made_of"],
    )


def made_of() -> dict[str, str]:
    """SHA-256 of the models, of the example, and of the code that computes."""
    catalogue, pipeline = models.runtime().catalogue, ROOT / "pipelines" / "tokenise"
    weights = [path for name in (parts.BUNDLED, parts.TWIN) for path in catalogue.find(name).weight_files]
    return {
        "model": hashed(weights),
        "picture": hashed([examples.offered()[0].path]),
        "code": hashed([pipeline / name for name in CODE]),
    }


def make() -> None:
    """Encode the first example and write the result."""
    from demos.tokenise import codebook_panel, codebook_views
    from pipelines.tokenise import code

    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    model, first = parts.load(parts.BUNDLED), examples.offered()[0]
    picture = open_picture(first.path)
    original = fitted(picture.pixels, parts.SIZE)
    for _ in range(2):  # the second run shows the time after the first
        tokens = code.encode(model, original, picture=picture.sha256)
        pixels, decode_ms = answer.painted(model.id, tokens.indices, size=tokens.size)
    Image.fromarray(pixels).save(FOLDER / PICTURE)
    np.savez_compressed(
        FOLDER / "tokens.npz", indices=tokens.indices.astype(np.uint16), latents=tokens.latents.astype(np.float16)
    )
    names = ("padded", "tiles", "cell", "codes", "model_id", "picture_key", "ms")
    data = {
        "example": first.id,
        "full_size": picture.pixels.shape[:2],
        "tokens": {name: getattr(tokens, name) for name in names},
        "figures": asdict(measured(tokens.indices, pixels, codes=tokens.codes, original=original)),
        "rivals": _rivals(tokens, pixels),
        "said": {"device": model.device, "dtype": str(model.dtype).removeprefix("torch."), "decode_ms": decode_ms},
        "made_of": made_of(),
    }
    (FOLDER / "result.json").write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", "utf-8")
    codebook_views.save(codebook_panel.measure(model), FOLDER)


def _rivals(tokens: Tokens, pixels: np.ndarray) -> list[dict]:
    """The rows of the rivals; each picture lies beside them without loss, a row's src is its file's name."""
    from pipelines.tokenise import code

    def saved(picture: np.ndarray) -> str:
        name = f"rival_{len(list(FOLDER.glob('rival_*')))}.webp"
        Image.fromarray(picture).save(FOLDER / name, lossless=True, method=6)
        return name

    twin = code.encode(parts.load(parts.TWIN), tokens.pixels)
    others, _ = answer.painted(parts.TWIN, twin.indices, size=twin.size)
    rows = [
        rivals.row(rivals.title(parts.BUNDLED), pixels, tokens.pixels, bytes=tokens.bytes, own=True, save=saved),
        rivals.row(rivals.title(parts.TWIN), others, tokens.pixels, bytes=twin.bytes, save=saved),
        *rivals.codecs(tokens.pixels, tokens.bytes, save=saved),
    ]
    return [asdict(each) for each in rows]


def _tokens(data: dict[str, Any], path: Path, original: np.ndarray) -> Tokens:
    """The stored `Tokens`."""
    from pipelines.tokenise.tokens import Tokens

    with np.load(path, allow_pickle=False) as found:
        indices, latents = found["indices"].astype(np.int32), found["latents"].astype(np.float32)
    pairs = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    return Tokens(indices=indices, latents=latents, pixels=original, **pairs)


if __name__ == "__main__":
    make()
