"""One pass of the decoder over a grid of clicks: every candidate mask of a picture with its numbers, nothing filtered.

The first half of the automatic masks of arXiv 2304.02643, section 4 and appendix B, as segment_anything's
``SamAutomaticMaskGenerator`` makes them without crops; ``everything.py`` is the other half.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from segment_anything.utils.amg import batched_mask_to_box, build_point_grid, calculate_stability_score
from torch.nn import functional

from pipelines.runtime.errors import UserError
from pipelines.segment import models
from pipelines.segment.clicks import box_of
from pipelines.segment.masks import MULTIMASK, STABILITY_OFFSET, enlarged_mask
from pipelines.segment.models import SegmentModel
from pipelines.segment.prompt import Embedding, cells, require, to_square

MOST_A_BATCH = 64  # points; as in the library
BATCH_BYTES = 32 * 2**20  # on a CPU, of one tensor of the decoder: larger ones gain no time and cost gigabytes
ENLARGED_AT_ONCE = {"cpu": 1, "cuda": 16}  # points; three masks stay in a CPU's cache, which is twice as fast
MOST_A_SIDE = 32


@dataclass(frozen=True)
class Progress:
    """How far a grid pass is. done, total: points. ms: computing so far."""

    done: int
    total: int
    ms: float


@dataclass(frozen=True)
class Frame:
    """Where a picture lies in the logits of a model.

    side: of the logits. square, input_size, size: as in ``Masks``: the logits are enlarged to the square, cut to
    input_size (h, w) and enlarged to size (h, w). extent: rows and columns of the picture in cells of the logits; it
    may end inside a cell.
    """

    side: int
    square: int
    input_size: tuple[int, int]
    size: tuple[int, int]
    extent: tuple[float, float]

    @classmethod
    def of(cls, model: SegmentModel, embedding: Embedding) -> "Frame":
        """The frame of an embedded picture."""
        side, extent = model.mask_side, cells(model, embedding)
        if model.is_sam2:
            return cls(side, side, (side, side), embedding.size, extent)
        return cls(side, model.image_size, embedding.input_size, embedding.size, extent)

    @property
    def valid(self) -> tuple[int, int]:
        """Rows and columns of the logits that lie on the picture."""
        return tuple(int(np.ceil(length)) for length in self.extent)

    @property
    def needed(self) -> tuple[int, int]:
        """Rows and columns of the logits that the picture is mixed from: where the square goes on, one cell more."""
        return tuple(min(length + 1, self.side) for length in self.valid)

    def on_square(self, logits: torch.Tensor) -> torch.Tensor:
        """(n, k, side, side) float32 to (n, k, *input_size): enlarged to the model's square, cut to the picture."""
        square = functional.interpolate(logits, (self.square, self.square), mode="bilinear", align_corners=False)
        return square[..., : self.input_size[0], : self.input_size[1]]

    def enlarge(self, part: torch.Tensor) -> torch.Tensor:
        """(n, k, *input_size) to (n, k, *size): with ``on_square`` all of ``Sam.postprocess_masks``."""
        return functional.interpolate(part, self.size, mode="bilinear", align_corners=False)


@dataclass(frozen=True, eq=False)
class GridPass:
    """Every candidate of the grid: candidate 3 p + t - 1 is token t (1 to 3) of point p. Arrays on the CPU.

    points: (N, 2) float64, x and y in pixels of the full picture. logits: (3N, rows, columns) float16, the decoder's
    own, of the size ``frame.needed``; ``part`` cuts them to the picture. iou: (3N,) float32, predicted.
    side: points along one side. batches: of points. ms: computing.

    Of the float32 logits enlarged to ``size``, on the CPU to the bit as in the library: stability (3N,) float32, NaN
    for an empty mask; boxes (3N, 4) int32, first and last pixels x0, y0, x1, y1, all 0 for an empty mask; areas (3N,)
    float32, share of the picture. (Counted in the logits' own cells the stability was up to 0.06 off.)
    """

    points: np.ndarray
    logits: np.ndarray
    iou: np.ndarray
    stability: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    side: int
    batches: int
    frame: Frame
    full_size: tuple[int, int]
    ms: float
    model_id: str
    picture_key: str

    def __len__(self) -> int:
        """How many candidates."""
        return len(self.iou)

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the picture as answered."""
        return self.frame.size

    @property
    def point_index(self) -> np.ndarray:
        """(3N,): the point of each candidate."""
        return np.arange(len(self)) // len(MULTIMASK)

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        arrays = (self.points, self.logits, self.iou, self.stability, self.boxes, self.areas)
        return sum(array.nbytes for array in arrays)

    def part(self, index) -> np.ndarray:
        """(..., rows, columns) float16: logits of one candidate or of several, cut to ``frame.valid``."""
        rows, columns = self.frame.valid
        return self.logits[index, :rows, :columns]

    def masks(self, indices: Iterable[int], *, full: bool = False) -> Iterator[np.ndarray]:
        """The masks of these candidates, one after the other: (h, w) bool at ``size``, or at ``full_size``.

        The logits are kept in float16 (11 bits), so that the edge may lie a two-thousandth of a cell beside the
        library's. Measured with the bundled model on four pictures of 1,024 x 768 px, 768 masks: 1.2 pixels of a mask
        differ in the mean, at most 10.
        """
        rows, columns = self.frame.needed
        for index in indices:
            square = torch.zeros(1, 1, self.frame.side, self.frame.side)
            square[0, 0, :rows, :columns] = torch.from_numpy(self.logits[index])
            part = self.frame.on_square(square)
            if full and self.full_size != self.size:
                yield enlarged_mask(part[0, 0].numpy(), self.full_size, threshold=0.0)
            else:
                yield self.frame.enlarge(part)[0, 0].numpy() > 0

    def mask(self, index: int, *, full: bool = False) -> np.ndarray:
        """One mask: see ``masks``."""
        return next(self.masks([index], full=full))


@dataclass(frozen=True, eq=False)
class _Candidates:
    """What is kept of a batch of points: fields of GridPass."""

    logits: np.ndarray
    iou: np.ndarray
    stability: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray


def grid_pass(model: SegmentModel, embedding: Embedding, *, side: int = 16) -> Iterator[Progress | GridPass]:
    """Ask the decoder for three masks at every point of a grid.

    A generator: a ``Progress`` after each batch of points (64, fewer for a large model on a CPU), the ``GridPass`` at
    last. Each ``next`` wants one turn of the device; between two it can be closed.

    Args:
        model, embedding: as for ``prompt.predict``.
        side: points along one side, 1 to 32. They are the library's (``build_point_grid``): (i + 1/2) / side of
            the picture's width and height.

    Raises:
        UserError: ``errors.grid_side``; as ``prompt.require``; ``errors.model_not_finite``.
    """
    require(embedding, model)
    if isinstance(side, bool) or not isinstance(side, int) or not 1 <= side <= MOST_A_SIDE:
        raise UserError("errors.grid_side", side=str(side)[:20], most=MOST_A_SIDE)
    frame = Frame.of(model, embedding)
    points = build_point_grid(side) * frame.size[::-1]
    batches, ms, step = [], 0.0, points_a_batch(embedding)
    for start in range(0, len(points), step):
        started = time.perf_counter()
        batches.append(_candidates(model, embedding, points[start : start + step], frame))
        ms += (time.perf_counter() - started) * 1000
        yield Progress(min(start + step, len(points)), len(points), ms)
    yield GridPass(
        points=_on_full(points, embedding),
        **{field.name: np.concatenate([getattr(one, field.name) for one in batches]) for field in fields(_Candidates)},
        side=side,
        batches=len(batches),
        frame=frame,
        full_size=embedding.full_size,
        ms=ms,
        model_id=embedding.model_id,
        picture_key=embedding.picture_key,
    )


def points_a_batch(embedding: Embedding) -> int:
    """How many points the decoder answers at once; its answers depend on it in the last bit of a number at most."""
    features = embedding.features
    if features.device.type == "cuda":
        return MOST_A_BATCH
    return max(1, min(MOST_A_BATCH, BATCH_BYTES // (features.numel() * features.element_size())))


def _candidates(model: SegmentModel, embedding: Embedding, points: np.ndarray, frame: Frame) -> _Candidates:
    """The three masks of each point (n, 2), in pixels of the answered size, and their numbers."""
    # float64 as in the library; Apple's GPUs have none
    dtype = torch.float32 if model.device == "mps" else torch.float64
    places = torch.as_tensor(to_square(embedding, points), dtype=dtype, device=model.device)[:, None]
    labels = torch.ones(places.shape[:2], dtype=torch.int, device=model.device)
    logits, iou = models.decode(model, embedding.features, points=places, labels=labels, extra=embedding.extra)
    logits, iou = logits[:, 1:], iou[:, 1:].flatten().cpu().numpy()
    if not (np.isfinite(iou).all() and bool(torch.isfinite(logits).all())):
        raise UserError("errors.model_not_finite", model=model.id)
    with torch.inference_mode():
        measured = [
            _measured(frame.enlarge(frame.on_square(few)).flatten(0, 1))
            for few in logits.split(ENLARGED_AT_ONCE.get(model.device, 1))
        ]
    rows, columns = frame.needed
    kept = logits[..., :rows, :columns].flatten(0, 1).half().cpu().numpy()
    return _Candidates(kept, iou, *map(np.concatenate, zip(*measured, strict=True)))


def _measured(logits: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stability (n,), boxes (n, 4) and areas (n,) of enlarged logits (n, h, w), as in GridPass."""
    if logits.device.type == "cpu":
        return measured_by_numpy(logits.numpy())
    masks = logits > 0
    stability = calculate_stability_score(logits, 0.0, STABILITY_OFFSET)
    areas = masks.flatten(1).sum(dim=1) / masks[0].numel()
    numbers = (stability, batched_mask_to_box(masks).int(), areas)
    return tuple(values.cpu().numpy() for values in numbers)


def measured_by_numpy(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``_measured`` on the CPU: the library's functions spend six times as long on it.

    logits: (n, h, w) float32. Returns stability (n,) float32, boxes (n, 4) int32, areas (n,) float32.
    """
    masks = logits > 0
    inner, outer, area = (
        np.array([np.count_nonzero(one) for one in several], dtype=np.float32)
        for several in (logits > STABILITY_OFFSET, logits > -STABILITY_OFFSET, masks)
    )
    boxes = np.array([box_of(mask) if filled else np.zeros(4) for mask, filled in zip(masks, area, strict=True)])
    with np.errstate(invalid="ignore"):
        return inner / outer, boxes.astype(np.int32), area / np.float32(masks[0].size)


def _on_full(points: np.ndarray, embedding: Embedding) -> np.ndarray:
    """Places (N, 2) from the answered size to the full picture: the inverse of ``prompt.to_display``."""
    if embedding.full_size == embedding.size:
        return points
    (full_height, full_width), (height, width) = embedding.full_size, embedding.size
    return (points + 0.5) * (full_width / width, full_height / height) - 0.5
