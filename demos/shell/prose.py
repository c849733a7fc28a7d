"""A tab's sentences as HTML in both languages: the same few forms in every `views.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from demos.shell.words import spans


@dataclass(frozen=True)
class Prose:
    """tab: the prefix of its words. kind: the class of its frames, and the beginning of its other classes."""

    tab: str
    kind: str

    def word(self, name: str, **values) -> str:
        """A sentence of this tab in both languages, as HTML; values are escaped."""
        return spans(f"{self.tab}.{name}", **values)

    def framed(self, *parts: str) -> str:
        """HTML to which the tab's style sheet applies."""
        return f'<div class="{self.kind}">{"".join(parts)}</div>'

    def sentence(self, name: str, *, kind: str = "", **values) -> str:
        """A paragraph, of this class."""
        told = self.word(name, **values)
        return f'<p class="{kind}">{told}</p>' if kind else f"<p>{told}</p>"

    def warnings(self, lines: Sequence[str]) -> str:
        """Sentences beside a result, each already HTML; nothing where there are none."""
        told = (f'<p class="{self.kind}-note {self.kind}-warn">{line}</p>' for line in lines)
        return self.framed(*told) if lines else ""
