"""The pictures offered in the tab, with their labels in both languages: assets/examples/examples.toml."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"


@dataclass(frozen=True)
class Example:
    """title, labels, credit: {"en", "zh"}. truth: the label that names the picture best, or None."""

    path: Path
    title: dict[str, str]
    labels: dict[str, str]
    credit: dict[str, str]
    truth: dict[str, str] | None

    @property
    def id(self) -> str:
        """Its name in links."""
        return self.path.stem


@cache
def offered() -> tuple[Example, ...]:
    """All examples, the first one being the stored result."""
    data = tomllib.loads((FOLDER / "examples.toml").read_text("utf-8"))
    return tuple(
        Example(FOLDER / item["file"], item["title"], item["labels"], item["credit"], item.get("truth"))
        for item in data["example"]
    )


def find(name: str) -> Example | None:
    """The example of this id."""
    return next((example for example in offered() if example.id == name), None)
