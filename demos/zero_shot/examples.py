"""The pictures offered in the tab, with their labels in both languages: assets/examples/examples.toml."""

from dataclasses import dataclass
from functools import cache

from demos.shell import examples
from demos.shell.examples import FOLDER


@dataclass(frozen=True)
class Example(examples.Example):
    """labels: {"en", "zh"}. truth: the label that names the picture best, or None."""

    labels: dict[str, str]
    truth: dict[str, str] | None


@cache
def offered() -> tuple[Example, ...]:
    """All examples, the first one being the stored result."""
    return tuple(
        Example(FOLDER / item["file"], item["title"], item["credit"], item["labels"], item.get("truth"))
        for item in examples.table().values()
    )


def find(name: str) -> Example | None:
    """The example of this id."""
    return next((example for example in offered() if example.id == name), None)
