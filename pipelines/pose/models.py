"""One trunk, four heads: heat map, soft-argmax, regression, regression with a learnt density of its error.

The trunk is EfficientNet-Lite0 up to stride 32 (arXiv 1905.11946), fine-tuned with all heads at once.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import timm
import torch
from torch import nn

from pipelines.pose.flow import RealNVP
from pipelines.pose.joints import JOINTS
from pipelines.runtime.device import Placement
from pipelines.runtime.weights import load_strict, read_safetensors
from pipelines.zero_shot.trunk import TIMM_NAME

CONFIG_FILE = "config.json"
LEVELS = (2, 3, 4)  # of the trunk: strides 8, 16 and 32
TRUNK_CHANNELS = (40, 112, 320)


@dataclass(frozen=True)
class PoseConfig:
    """Shape of the network. crop: pixels a side; head_width: channels of the heat-map heads; sides of small maps."""

    crop: int = 192
    head_width: int = 96
    regression_width: int = 384
    couplings: int = 6
    flow_width: int = 64

    @property
    def map_sides(self) -> tuple[int, int, int]:
        """Cells a side of the full heat maps, and of the two smaller ones: 1/4, 1/8 and 1/16 of the crop."""
        return self.crop // 4, self.crop // 8, self.crop // 16


@dataclass(frozen=True, eq=False)
class PoseOutput:
    """What the heads say of B crops with J joints. Positions are x, y in -0.5..0.5 over the crop.

    heatmap: (B, J, h, w), about 0..1. soft: (B, J, h, w) logits. regression: (B, J, 2). rle_mean, rle_sigma: (B, J, 2).
    small: heat maps of heads of their own, at half and at a quarter of the size.
    """

    heatmap: torch.Tensor
    soft: torch.Tensor
    regression: torch.Tensor
    rle_mean: torch.Tensor
    rle_sigma: torch.Tensor
    small: tuple[torch.Tensor, ...]


class MapHead(nn.Module):
    """Transposed convolutions up from stride 32 (1804.06208), finer trunk features added on the way."""

    def __init__(self, width: int, steps: int):
        super().__init__()
        self.reduce = nn.Conv2d(TRUNK_CHANNELS[2], width, 1)
        self.up = nn.ModuleList(nn.ConvTranspose2d(width, width, 4, 2, 1, bias=False) for _ in range(steps))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(steps))
        finer = TRUNK_CHANNELS[1::-1][:steps]
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in finer)
        self.out = nn.Conv2d(width, len(JOINTS), 1)
        nn.init.normal_(self.out.weight, std=1e-3)  # maps begin empty, as most of each target is
        nn.init.zeros_(self.out.bias)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Features at strides 8, 16, 32 to (B, J, h, w)."""
        x, finer = self.reduce(features[2]), (features[1], features[0])
        for step, (up, norm) in enumerate(zip(self.up, self.norms, strict=True)):
            x = up(x)
            if step < len(self.lateral):
                x = x + self.lateral[step](finer[step])
            x = norm(x).relu()
        return self.out(x)


class VectorHead(nn.Module):
    """Numbers a joint from the mean of the trunk's last features."""

    def __init__(self, width: int, numbers: int):
        super().__init__()
        self.expand = nn.Conv2d(TRUNK_CHANNELS[2], width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.out = nn.Linear(width, len(JOINTS) * numbers)

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Features at strides 8, 16, 32 to (B, J, numbers)."""
        pooled = self.norm(self.expand(features[2])).relu().mean(dim=(2, 3))
        return self.out(pooled).unflatten(1, (len(JOINTS), -1))


class PoseNet(nn.Module):
    """Trunk and heads. Input: (B, 3, S, S) in -1..1."""

    def __init__(self, config: PoseConfig):
        super().__init__()
        self.config = config
        self.trunk = timm.create_model(TIMM_NAME, features_only=True, out_indices=LEVELS)
        self.heatmap = MapHead(config.head_width, 3)
        self.soft = MapHead(config.head_width, 3)
        self.small = nn.ModuleList(MapHead(config.head_width // 2, steps) for steps in (2, 1))
        self.regression = VectorHead(config.regression_width, 2)
        self.rle = VectorHead(config.regression_width, 4)
        self.flow = RealNVP(config.couplings, config.flow_width)

    def forward(self, crops: torch.Tensor) -> PoseOutput:
        """All heads on the same features."""
        features = self.trunk(crops)
        mean, log_odds = self.rle(features).chunk(2, dim=-1)
        return PoseOutput(
            heatmap=self.heatmap(features),
            soft=self.soft(features),
            regression=self.regression(features),
            rle_mean=mean,
            rle_sigma=log_odds.sigmoid(),
            small=tuple(head(features) for head in self.small),
        )


@dataclass(frozen=True, eq=False)
class PoseModel:
    """A loaded network in evaluation mode."""

    id: str
    module: PoseNet
    device: str
    dtype: torch.dtype


def write_config(config: PoseConfig, folder: Path) -> None:
    """Write ``config.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8")


def load_folder(model_id: str, folder: Path, *, placement: Placement) -> PoseModel:
    """Load ``config.json`` and ``model.safetensors`` strictly.

    Raises:
        UserError: the weights are missing, altered or do not fit the config.
    """
    module = PoseNet(PoseConfig(**json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))))
    weights = folder / "model.safetensors"
    load_strict(module, read_safetensors(weights), name=weights.name)
    module = module.to(device=placement.device, dtype=placement.torch_dtype).eval().requires_grad_(False)
    return PoseModel(model_id, module, placement.device, placement.torch_dtype)


def load(entry, placement: Placement) -> PoseModel:
    """Load a bundled model of the catalogue. The runtime calls this under its lock, once a model.

    Raises:
        UserError: as ``load_folder``.
    """
    return load_folder(entry.id, entry.folder, placement=placement)
