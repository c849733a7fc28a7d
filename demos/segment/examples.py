"""The pictures offered in the tab: some of assets/examples, with the marks that the first one opens with."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"
OFFERED = ("breakfast", "coffee", "rocket", "coins", "photographer", "astronaut", "citrus", "raccoon", "cat")
MARKS = {"objects": [{"id": 1, "marks": [{"kind": "point", "x": 208, "y": 132, "label": 1}]}], "active": 0}


@dataclass(frozen=True)
class Example:
    """title, credit: {"en", "zh"}. masks: an index picture of what is known to be there, or None."""

    path: Path
    title: dict[str, str]
    credit: dict[str, str]
    masks: Path | None

    @property
    def id(self) -> str:
        """Its name in links."""
        return self.path.stem

    @property
    def name(self) -> dict[str, str]:
        """The name under a thumbnail, with its credit."""
        return {lang: f"{self.title[lang]} ({self.credit[lang]})" for lang in self.title}


@cache
def offered() -> tuple[Example, ...]:
    """All examples, the first one being the stored result."""
    data = tomllib.loads((FOLDER / "examples.toml").read_text("utf-8"))
    known = {Path(item["file"]).stem: item for item in data["example"]}
    return tuple(_example(known[name]) for name in OFFERED)


def find(name: str) -> Example | None:
    """The example of this id."""
    return next((example for example in offered() if example.id == name), None)


def size(example: Example) -> tuple[int, int]:
    """(width, height) of its picture, read from the file's head."""
    with Image.open(example.path) as file:
        return file.size


def _example(item: dict) -> Example:
    masks = FOLDER / item["masks"] if "masks" in item else None
    return Example(FOLDER / item["file"], item["title"], item["credit"], masks)
