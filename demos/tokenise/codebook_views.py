"""The codebook for its map: what is measured of it, as the component takes it, and kept for the stored result."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from demos.shell.arrays import pack
from demos.shell.stored import served
from demos.tokenise.decoded import file_of

if TYPE_CHECKING:
    from pipelines.tokenise.codebook import Usage

NUMBERS, SHEET = "codebook.npz", "codebook.png"
FIGURES = "figures.json"  # beside a bundled model's weights: what was measured for its card


@dataclass(frozen=True, eq=False)
class Book:
    """A model's codebook. cell: side of a patch in `sheet`, in pixels.

    places: (rows, columns) int32, the code at each place of the map, -1 where there is none. explained: share of the
    codes' variance that the map's two directions hold. sheet: (rows * cell, columns * cell, 3) uint8. counts: (codes,)
    int64 over the fixed set, and pictures: how many that were; None and 0 while it has not been counted.
    """

    model_id: str
    codes: int
    cell: int
    places: np.ndarray
    explained: float
    sheet: np.ndarray
    counts: np.ndarray | None = None
    pictures: int = 0

    @property
    def nbytes(self) -> int:
        """What the session's store counts."""
        return self.sheet.nbytes + self.places.nbytes + (0 if self.counts is None else self.counts.nbytes)


def value(book: Book, *, card: dict | None, sheet: Path | None = None) -> dict[str, Any]:
    """What `CodebookMap` takes. card: of `measured`. sheet: the sheet as a file that is served already."""
    counts = (
        None if book.counts is None else {"counts": pack(book.counts.astype(np.float32)), "pictures": book.pictures}
    )
    return {
        "model": book.model_id,
        "codes": book.codes,
        "cell": book.cell,
        "columns": book.places.shape[1],
        "places": pack(book.places.astype(np.uint16)),  # -1 becomes 65,535: no code has that number
        "explained": book.explained,
        "sheet": file_of(book.sheet if sheet is None else sheet),
        "set": counts,
        "card": card,
    }


def measured(folder: Path | None) -> dict[str, Any] | None:
    """What the model's card says of its codes' use, where its folder has figures: pictures, tokens, codes, used,
    perplexity."""
    path = None if folder is None else folder / FIGURES
    if path is None or not path.is_file():
        return None
    found = json.loads(path.read_text("utf-8")).get("usage")
    return found and {name: found[name] for name in ("pictures", "tokens", "codes", "used", "perplexity")}


def said(usage: Usage, pictures: int) -> dict[str, str]:
    """The fixed set's figures for the status line."""
    return {
        "pictures": f"{pictures}",
        "tokens": f"{usage.tokens:,}",
        "used": f"{usage.used:,}",
        "codes": f"{usage.codes:,}",
        "perplexity": f"{usage.perplexity:,.0f}",
    }


def save(book: Book, folder: Path) -> None:
    """Keep a codebook for the stored result."""
    facts = {name: getattr(book, name) for name in ("model_id", "codes", "cell", "places", "explained", "pictures")}
    np.savez_compressed(folder / NUMBERS, **facts, counts=book.counts)
    Image.fromarray(book.sheet).save(folder / SHEET, optimize=True)


def stored(folder: Path, topic: str) -> tuple[Book, Path] | None:
    """The codebook that `save` kept, and its sheet where the page may fetch it; or None."""
    if not (folder / NUMBERS).is_file():
        return None
    with np.load(folder / NUMBERS, allow_pickle=False) as kept, Image.open(folder / SHEET) as sheet:
        book = Book(
            model_id=str(kept["model_id"]),
            codes=int(kept["codes"]),
            cell=int(kept["cell"]),
            places=kept["places"],
            explained=float(kept["explained"]),
            sheet=np.asarray(sheet.convert("RGB")),
            counts=kept["counts"],
            pictures=int(kept["pictures"]),
        )
    return book, served(folder / SHEET, topic)
