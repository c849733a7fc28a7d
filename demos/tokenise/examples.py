"""The pictures offered in the tab: photographs with fine and coarse texture, a face, and a drawing."""

from functools import cache

from demos.shell import examples
from demos.shell.examples import Example

OFFERED = ("cat", "astronaut", "coffee", "bridge", "citrus", "rocket", "bee", "photographer", "coins", "butterfly")


@cache
def offered() -> tuple[Example, ...]:
    """All examples, the first one being the stored result."""
    return examples.offered(OFFERED)


def find(name: str) -> Example | None:
    """The example of this id."""
    return next((example for example in offered() if example.id == name), None)
