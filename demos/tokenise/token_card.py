"""The token that is picked on the board, laid open. A nearest code that is pressed goes to the board in the browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from demos.shell.components.shown import Shown, files
from demos.tokenise.decoded import url_of

if TYPE_CHECKING:
    from pipelines.tokenise.surgery import Token

_HERE = Path(__file__).parent
_WORDS = (
    *("none", "token", "uses", "used_once", "fit", "unfit", "unfit_one", "no_fit", "back", "alone", "here", "picture"),
    *("alone_note", "near", "put"),
)


class TokenCard(Shown):
    """Only shown: its value is what `card` made, or None."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        words = [f"tokenise.surgery_{name}" for name in _WORDS]
        super().__init__(value, **files(_HERE, "token_card"), words=words, **kwargs)


def card(name: str, found: Token, *, places: int, picture: np.ndarray | None) -> dict[str, Any]:
    """What the card shows of a token.

    name: of the answer on the board. places: how many tokens the grid has. picture: (H, W, 3) uint8, what was encoded,
    None where no picture stands behind the grid.
    """
    pictures, shown = [found.patch, found.here[0]], ["alone", "here"]
    if picture is not None:
        pictures.append(crop(picture, found.row, found.column, cell=len(found.patch)))
        shown.append("picture")
    nearest = zip(found.nearest.tolist(), found.distances.tolist(), strict=True)
    return {
        "name": name,
        "row": found.row,
        "column": found.column,
        "index": found.index,
        "uses": len(found.uses),
        "total": places,
        "fit": None if found.fit is None else {**asdict(found.fit), "margin": found.fit.margin},
        "neighbours": [{"index": index, "distance": distance} for index, distance in nearest],
        "shown": shown,
        "strip": url_of(np.concatenate([*pictures, *found.here[1:]], axis=1)),
        "cell": len(found.patch),
    }


def crop(picture: np.ndarray, row: int, column: int, *, cell: int) -> np.ndarray:
    """The pixels that a token covers; beyond the picture, where it was padded, by its mirror image as for encoding."""
    part = picture[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell]
    missing = (cell - part.shape[0], cell - part.shape[1])
    return np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")
