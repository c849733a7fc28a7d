"""Everything in a picture as a funnel: which candidates of a grid stay, and why each of the others goes.

The filters of arXiv 2304.02643, appendix B, in the order of segment_anything's ``SamAutomaticMaskGenerator``:
predicted IoU, stability, non-maximum suppression of boxes, small regions. The library filters while the model runs;
here they work on the numbers of a finished ``GridPass``, so that a threshold moves without the model. On the same
model, picture and thresholds the same candidates are left, in the same order.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from segment_anything.utils.amg import build_point_grid, remove_small_regions

from pipelines.runtime.errors import UserError
from pipelines.segment.clicks import Click, box_of
from pipelines.segment.grid import Frame, GridPass, Progress, grid_pass

__all__ = ("Frame", "Funnel", "GridPass", "Progress", "Thresholds", "filter", "grid_pass", "hover_field", "records")

STAGES = ("kept", "iou", "stability", "nms", "small")  # what a number in Funnel.reasons means
KEPT, IOU, STABILITY, NMS, SMALL = range(len(STAGES))
NOBODY = -1
LIBRARY_CROP_NMS = 0.7  # its default; after removing small regions it takes the larger of the two thresholds


@dataclass(frozen=True)
class Thresholds:
    """Where the filters cut; the library's defaults.

    iou: predicted IoU must be above it. stability: must reach it. nms: of two masks whose boxes overlap by more (IoU
    of boxes) the one with the lower predicted IoU goes. For these three 0 to 1; 0 switches the first two off.
    min_area: holes and islands of fewer pixels, counted at the answered size, are closed and removed; 0 leaves them.
    """

    iou: float = 0.88
    stability: float = 0.95
    nms: float = 0.7
    min_area: int = 0


@dataclass(frozen=True, eq=False)
class Funnel:
    """What becomes of each of n candidates.

    reasons: (n,) int8, place in ``STAGES``: 0 kept, else the one stage that rejected it. rival: (n,) int32, for "nms"
    and "small" the candidate whose box suppressed it, else -1. kept: (k,) int32, candidates in the library's order:
    by predicted IoU from above; after cleaning, the untouched before the cleaned. boxes: (n, 4) int32, those of
    cleaned masks taken anew. cleaned: bits of the masks that were looked at for holes and islands, None where there
    were none.
    """

    thresholds: Thresholds
    reasons: np.ndarray
    rival: np.ndarray
    kept: np.ndarray
    boxes: np.ndarray
    cleaned: dict[int, np.ndarray | None] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many candidates are left: "candidates" of the model, then after each stage; the last are those kept."""
        rejected = np.bincount(self.reasons, minlength=len(STAGES))
        left = len(self.reasons) - np.cumsum(rejected[1:])
        return {"candidates": len(self.reasons), **dict(zip(STAGES[1:], left.tolist(), strict=True))}

    def mask(self, grid: GridPass, index: int, *, full: bool = False) -> np.ndarray:
        """(h, w) bool: a candidate's mask as this funnel leaves it, at ``grid.size`` or at ``grid.full_size``.

        At full size it is cleaned anew, of as large a share of the picture.
        """
        bits = self.cleaned.get(int(index))
        if bits is None:
            return grid.mask(index, full=full)
        if full and grid.full_size != grid.size:
            larger = np.prod(grid.full_size) / np.prod(grid.size)
            return _clean(grid.mask(index, full=True), self.thresholds.min_area * larger)[0]
        return np.unpackbits(bits, axis=1, count=grid.size[1]).astype(bool)


def filter(grid: GridPass, thresholds: Thresholds = Thresholds(), *, before: Funnel | None = None) -> Funnel:
    """Pass all candidates through the four filters.

    Without ``min_area`` only numbers are looked at: some milliseconds. With it each mask that is left is enlarged and
    searched for holes and islands.

    Args:
        grid: from ``grid_pass``.
        before: an earlier funnel of the same grid; of the same ``min_area`` it spares looking at its masks again.

    Raises:
        UserError: ``errors.grid_threshold``, ``errors.grid_min_area``.
    """
    _check(thresholds)
    reasons, rival = np.zeros(len(grid), dtype=np.int8), np.full(len(grid), NOBODY, dtype=np.int32)
    if thresholds.iou > 0:
        reasons[~(grid.iou > thresholds.iou)] = IOU
    if thresholds.stability > 0:
        reasons[(reasons == KEPT) & ~(grid.stability >= thresholds.stability)] = STABILITY
    left = np.flatnonzero(reasons == KEPT)
    kept, rival[left] = _suppressed(left, grid.boxes[left], grid.iou[left], threshold=thresholds.nms)
    reasons[left[rival[left] != NOBODY]] = NMS
    if not thresholds.min_area:
        return Funnel(thresholds, reasons, rival, kept, grid.boxes)
    known = before.cleaned if before and before.thresholds.min_area == thresholds.min_area else {}
    cleaned = known | _cleaned(grid, [index for index in kept.tolist() if index not in known], thresholds.min_area)
    return _without_copies(grid, Funnel(thresholds, reasons, rival, kept, grid.boxes, cleaned))


def _without_copies(grid: GridPass, funnel: Funnel) -> Funnel:
    """The last stage: masks that became alike by cleaning; untouched ones suppress cleaned ones."""
    boxes, kept = funnel.boxes.copy(), funnel.kept
    untouched = np.array([funnel.cleaned[index] is None for index in kept.tolist()], dtype=np.float32)
    for index in kept[untouched == 0].tolist():
        boxes[index] = box_of(funnel.mask(grid, index))
    reasons, rival = funnel.reasons.copy(), funnel.rival.copy()
    threshold = max(funnel.thresholds.nms, LIBRARY_CROP_NMS)
    left, rival[kept] = _suppressed(kept, boxes[kept], untouched, threshold=threshold)
    reasons[kept[rival[kept] != NOBODY]] = SMALL
    return replace(funnel, reasons=reasons, rival=rival, kept=left, boxes=boxes)


def hover_field(grid: GridPass, funnel: Funnel) -> np.ndarray:
    """Which kept mask lies under each pixel, the smallest where several do: for a pointer that asks no server.

    Returns:
        (h, w) uint16 at ``grid.size``: 1 + place in ``funnel.kept``, 0 where there is none.
    """
    field = np.zeros(grid.size, dtype=np.uint16)
    for place in np.argsort(-grid.areas[funnel.kept], kind="stable"):  # the largest is painted first
        field[funnel.mask(grid, funnel.kept[place])] = place + 1
    return field


def records(grid: GridPass, funnel: Funnel) -> list[dict]:
    """The kept masks as the library's generator describes them, pixels at ``grid.size``.

    Returns:
        In the order of ``funnel.kept``, with the library's keys: segmentation (h, w) bool, area (pixels), bbox (x, y,
        width, height), predicted_iou, point_coords, stability_score, crop_box.
    """
    height, width = grid.size
    points, found = build_point_grid(grid.side) * (width, height), []
    for index in funnel.kept.tolist():
        mask, (x0, y0, x1, y1) = funnel.mask(grid, index), funnel.boxes[index].tolist()
        found.append(
            {
                "segmentation": mask,
                "area": int(np.count_nonzero(mask)),
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "predicted_iou": float(grid.iou[index]),
                "point_coords": [points[grid.point_index[index]].tolist()],
                "stability_score": float(grid.stability[index]),
                "crop_box": [0, 0, width, height],
            }
        )
    return found


def click(grid: GridPass, index: int) -> Click:
    """The click that a candidate answers, in pixels of the full picture: ``prompt.predict`` gives its mask again."""
    x, y = grid.points[grid.point_index[index]].tolist()
    return Click(x, y, positive=True)


def _check(thresholds: Thresholds) -> None:
    for name in ("iou", "stability", "nms"):
        value = getattr(thresholds, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise UserError("errors.grid_threshold", name=name, value=str(value)[:20])
    if isinstance(thresholds.min_area, bool) or not isinstance(thresholds.min_area, int) or thresholds.min_area < 0:
        raise UserError("errors.grid_min_area", value=str(thresholds.min_area)[:20])


def suppress(boxes: np.ndarray, scores: np.ndarray, *, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Non-maximum suppression, as ``torchvision.ops.nms``, which does not tell who suppressed whom.

    Args:
        boxes: (n, 4), first and last pixels. scores: (n,) float32; of equal ones the first wins.
        threshold: IoU of boxes above which the one with the lower score goes.

    Returns:
        Places kept, from the highest score down; and (n,) the kept place that suppressed each, -1 for those kept.
    """
    boxes, order = boxes.astype(np.float32), np.argsort(-scores, kind="stable")
    rival, kept = np.full(len(boxes), NOBODY), []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        overlaps = _box_iou(boxes[best], boxes[order]) > np.float64(threshold)  # as there: float32 against float64
        rival[order[overlaps]] = best
        order = order[~overlaps]
    return np.array(kept, dtype=np.int64), rival


def _suppressed(candidates: np.ndarray, *numbers: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """``suppress`` in the candidates' own indices: those kept, and the rival of each of them."""
    kept, rival = suppress(*numbers, threshold=threshold)
    return candidates[kept], np.where(rival == NOBODY, NOBODY, candidates[rival] if len(candidates) else NOBODY)


def _box_iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n,) float32: IoU of a box (4,) with others (n, 4); NaN for two boxes without area, which overlap nobody."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    sides = np.maximum(high - low, 0)
    inter = sides[:, 0] * sides[:, 1]
    area = (box[2] - box[0]) * (box[3] - box[1])
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    with np.errstate(invalid="ignore"):
        return inter / (area + areas - inter)


def _cleaned(grid: GridPass, indices: list[int], min_area: int) -> dict[int, np.ndarray | None]:
    """Bits of the masks without holes and islands under ``min_area`` pixels; None for untouched ones."""
    cleaned = {}
    for index, mask in zip(indices, grid.masks(indices), strict=True):
        whole, touched = _clean(mask, min_area)
        cleaned[index] = np.packbits(whole, axis=1) if touched else None
    return cleaned


def _clean(mask: np.ndarray, min_area: float) -> tuple[np.ndarray, bool]:
    """A mask (h, w) without small holes and islands, by the library, and whether anything changed."""
    around = _around(mask, min_area)
    filled, had_holes = remove_small_regions(mask[around], min_area, mode="holes")
    cleaned, had_islands = remove_small_regions(filled, min_area, mode="islands")
    if not (had_holes or had_islands):
        return mask, False
    whole = mask.copy()
    whole[around] = cleaned
    return whole, True


def _around(mask: np.ndarray, min_area: float) -> tuple[slice, slice]:
    """The part of a picture that decides what ``_clean`` does: the mask's box and a margin.

    Ground that goes on beyond the margin holds at least all of it along one side of the box, which is made not to be
    small: min_area pixels.
    """
    if not mask.any():
        return slice(None), slice(None)
    x0, y0, x1, y1 = box_of(mask).astype(int)
    above, beside = math.ceil(min_area / (x1 + 1 - x0)), math.ceil(min_area / (y1 + 1 - y0))
    return slice(max(y0 - above, 0), y1 + 1 + above), slice(max(x0 - beside, 0), x1 + 1 + beside)
