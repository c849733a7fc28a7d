"""The app's example pictures, for every tab that offers some of them: assets/examples/examples.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"


@dataclass(frozen=True)
class Example:
    """title, credit: {"en", "zh"}."""

    path: Path
    title: dict[str, str]
    credit: dict[str, str]

    @property
    def id(self) -> str:
        """Its name in links."""
        return self.path.stem

    @property
    def name(self) -> dict[str, str]:
        """The name under a thumbnail, with its credit."""
        return {lang: f"{self.title[lang]} ({self.credit[lang]})" for lang in self.title}


@cache
def table() -> dict[str, dict[str, Any]]:
    """What the file says of each example, by its id, in its order."""
    data = tomllib.loads((FOLDER / "examples.toml").read_text("utf-8"))
    return {Path(item["file"]).stem: item for item in data["example"]}


def offered(ids: Sequence[str]) -> tuple[Example, ...]:
    """The examples of these ids, in their order."""
    items = (table()[each] for each in ids)
    return tuple(Example(FOLDER / item["file"], item["title"], item["credit"]) for item in items)
