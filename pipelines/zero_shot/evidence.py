"""Where in the picture: a gradient map, an occlusion map, and the test that deletes what a map calls important.

The score is a cosine, or the difference of two: score = image . (text_A - text_B). All maps lie on the model's view;
``region_xyxy`` says which part of the picture that is.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageFilter

from pipelines.runtime.errors import UserError
from pipelines.zero_shot.models import ZeroShotModel
from pipelines.zero_shot.preprocess import Crop
from pipelines.zero_shot.spatial import SpatialTap, watch_map

FILLS = ("blur", "mean")
PICTURES_A_STEP = 8
BLUR_SHARE = 0.08  # radius of the blur as a share of the view's side: shapes go, colours stay


@dataclass(frozen=True, eq=False)
class EvidenceMap:
    """values: (h, w) float32, signed: positive speaks for the label (or for A against B). score: what is explained.

    method: "gradient" or "occlusion". region_xyxy: the part of the picture that the map covers, in its pixels.
    """

    values: np.ndarray
    method: str
    score: float
    region_xyxy: tuple[float, float, float, float]
    ms: float


@dataclass(frozen=True, eq=False)
class OcclusionStep:
    """Progress of an occlusion map: cells done and in all; values (h, w) float32, NaN where still to come."""

    done: int
    total: int
    values: np.ndarray
    score: float
    region_xyxy: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class DeletionTest:
    """Scores while cells are deleted. fractions: (K + 1,), 0 to 1. ordered: (K + 1,), the map's hottest cells first.

    random: (R, K + 1), R random orders. NaN where still to come. done, total: pictures scored and to score.
    """

    fractions: np.ndarray
    ordered: np.ndarray
    random: np.ndarray
    done: int
    total: int

    @property
    def random_mean(self) -> np.ndarray:
        """(K + 1,): mean over the random orders."""
        return self.random.mean(axis=0)

    @property
    def random_low(self) -> np.ndarray:
        """(K + 1,): least of the random orders."""
        return self.random.min(axis=0)

    @property
    def random_high(self) -> np.ndarray:
        """(K + 1,): greatest of the random orders."""
        return self.random.max(axis=0)

    @property
    def area_between(self) -> float:
        """Mean height of the random curve over the ordered one: above 0 the map found what the score hangs on.

        Trapezoidal rule over fractions 0..1, so that the unit is that of the score (a cosine).
        """
        return float(np.trapezoid(self.random_mean - self.ordered, self.fractions))


def gradient_map(
    model: ZeroShotModel,
    pixels: np.ndarray,
    feature: np.ndarray,
    *,
    against: np.ndarray | None = None,
    crop: Crop | None = None,
) -> EvidenceMap:
    """Gradient times activation at the last spatial feature map, summed over channels: HiResCAM (2011.08891, eq. (2)).

    M(y, x) = sum_c  d score / d a_c(y, x) * a_c(y, x). For a network that ends in average pooling and a linear map it
    is CAM, and says exactly what each place adds. The image feature's length is held constant in the derivative, so
    that the values of a network without biases after the map add up to the score. For a ViT with a class token, a is
    the input of the last block, without that token.

    Args:
        pixels: (H, W, 3) uint8.
        feature: (D,) unit text feature; against: (D,) of label B for A minus B.

    Returns:
        EvidenceMap with values (h, w): 7 x 7 for the bundled models.

    Raises:
        UserError: ``errors.evidence_no_map`` for an image tower without a spatial map that we know;
            ``errors.model_not_finite``; crops as in ``preprocess.Preprocess.view``.
    """
    started = time.perf_counter()
    view = model.preprocess.view(pixels, crop)
    image = model.preprocess.tensor(view.pixels)[None].to(model.device, model.dtype)
    direction = torch.from_numpy(_direction(feature, against)).to(model.device)
    with torch.enable_grad(), watch_map(model.module.visual) as tap:
        encoded = model.module.encode_image(image).float()[0]
        score = encoded @ direction.float() / encoded.detach().norm()
        values = _gradient_times_activation(score, tap)
    if not np.isfinite(values).all():
        raise UserError("errors.model_not_finite", model=model.id)
    ms = (time.perf_counter() - started) * 1000
    return EvidenceMap(values, "gradient", score.item(), view.region_xyxy, ms)


def _gradient_times_activation(score: torch.Tensor, tap: SpatialTap) -> np.ndarray:
    (gradient,) = torch.autograd.grad(score, tap.activation)
    return tap.as_map((gradient.float() * tap.activation.detach().float()).sum(dim=tap.channels)).cpu().numpy()


def occlusion(
    model: ZeroShotModel,
    pixels: np.ndarray,
    feature: np.ndarray,
    *,
    against: np.ndarray | None = None,
    crop: Crop | None = None,
    grid: int = 7,
    fill: str = "blur",
) -> Iterator[OcclusionStep]:
    """Cover one cell after another and measure how far the score falls (1311.2901, section 4.2).

    Args:
        grid: cells a side, 2 to 32: each costs one pass of the image tower.
        fill: what a covered cell shows: "blur", the picture blurred, or "mean", the view's mean colour.

    Yields:
        OcclusionStep after every 8 pictures; values(y, x) = score - score without that cell.

    Raises:
        UserError: ``errors.evidence_choice`` for another grid or fill; as in ``gradient_map``.
    """
    _check_choice(grid=grid, fill=fill)
    view = model.preprocess.view(pixels, crop)
    filled = _filled(view.pixels, fill)
    direction = _direction(feature, against)
    score = _scores(model, [view.pixels], direction)[0]
    cells = np.eye(grid * grid, dtype=bool).reshape(-1, grid, grid)
    values = np.full(grid * grid, np.nan, dtype=np.float32)
    for start in range(0, len(cells), PICTURES_A_STEP):
        batch = cells[start : start + PICTURES_A_STEP]
        values[start : start + len(batch)] = score - _scores(
            model, [_delete(view.pixels, filled, one) for one in batch], direction
        )
        done = start + len(batch)
        yield OcclusionStep(done, len(cells), values.reshape(grid, grid).copy(), float(score), view.region_xyxy)


def as_evidence(step: OcclusionStep, *, ms: float) -> EvidenceMap:
    """The finished occlusion map in the form that ``deletion`` takes."""
    return EvidenceMap(step.values, "occlusion", step.score, step.region_xyxy, ms)


def deletion(
    model: ZeroShotModel,
    pixels: np.ndarray,
    feature: np.ndarray,
    *,
    evidence: np.ndarray,
    against: np.ndarray | None = None,
    crop: Crop | None = None,
    steps: int = 16,
    random_orders: int = 3,
    seed: int = 0,
    fill: str = "blur",
) -> Iterator[DeletionTest]:
    """Put a map to the test: delete its hottest cells in order, beside random orders (RISE, 1806.07421, section 4.3).

    Args:
        evidence: (h, w), the map to be tested, of the same crop.
        steps: points of the curve after the first, 1 to 64.
        random_orders: 1 to 10, drawn with seed.

    Yields:
        DeletionTest after every 8 pictures, the ordered curve first; the last one is complete.

    Raises:
        UserError: as in ``occlusion``.
    """
    _check_choice(fill=fill, steps=steps, random_orders=random_orders)
    view = model.preprocess.view(pixels, crop)
    filled = _filled(view.pixels, fill)
    direction = _direction(feature, against)
    generator = np.random.default_rng(seed)
    orders = [np.argsort(-evidence, axis=None, kind="stable")]
    orders += [generator.permutation(evidence.size) for _ in range(random_orders)]
    curves = np.full((len(orders), steps + 1), np.nan)
    curves[:, [0, steps]] = _scores(model, [view.pixels, filled], direction)  # all orders share both ends
    places = [(order, step) for order in range(len(orders)) for step in range(1, steps)]
    fractions = np.arange(steps + 1) / steps
    for start in range(0, max(len(places), 1), PICTURES_A_STEP):
        batch = places[start : start + PICTURES_A_STEP]
        deleted = [_first_cells(orders[order], fractions[step], evidence.shape) for order, step in batch]
        if batch:
            pictures = [_delete(view.pixels, filled, cells) for cells in deleted]
            curves[tuple(np.transpose(batch))] = _scores(model, pictures, direction)
        done = 2 + start + len(batch)
        yield DeletionTest(fractions, curves[0].copy(), curves[1:].copy(), done, 2 + len(places))


def _direction(feature: np.ndarray, against: np.ndarray | None) -> np.ndarray:
    return feature if against is None else feature - against


def _scores(model: ZeroShotModel, views: list[np.ndarray], direction: np.ndarray) -> np.ndarray:
    """Scores (B,) float64 of views (S, S, 3) uint8."""
    features, _dtype = model.image_features(torch.stack([model.preprocess.tensor(view) for view in views]))
    return features.astype(np.float64) @ direction.astype(np.float64)


def _filled(view: np.ndarray, fill: str) -> np.ndarray:
    """What deleted cells show, over the whole view: (S, S, 3) uint8."""
    if fill == "mean":
        return np.broadcast_to(view.mean(axis=(0, 1)).round().astype(np.uint8), view.shape)
    radius = BLUR_SHARE * max(view.shape[:2])
    return np.asarray(Image.fromarray(view).filter(ImageFilter.GaussianBlur(radius)))


def _delete(view: np.ndarray, filled: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The view with these cells (h, w) bool replaced by the filling."""
    rows = np.arange(view.shape[0]) * cells.shape[0] // view.shape[0]
    columns = np.arange(view.shape[1]) * cells.shape[1] // view.shape[1]
    return np.where(cells[np.ix_(rows, columns)][..., None], filled, view)


def _first_cells(order: np.ndarray, fraction: float, shape: tuple[int, int]) -> np.ndarray:
    """(h, w) bool: the first cells of an order, this fraction of all, at least one."""
    cells = np.zeros(order.size, dtype=bool)
    cells[order[: max(1, round(fraction * order.size))]] = True
    return cells.reshape(shape)


def _check_choice(*, fill: str, grid: int = 7, steps: int = 16, random_orders: int = 3) -> None:
    if fill not in FILLS or not 2 <= grid <= 32 or not 1 <= steps <= 64 or not 1 <= random_orders <= 10:
        raise UserError("errors.evidence_choice", fills=", ".join(FILLS))
