"""An answer whose every number is known: discs of four sizes in a picture that does not fill the model's square."""

from types import SimpleNamespace

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


def attention() -> SimpleNamespace:
    """As `pipelines.segment.attention.Attention` of `masks()`: 2 layers, 2 heads, 8 x 8 cells, 5.375 rows in use.

    Token t of head h in layer l looks at row l and column t + h alone; the padding token looks at the padding alone.
    """
    kinds = [("iou", 0), *(("mask", number) for number in range(4)), ("click", 0), ("padding", 0)]
    layers = {}
    for number, name in enumerate(("layer_1", "final")):
        layers[name] = np.zeros((2, len(kinds), 8, 8), np.float32)
        for head in range(2):
            for token in range(len(kinds) - 1):
                layers[name][head, token, number, token + head] = 1
            layers[name][head, -1, 7, 0] = 1
    tokens = tuple(SimpleNamespace(kind=kind, number=number, positive=True) for kind, number in kinds)
    return SimpleNamespace(layers=layers, tokens=tokens, extent=(5.375, 8.0), masks=masks())


def product() -> SimpleNamespace:
    """As `pipelines.segment.formula.Product`: the discs as 1 * radius + slope * -distance, 4 channels, 2 of them 0."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    distance = np.hypot(y - MIDDLE[0], x - MIDDLE[1])
    vectors = np.stack([np.ones_like(distance), -distance, np.zeros_like(distance), np.ones_like(distance)])
    hyper = np.array([(radius, 1, 7, 0) for radius in RADII], np.float32)
    return SimpleNamespace(hyper=hyper, map=vectors.astype(np.float32), masks=masks())
