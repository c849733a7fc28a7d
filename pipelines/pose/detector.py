"""A small person detector: how likely the middle of a person lies in a cell, and how far its box reaches.

Anchor-free, one class, one stride (1904.07850): EfficientNet-Lite0 up to stride 16, answers at stride 8.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import timm
import torch
from torch import nn
from torch.nn import functional

from pipelines.pose.crop import GROUND
from pipelines.runtime.device import Placement
from pipelines.runtime.weights import load_strict, read_safetensors
from pipelines.zero_shot.trunk import TIMM_NAME

CONFIG_FILE = "config.json"
STRIDE = 8
STAGES = 5  # of the trunk's seven: those up to stride 16
CHANNELS = (40, 112)  # at strides 8 and 16


@dataclass(frozen=True)
class DetectorConfig:
    """size: side of the square that pictures are fitted into, pixels. width: channels of the head."""

    size: int = 256
    width: int = 64


@dataclass(frozen=True, eq=False)
class Found:
    """A person. box: left, top, width, height in pixels of the picture. score: 0..1."""

    box: tuple[float, float, float, float]
    score: float


class PersonDetector(nn.Module):
    """Pictures (B, 3, S, S) in -1..1 to logits of middles (B, h, w), and distances to the four sides (B, 4, h, w)."""

    def __init__(self, config: DetectorConfig):
        super().__init__()
        self.config = config
        self.trunk = timm.create_model(TIMM_NAME, features_only=True, out_indices=(2, 3))
        self.trunk.blocks = self.trunk.blocks[:STAGES]
        self.fine = nn.Conv2d(CHANNELS[0], config.width, 1)
        self.coarse = nn.Conv2d(CHANNELS[1], config.width, 1)
        self.mix = nn.Sequential(
            nn.Conv2d(config.width, config.width, 3, padding=1, bias=False), nn.BatchNorm2d(config.width), nn.ReLU()
        )
        self.middle = nn.Conv2d(config.width, 1, 1)
        self.sides = nn.Conv2d(config.width, 4, 1)
        nn.init.constant_(self.middle.bias, -4.0)  # hardly any cell is a middle

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Distances to left, top, right, bottom are in cells, positive."""
        fine, coarse = self.trunk(pictures)
        x = self.fine(fine) + functional.interpolate(self.coarse(coarse), scale_factor=2, mode="nearest")
        x = self.mix(x)
        return self.middle(x)[:, 0], self.sides(x).clamp(max=4).exp()


def fit(pixels: np.ndarray, size: int) -> tuple[np.ndarray, float]:
    """A picture (H, W, 3) uint8 in the top left of a grey square (size, size, 3), and the scale it was brought to."""
    scale = size / max(pixels.shape[:2])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    square = np.full((size, size, 3), GROUND, np.uint8)
    square[:height, :width] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return square, scale


@torch.inference_mode()
def detect(
    module: PersonDetector, pixels: np.ndarray, *, at_least: float = 0.3, overlap: float = 0.5, most: int = 20
) -> list[Found]:
    """People in a picture (H, W, 3) uint8, the surest first; boxes that overlap a surer one by more are left out."""
    from torchvision.ops import nms

    square, scale = fit(pixels, module.config.size)
    device = next(module.parameters()).device
    picture = torch.from_numpy(square).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
    logits, sides = module(picture)
    scores, boxes = logits[0].sigmoid().flatten(), boxes_of(sides)[0]
    kept = scores >= at_least
    scores, boxes = scores[kept], boxes[kept] / scale
    limits = boxes.new_tensor([pixels.shape[1], pixels.shape[0]] * 2)
    boxes = torch.minimum(boxes.clamp_min(0), limits)
    order = nms(boxes, scores, overlap)[:most].tolist()
    corners = [boxes[place].tolist() for place in order]
    return [
        Found((left, top, right - left, bottom - top), scores[place].item())
        for place, (left, top, right, bottom) in zip(order, corners, strict=True)
    ]


def boxes_of(sides: torch.Tensor) -> torch.Tensor:
    """Distances (B, 4, h, w) in cells to boxes (B, h * w, 4): left, top, right, bottom in pixels of the square."""
    height, width = sides.shape[-2:]
    x = torch.arange(width, device=sides.device) + 0.5
    y = torch.arange(height, device=sides.device)[:, None] + 0.5
    left, top, right, bottom = sides.unbind(dim=1)
    return STRIDE * torch.stack([x - left, y - top, x + right, y + bottom], dim=-1).flatten(1, 2)


def write_config(config: DetectorConfig, folder: Path) -> None:
    """Write ``config.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8")


def load_folder(folder: Path, *, placement: Placement) -> PersonDetector:
    """Load ``config.json`` and ``model.safetensors`` strictly.

    Raises:
        UserError: the weights are missing, altered or do not fit the config.
    """
    module = PersonDetector(DetectorConfig(**json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))))
    weights = folder / "model.safetensors"
    load_strict(module, read_safetensors(weights), name=weights.name)
    return module.to(device=placement.device, dtype=placement.torch_dtype).eval().requires_grad_(False)
