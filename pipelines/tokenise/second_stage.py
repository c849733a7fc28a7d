"""The second stage: a transformer that knows which codes go together, and fills holes with them (arXiv 2202.04200).

The autoencoder compresses; this generates. It sees all codes at once, some of them hidden, and says for each hidden
place how likely every code is. A step commits the surest ones; the next step sees them.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from pipelines.runtime.device import Placement
from pipelines.runtime.weights import load_strict, read_safetensors

CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class SecondStageConfig:
    """Shape of the transformer. side: of the grid of codes. condition: width of the text features that steer it."""

    codes: int = 1024
    side: int = 16
    width: int = 192
    layers: int = 5
    heads: int = 6
    condition: int = 320


class MaskedTransformer(nn.Module):
    """Codes of a square grid, hidden ones among them, to logits of every code at every place."""

    def __init__(self, config: SecondStageConfig):
        super().__init__()
        self.config = config
        self.codes = nn.Embedding(config.codes + 1, config.width)  # the last one stands for "hidden"
        self.rows = nn.Embedding(config.side, config.width)
        self.columns = nn.Embedding(config.side, config.width)
        self.condition = nn.Linear(config.condition, config.width)
        self.nothing = nn.Parameter(torch.zeros(config.width))
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            4 * config.width,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.width)
        self.bias = nn.Parameter(torch.zeros(config.codes))
        for embedding in (self.codes, self.rows, self.columns):
            nn.init.normal_(embedding.weight, std=0.02)

    @property
    def hidden(self) -> int:
        """The index that stands for a hidden code."""
        return self.config.codes

    def forward(self, indices: torch.Tensor, condition: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        """Logits of the codes.

        Args:
            indices: (B, side, side) int64, ``hidden`` where a code is unknown.
            condition: (B, condition) text features of unit length.
            given: (B,) bool; False: the condition is not looked at.

        Returns:
            (B, side, side, codes).
        """
        side = torch.arange(self.config.side, device=indices.device)
        x = self.codes(indices) + self.rows(side)[:, None] + self.columns(side)
        named = torch.where(given[:, None], self.condition(condition), self.nothing)
        x = self.layers(torch.cat([named[:, None], x.flatten(1, 2)], dim=1))[:, 1:]
        logits = self.norm(x) @ self.codes.weight[:-1].T + self.bias
        return logits.unflatten(1, indices.shape[1:])


@dataclass(frozen=True, eq=False)
class FillStep:
    """One step; all (side, side).

    indices: ``hidden`` where nothing is committed yet. committed: bool, in this step. confidence: probability of each
    committed code. entropy: in bits, of the places that were hidden before the step, 0 elsewhere.
    """

    indices: torch.Tensor
    committed: torch.Tensor
    confidence: torch.Tensor
    entropy: torch.Tensor


def hidden_counts(count: int, steps: int) -> list[int]:
    """How many places are still hidden after each step: the cosine schedule (2202.04200, section 3.3).

    At least one place is committed in each step as long as there are any; the last step leaves none.
    """
    counts, left = [], count
    for step in range(1, steps + 1):
        left = max(0, min(left - 1, math.floor(count * math.cos(math.pi / 2 * step / steps))))
        counts.append(left)
    counts[-1] = 0
    return counts


@torch.inference_mode()
def fill(
    module: MaskedTransformer,
    indices: torch.Tensor,
    hole: torch.Tensor,
    *,
    condition: torch.Tensor | None,
    steps: int = 12,
    temperature: float = 1.0,
    generator: torch.Generator,
) -> Iterator[FillStep]:
    """Fill the hole of a grid of codes step by step; closing the iterator stops it.

    Args:
        indices: (side, side) int64; what stands in the hole is not looked at.
        hole: (side, side) bool; all True: a picture from nothing.
        condition: (condition,) text feature of unit length, or None.
        steps: at least 1.
        temperature: of the drawing of codes, and of the noise on their confidence, which fades out.
        generator: on the CPU.
    """
    device = module.bias.device
    current = torch.where(hole, module.hidden, indices).to(device)
    feature = torch.zeros(1, module.config.condition, device=device)
    given = torch.tensor([condition is not None], device=device)
    if condition is not None:
        feature[0] = condition
    for step, left in enumerate(hidden_counts(int(hole.sum()), steps)):
        hidden = current == module.hidden
        shares = module(current[None], feature, given)[0].float().softmax(dim=-1)
        entropy = -(shares * shares.clamp_min(1e-12).log2()).sum(dim=-1) * hidden
        sharpened = (shares.clamp_min(1e-12).log() / max(temperature, 1e-3)).softmax(dim=-1)
        drawn = (
            torch.multinomial(sharpened.flatten(0, 1).cpu(), 1, generator=generator)[:, 0].to(device).view_as(current)
        )
        confidence = shares.gather(-1, drawn[..., None])[..., 0]
        fading = temperature * (1 - (step + 1) / steps)
        noise = -torch.rand(current.shape, generator=generator).clamp(1e-9, 1 - 1e-9).log().neg().log().to(device)
        order = torch.where(hidden, confidence.clamp_min(1e-12).log() + fading * noise, -torch.inf)
        chosen = order.flatten().topk(int(hidden.sum()) - left).indices
        committed = torch.zeros_like(hidden).flatten().index_fill(0, chosen, True).view_as(hidden)
        current = torch.where(committed, drawn, current)
        yield FillStep(current.cpu(), committed.cpu(), (confidence * committed).cpu(), entropy.cpu())


def write_config(config: SecondStageConfig, folder: Path) -> None:
    """Write ``config.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8")


def load_folder(folder: Path, *, placement: Placement) -> MaskedTransformer:
    """Load ``config.json`` and ``model.safetensors`` strictly.

    Raises:
        UserError: the weights are missing, altered or do not fit the config.
    """
    module = MaskedTransformer(SecondStageConfig(**json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))))
    weights = folder / "model.safetensors"
    load_strict(module, read_safetensors(weights), name=weights.name)
    return module.to(device=placement.device, dtype=placement.torch_dtype).eval().requires_grad_(False)


def load(entry, placement: Placement) -> MaskedTransformer:
    """Load a bundled model of the catalogue. The runtime calls this under its lock, once a model.

    Raises:
        UserError: as ``load_folder``.
    """
    return load_folder(entry.folder, placement=placement)
