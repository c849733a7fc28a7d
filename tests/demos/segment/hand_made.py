"""An answer whose every number is known: discs of four sizes in a picture that does not fill the model's square."""

import numpy as np

from demos.segment.parts import Layer, Pictured
from pipelines.segment.clicks import Click
from pipelines.segment.marks import Prompt
from pipelines.segment.masks import Masks, area_of, stability_of

SIDE, SQUARE = 32, 64
INPUT = (43, 64)  # the picture in the square: 21.5 of the 32 rows of cells
SIZE = (129, 192)  # three times as large
RADII = (7.0, 3.0, 6.0, 9.0)  # of the single mask and the three others, in cells
IOU = (0.8, 0.55, 0.9, 0.7)
MIDDLE = (10.0, 15.0)  # row and column, in cells


def discs(slope: float = 1.0) -> np.ndarray:
    """(4, SIDE, SIDE) float32: logits that fall by `slope` a cell outwards, 0 at each disc's radius."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    distance = np.hypot(y - MIDDLE[0], x - MIDDLE[1])
    return np.stack([slope * (radius - distance) for radius in RADII]).astype(np.float32)


def masks(*, logits: np.ndarray | None = None, points=((90, 60, 1),), box=None) -> Masks:
    logits = discs() if logits is None else logits
    rows, columns = 22, 32
    part = logits[:, :rows, :columns]
    return Masks(
        logits=logits,
        iou=np.array(IOU, np.float32),
        stability=stability_of(part),
        area=area_of(part, (21.5, 32.0)),
        valid=(rows, columns),
        square=SQUARE,
        input_size=INPUT,
        size=SIZE,
        full_size=SIZE,
        ms=4.0,
        prompt=Prompt(tuple(Click(x, y, positive=label == 1) for x, y, label in points), box=box),
        model_id="lucida-sam",
        picture_key="0" * 32,
    )


def picture() -> np.ndarray:
    """(h, w, 3) uint8: a slope from dark to light."""
    grey = np.broadcast_to(np.linspace(40, 215, SIZE[1]), SIZE)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


def layer(token: int = 2, *, chosen: bool = False, **given) -> Layer:
    return Layer(id=7, number=1, name="", masks=masks(**given), token=token, chosen=chosen)


def pictured(name: str = "hand made") -> Pictured:
    return Pictured(name=name, path=None, sha256="0" * 64, small=picture(), full_size=SIZE)
