"""The last step of a SAM with its numbers: mask = token . map for one pixel; IoU and stability as counts.

The decoder turns each mask token into a short vector by a small network of its own, and the picture's embedding into
a map of such vectors; their scalar product in each cell is the mask's logit (arXiv 2304.02643, appendix A).
"""

from dataclasses import dataclass

import numpy as np
import torch

from pipelines.runtime.errors import UserError
from pipelines.segment.marks import Prompt
from pipelines.segment.masks import STABILITY_OFFSET, Masks, enlarge
from pipelines.segment.models import SegmentModel
from pipelines.segment.prompt import Embedding, predict


@dataclass(frozen=True)
class Cell:
    """A cell of the logits that a pixel is mixed from. weight: its share; all shares add up to 1. logit: its own."""

    row: int
    column: int
    weight: float
    logit: float


@dataclass(frozen=True, eq=False)
class PixelFormula:
    """logit = token . vector = sum of products, for one pixel; it belongs to the mask where that is above 0.

    x, y: pixel of the full picture. token: 0 to 3. hyper: (c,) float32, the mask token's vector. vector: (c,)
    float32, the map's at this pixel: enlarging is linear, so that the enlarged map's scalar product is the enlarged
    logit. products: (c,), hyper times vector. cells: those that the pixel is mixed from, the weightiest first.
    logit: their sum. answered: the pixel's logit in the model's own answer, enlarged; equal up to rounding.
    """

    x: int
    y: int
    token: int
    hyper: np.ndarray
    vector: np.ndarray
    products: np.ndarray
    cells: tuple[Cell, ...]
    logit: float
    answered: float


@dataclass(frozen=True, eq=False)
class Product:
    """Both factors of the masks of one prompt. hyper: (4, c) float32. map: (c, side, side) float32. masks: the answer.

    ``hyper @ map`` gives ``masks.logits`` up to rounding.
    """

    hyper: np.ndarray
    map: np.ndarray
    masks: Masks

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        return self.hyper.nbytes + self.map.nbytes + self.masks.nbytes

    def pixel(self, x: int, y: int, token: int) -> PixelFormula:
        """The formula of one pixel of the full picture.

        Raises:
            UserError: ``errors.mark_outside``.
            ValueError: a token other than 0 to 3.
        """
        (height, width), (full_height, full_width) = self.masks.size, self.masks.full_size
        if not (0 <= x < full_width and 0 <= y < full_height):
            raise UserError("errors.mark_outside", x=x, y=y, last_x=full_width - 1, last_y=full_height - 1)
        if token not in range(4):
            raise ValueError(f"token {token!r}: expected 0 to 3")
        rows = self._weights(0)[min(int((y + 0.5) * height / full_height), height - 1)]
        columns = self._weights(1)[min(int((x + 0.5) * width / full_width), width - 1)]
        vector = np.einsum("crk,r,k->c", self.map, rows, columns)
        products = self.hyper[token] * vector
        logits = self.masks.logits[token]
        found = [
            Cell(int(row), int(column), float(rows[row] * columns[column]), float(logits[row, column]))
            for row in np.flatnonzero(rows)
            for column in np.flatnonzero(columns)
        ]
        return PixelFormula(
            x=x,
            y=y,
            token=token,
            hyper=self.hyper[token],
            vector=vector,
            products=products,
            cells=tuple(sorted(found, key=lambda cell: -cell.weight)),
            logit=float(products.sum()),
            answered=float(rows @ logits @ columns),
        )

    def _weights(self, axis: int) -> np.ndarray:
        """(pixels, side) float32: how each row (axis 0) or column (1) of the answered picture is mixed from cells.

        Enlarging works along one axis at a time: enlarged unit vectors are its matrix.
        """
        masks, side = self.masks, self.masks.logits.shape[-1]
        square = enlarge(np.eye(side, dtype=np.float32), (masks.square, side))
        return enlarge(square[: masks.input_size[axis]], (masks.size[axis], side))


@dataclass(frozen=True)
class Overlap:
    """A share of two counts of pixels or cells: value = inner / outer, NaN for 0 / 0."""

    inner: int
    outer: int

    @property
    def value(self) -> float:
        """The share."""
        return self.inner / self.outer if self.outer else float("nan")


def factors(model: SegmentModel, embedding: Embedding, prompt: Prompt) -> Product:
    """Answer one prompt and keep what the masks are the product of.

    Hold the device's turn meanwhile: hooks sit on the shared model while it works.

    Args:
        model, embedding, prompt: as for ``prompt.predict``.

    Raises:
        UserError: as ``prompt.predict``.
    """
    decoder = model.module.mask_decoder
    kept: dict = {}
    # SAM 2 adds the encoder's high-resolution maps before the last activation, which is called twice: the last counts.
    last = decoder.activation if model.is_sam2 else decoder.output_upscaling
    watched = {"map": last, **dict(enumerate(decoder.output_hypernetworks_mlps))}
    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: kept.__setitem__(name, output))
        for name, module in watched.items()
    ]
    try:
        masks = predict(model, embedding, prompt)
    finally:
        for handle in handles:
            handle.remove()
    hyper = torch.cat([kept[token].reshape(1, -1) for token in range(4)])
    return Product(hyper.float().cpu().numpy(), kept["map"][0].float().cpu().numpy(), masks)


def pixel(model: SegmentModel, embedding: Embedding, prompt: Prompt, x: int, y: int, token: int) -> PixelFormula:
    """``factors`` and ``Product.pixel`` in one; for several pixels of one answer keep the product.

    Raises:
        UserError: as ``prompt.predict``; ``errors.mark_outside``.
    """
    return factors(model, embedding, prompt).pixel(x, y, token)


def overlap(mask: np.ndarray, truth: np.ndarray) -> Overlap:
    """IoU as counts: pixels in both over pixels in either. mask, truth: (H, W) bool."""
    return Overlap(int(np.count_nonzero(mask & truth)), int(np.count_nonzero(mask | truth)))


def stability(masks: Masks, token: int, *, threshold: float = 0.0, offset: float = STABILITY_OFFSET) -> Overlap:
    """Stability as counts: cells with logits above threshold + offset over those above threshold - offset.

    At threshold 0 its value is ``masks.stability[token]``: counted in the logits' own cells on the picture.
    """
    part = masks.part(token)
    return Overlap(int(np.count_nonzero(part > threshold + offset)), int(np.count_nonzero(part > threshold - offset)))
