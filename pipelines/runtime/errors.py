"""The one exception a visitor may read, and the notes that stand beside a result."""

from dataclasses import dataclass, field
from typing import Any


class UserError(Exception):
    """Something is wrong with what was given, and the person who gave it can mend it.

    key: names a sentence, for example ``errors.picture_empty``; the sentences stand in
    demos/shell/errors.toml in both languages. values: fill the sentence's ``{name}`` places.
    Every other exception is a bug.
    """

    def __init__(self, key: str, **values: Any):
        super().__init__(key)
        self.key = key
        self.values = values

    def __str__(self) -> str:
        return _readable(self.key, self.values)


@dataclass(frozen=True)
class Note:
    """A sentence to be said beside a result: a key and the values of its places."""

    key: str
    values: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return _readable(self.key, self.values)


def _readable(key: str, values: dict[str, Any]) -> str:
    if not values:
        return key
    return f"{key} ({', '.join(f'{name}={value}' for name, value in values.items())})"
