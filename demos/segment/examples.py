"""The pictures offered in the tab: some of assets/examples, with the marks that the first one opens with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from demos.shell import examples
from demos.shell.examples import FOLDER

OFFERED = ("breakfast", "coffee", "rocket", "coins", "photographer", "astronaut", "citrus", "raccoon", "cat")
MARKS = {"objects": [{"id": 1, "marks": [{"kind": "point", "x": 208, "y": 132, "label": 1}]}], "active": 0}


@dataclass(frozen=True)
class Example(examples.Example):
    """masks: an index picture of what is known to be there, or None."""

    masks: Path | None = None


@cache
def offered() -> tuple[Example, ...]:
    """All examples, the first one being the stored result."""
    return tuple(_example(examples.table()[name]) for name in OFFERED)


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
