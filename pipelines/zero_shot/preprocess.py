"""From a picture to what the model sees: open_clip's own transform, taken apart so that each step can be shown."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from pipelines.runtime.errors import UserError

CROPS = ("own", "center", "squash", "box")
# open_clip's last two steps are to-tensor and normalise; everything before them moves pixels about.
_STEPS_AFTER_PIXELS = 2


@dataclass(frozen=True)
class Crop:
    """Which part of the picture the model gets.

    kind: "own" does what the model was published with (center for CLIP, squash for SigLIP); "center" scales the
    shorter side and cuts the middle square; "squash" scales both sides, distorting; "box" cuts ``box_xyxy`` out
    first (x0, y0, x1, y1 in pixels of the picture) and then takes the middle square of it.
    """

    kind: str = "own"
    box_xyxy: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class View:
    """What the model sees: pixels (S, S, 3) uint8, and the region of the picture that they show, in its pixels."""

    pixels: np.ndarray
    region_xyxy: tuple[float, float, float, float]


@dataclass(frozen=True)
class Preprocess:
    """open_clip's inference transform for one model.

    config: size (pixels), mean and std a channel, interpolation, resize_mode as the model's publisher states them.
    """

    config: PreprocessCfg

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the view in pixels."""
        size = self.config.size
        return (size, size) if isinstance(size, int) else tuple(size)

    def view(self, pixels: np.ndarray, crop: Crop | None = None) -> View:
        """Cut and scale a picture.

        Args:
            pixels: (H, W, 3) uint8, RGB.
            crop: see Crop; without it, as the model was published.

        Returns:
            View with pixels (S, S, 3) uint8.

        Raises:
            UserError: ``errors.crop_unknown``, ``errors.crop_empty`` for a box without area inside the picture.
            ValueError: pixels of another shape or type.
        """
        crop = crop or Crop()
        _check_pixels(pixels)
        height, width = pixels.shape[:2]
        x0, y0, x1, y1 = _box(crop, width=width, height=height)
        part = Image.fromarray(pixels[y0:y1, x0:x1])
        mode = self._resize_mode(crop.kind)
        for step in self._steps(mode)[:-_STEPS_AFTER_PIXELS]:
            part = step(part)
        left, top, right, bottom = _shown(x1 - x0, y1 - y0, size_hw=self.size_hw, mode=mode)
        return View(np.asarray(part), (x0 + left, y0 + top, x0 + right, y0 + bottom))

    def tensor(self, view_pixels: np.ndarray) -> torch.Tensor:
        """Scale to 0..1 and normalise: (S, S, 3) uint8 -> (3, S, S) float32, (value / 255 - mean) / std."""
        tensor = np.ascontiguousarray(view_pixels)
        for step in self._steps(self.config.resize_mode)[-_STEPS_AFTER_PIXELS:]:
            tensor = step(Image.fromarray(tensor) if isinstance(tensor, np.ndarray) else tensor)
        return tensor

    def _resize_mode(self, kind: str) -> str:
        if kind not in CROPS:
            raise UserError("errors.crop_unknown", crop=str(kind)[:40], choices=", ".join(CROPS))
        return {"own": self.config.resize_mode, "squash": "squash"}.get(kind, "shortest")

    def _steps(self, mode: str) -> list:
        return image_transform_v2(replace(self.config, resize_mode=mode), is_train=False).transforms


def _check_pixels(pixels: np.ndarray) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(f"expected (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")


def _box(crop: Crop, *, width: int, height: int) -> tuple[int, int, int, int]:
    """The rectangle to cut out first, in whole pixels. A reversed box is turned, one that is too large is cut."""
    if crop.kind != "box":
        return 0, 0, width, height
    box = crop.box_xyxy
    if box is None or len(box) != 4 or not all(math.isfinite(value) for value in box):
        raise UserError("errors.crop_empty")
    x0, x1 = (min(max(value, 0), width) for value in sorted((box[0], box[2])))
    y0, y1 = (min(max(value, 0), height) for value in sorted((box[1], box[3])))
    left, top, right, bottom = math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)
    if x1 <= x0 or y1 <= y0:
        raise UserError("errors.crop_empty")
    return left, top, right, bottom


def _shown(width: int, height: int, *, size_hw: tuple[int, int], mode: str) -> tuple[float, float, float, float]:
    """The part of a width x height picture that the view shows; beyond the picture where the view is padded."""
    if mode == "squash":
        return 0.0, 0.0, float(width), float(height)
    size_h, size_w = size_hw
    pick = max if mode == "shortest" else min
    scale = pick(size_w / width, size_h / height)
    shown_w, shown_h = size_w / scale, size_h / scale
    left, top = (width - shown_w) / 2, (height - shown_h) / 2
    return left, top, left + shown_w, top + shown_h
