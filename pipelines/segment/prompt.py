"""Prompting a SAM: a picture is encoded once, then each prompt costs only the decoder (arXiv 2304.02643, section 3).

The library's ``SamPredictor`` keeps its picture inside the predictor, where two visitors would overwrite each
other's. Here the embedding is a value, and the result is equal to the predictor's, on the CPU to the bit.

Coordinates. A click on pixel x of a picture W wide means the place x + 1/2 of [0, W]. Pictures over ``DISPLAY_PX`` are
answered at w < W pixels, where the same place is (x + 1/2) w / W: pixel (x + 1/2) w / W - 1/2, not rounded. From
there the library's own mapping is kept, so that the masks are the library's: pixel x of w goes to x s in a square
that the picture fills to s w pixels, and the prompt encoder adds the half pixel after that. The exact place would
be (x + 1/2) s: the click lies (1 - s) / 2 pixels of the model's square to the right and below, under half of one.
Edges of boxes have no middle: x goes to x w / W, then to the library.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipelines.runtime import picture_pixels
from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import content_key
from pipelines.segment import models
from pipelines.segment.marks import MOST_OBJECTS, Prompt, check
from pipelines.segment.masks import Masks, area_of, stability_of
from pipelines.segment.models import SegmentModel

DISPLAY_PX = 1024  # pictures are answered at most this large; export enlarges to the full size


@dataclass(frozen=True, eq=False)
class Embedding:
    """A picture as a model's decoder wants it; valid for that model and that picture only.

    features: (1, C, h, w) on the model's device; extra: SAM 2's high-resolution maps, () for SAM. full_size: (H, W)
    of the picture. size: (h, w) at which it is answered. input_size: (h, w) that it takes in the model's square.
    picture_key: of the full picture (``pictures.content_key``). ms: of resizing and encoding. nbytes: of features
    and extra.
    """

    model_id: str
    picture_key: str
    features: torch.Tensor
    extra: tuple[torch.Tensor, ...]
    full_size: tuple[int, int]
    size: tuple[int, int]
    input_size: tuple[int, int]
    ms: float
    nbytes: int


def fitted(pixels: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 at the size at which it is answered; the same array when it is small enough."""
    return picture_pixels.fitted(pixels, DISPLAY_PX)


def encode(model: SegmentModel, pixels: np.ndarray, *, picture: str | None = None) -> Embedding:
    """Run the image encoder: the slow half, once a picture.

    Args:
        model: from ``models.load``.
        pixels: (H, W, 3) uint8, RGB, of any size; over 1,024 px it is brought down first.
        picture: ``pictures.content_key`` of the pixels (``Picture.sha256``), where it is known already.

    Raises:
        UserError: ``errors.model_not_finite``.
        ValueError: pixels of another shape or type.

    Example:
        >>> embedding = encode(model, pixels)  # doctest: +SKIP
        >>> masks = predict(model, embedding, Prompt((Click(120, 80, True),)))  # doctest: +SKIP
        >>> masks.mask(masks.best).shape == masks.size  # doctest: +SKIP
        True
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"expected (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
    started = time.perf_counter()
    display = fitted(pixels)
    with torch.inference_mode():
        features, extra = models.encode_image(model, models.square(model, display))
        finite = bool(torch.isfinite(features).all())  # waits for the device
    ms = (time.perf_counter() - started) * 1000
    if not finite:
        raise UserError("errors.model_not_finite", model=model.id)
    return Embedding(
        model_id=model.id,
        picture_key=picture or content_key(pixels),
        features=features,
        extra=extra,
        full_size=pixels.shape[:2],
        size=display.shape[:2],
        input_size=models.input_size(model, *display.shape[:2]),
        ms=ms,
        nbytes=sum(tensor.nbytes for tensor in (features, *extra)),
    )


def require(embedding: Embedding, model: SegmentModel, *, picture: str | None = None) -> None:
    """Refuse an embedding of another model or of another picture than the one on the page.

    picture: ``pictures.content_key`` of the pixels that are shown.

    Raises:
        UserError: ``errors.embedding_model``, ``errors.embedding_picture``.
    """
    if embedding.model_id != model.id:
        raise UserError("errors.embedding_model", model=model.id, other=embedding.model_id)
    if picture is not None and embedding.picture_key != picture:
        raise UserError("errors.embedding_picture")


def predict(model: SegmentModel, embedding: Embedding, prompt: Prompt, *, picture: str | None = None) -> Masks:
    """Answer one prompt with the masks of all four tokens, from one pass of the decoder.

    Args:
        embedding: from ``encode`` with the same model.
        prompt: in pixels of the full picture; it is checked here.
        picture: ``pictures.content_key`` of the picture that the prompt was made on, where it may have changed.

    Raises:
        UserError: as ``marks.check`` and ``require``; ``errors.previous_logits`` when the previous mask is not of
            the model's shape; ``errors.model_not_finite``.
    """
    started = time.perf_counter()
    require(embedding, model, picture=picture)
    prompt = check(prompt, embedding.full_size[1], embedding.full_size[0])
    side = model.mask_side
    if prompt.previous is not None and prompt.previous.shape != (1, side, side):
        raise UserError("errors.previous_logits", shape=" × ".join(map(str, prompt.previous.shape)))
    logits, iou = models.decode(model, embedding.features, extra=embedding.extra, **inputs(model, embedding, prompt))
    logits, iou = logits[0].cpu().numpy(), iou[0].cpu().numpy()
    if not (np.isfinite(logits).all() and np.isfinite(iou).all()):
        raise UserError("errors.model_not_finite", model=model.id)
    extent = cells(model, embedding)
    rows, columns = valid = tuple(int(np.ceil(length)) for length in extent)
    part = logits[:, :rows, :columns]
    return Masks(
        logits=logits,
        iou=iou,
        stability=stability_of(part),
        area=area_of(part, extent),
        valid=valid,
        square=side if model.is_sam2 else model.image_size,
        input_size=(side, side) if model.is_sam2 else embedding.input_size,
        size=embedding.size,
        full_size=embedding.full_size,
        ms=(time.perf_counter() - started) * 1000,
        prompt=prompt,
        model_id=model.id,
        picture_key=embedding.picture_key,
    )


def predict_all(
    model: SegmentModel, embedding: Embedding, prompts: Sequence[Prompt], *, picture: str | None = None
) -> tuple[Masks, ...]:
    """Answer the prompts of several objects of one picture, each for itself.

    Raises:
        UserError: ``errors.objects_many`` over 20; as ``predict``.
    """
    if len(prompts) > MOST_OBJECTS:
        raise UserError("errors.objects_many", count=len(prompts), most=MOST_OBJECTS)
    return tuple(predict(model, embedding, prompt, picture=picture) for prompt in prompts)


def inputs(model: SegmentModel, embedding: Embedding, prompt: Prompt) -> dict[str, torch.Tensor]:
    """A checked prompt as the arguments of ``models.decode``: points, labels, boxes, masks, as far as it has them.

    Returns:
        points (1, N, 2) and boxes (1, 4) float32 in pixels of the model's square, labels (1, N) int32, masks
        (1, 1, side, side) float32, on the model's device.
    """
    given = {}
    if prompt.points:
        points = np.array([(click.x, click.y) for click in prompt.points], dtype=np.float64)
        given["points"] = _tensor(to_square(embedding, to_display(embedding, points)), model)
        given["labels"] = _tensor([int(click.positive) for click in prompt.points], model, dtype=torch.int)
    if prompt.box is not None:
        corners = np.array(prompt.box, dtype=np.float64).reshape(2, 2)
        given["boxes"] = _tensor(to_square(embedding, to_display(embedding, corners, edges=True)).reshape(4), model)
    if prompt.previous is not None:
        given["masks"] = _tensor(prompt.previous, model)
    return given


def to_display(embedding: Embedding, points: np.ndarray, *, edges: bool = False) -> np.ndarray:
    """Places (N, 2) float64, x and y, from the full picture to the size at which it is answered.

    Pixels, or with ``edges`` lines between pixels; see the head of this file.
    """
    (full_height, full_width), (height, width) = embedding.full_size, embedding.size
    if (full_height, full_width) == (height, width):
        return points
    middle = 0.0 if edges else 0.5
    return (points + middle) * (width / full_width, height / full_height) - middle


def to_square(embedding: Embedding, points: np.ndarray) -> np.ndarray:
    """Places (N, 2) float64 from the answered size to the model's square, as ``ResizeLongestSide.apply_coords``."""
    (height, width), (rows, columns) = embedding.size, embedding.input_size
    return points * (columns / width, rows / height)


def cells(model: SegmentModel, embedding: Embedding) -> tuple[float, float]:
    """Rows and columns that the picture takes in the mask logits; not whole where it ends inside a cell."""
    scale = model.mask_side / model.image_size
    return embedding.input_size[0] * scale, embedding.input_size[1] * scale


def _tensor(values, model: SegmentModel, *, dtype: torch.dtype = torch.float) -> torch.Tensor:
    return torch.as_tensor(values, dtype=dtype, device=model.device)[None]
