"""This tab's components over the shell's heat map."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demos.shell.components import over_heat

_HERE = Path(__file__).parent


class OverHeat(over_heat.OverHeat):
    """name, scripts: files of this tab. words: names of its sentences; `<name>_none` stands there without a value."""

    def __init__(self, value: Mapping | None = None, *, name: str, words: tuple[str, ...] = (), **kwargs: Any):
        keys = tuple(f"segment.{word}" for word in words)
        super().__init__(value, folder=_HERE, name=name, none=f"segment.{name}_none", words=keys, **kwargs)
