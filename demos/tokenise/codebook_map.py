"""The codebook as a component: the map of all codes, and how often they are used on the board and over a set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demos.shell.components.shown import Shown, files

_HERE = Path(__file__).parent
_WORDS = (
    *("none", "no_grid", "mark_here", "mark_set", "mark_all", "canvas", "paint", "how", "hint", "code", "picked"),
    *("count_here", "count_set", "here", "set", "card", "tokens", "used", "used_share", "perplexity", "sample"),
    *("dead", "dead_none", "bars", "bars_both", "bars_set"),
)


class CodebookMap(Shown):
    """Only shown: its value is `codebook_views.value`, or None.

    The codes on the board it counts in the browser, after every edit. A code that is picked becomes the board's paint
    code, by the window's event `lucida-board-pick`.
    """

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        words = [f"tokenise.codebook_{name}" for name in _WORDS]
        super().__init__(value, **files(_HERE, "codebook_map", "codebook_count.js"), words=words, **kwargs)
