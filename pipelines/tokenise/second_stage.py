"""The second stage: a transformer that knows which codes go together, and fills holes with them (arXiv 2202.04200).

The autoencoder compresses; this generates. It sees all codes at once, some of them hidden, and says for each hidden
place how likely every code is. A step commits the surest ones; the next step sees them.
"""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from pipelines.runtime.device import Placement
from pipelines.runtime.weights import load_strict, read_safetensors
from pipelines.tokenise.pairs import SPEAKS

CONFIG_FILE = "config.json"
ORDER_NOISE = 4.5  # of MaskGIT's published code. With less, the flattest places come first and decide: white pictures


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
    """Fill the hole of a grid of the module's own side step by step; closing the iterator stops it.

    Args:
        indices: (side, side) int64; what stands in the hole is not looked at.
        hole: (side, side) bool; all True: a picture from nothing.
        condition: (condition,) text feature of unit length, or None.
        steps: at least 1.
        temperature: of the drawing of codes, and, times ``ORDER_NOISE``, of the noise on the order of places, which
            fades out. 0: the likeliest code, the surest place first.
        generator: on the CPU.
    """
    device = module.bias.device
    feature = torch.zeros(1, module.config.condition, device=device, dtype=module.bias.dtype)
    given = torch.tensor([condition is not None], device=device)
    if condition is not None:
        feature[0] = condition

    def logits_of(current: torch.Tensor) -> torch.Tensor:
        return module(current[None], feature, given)[0].float()

    current = torch.where(hole, module.hidden, indices).to(device)
    yield from commit(logits_of, current, hidden=module.hidden, steps=steps, temperature=temperature, random=generator)


@torch.inference_mode()
def commit(
    logits_of: Callable[[torch.Tensor], torch.Tensor],
    current: torch.Tensor,
    *,
    hidden: int,
    steps: int,
    temperature: float,
    random: torch.Generator,
) -> Iterator[FillStep]:
    """The loop of MaskGIT over a grid of any size (2202.04200, section 3.2): ask, draw, keep the surest, ask again.

    Args:
        logits_of: a grid as it stands, (h, w) int64, to logits (h, w, codes) float32.
        current: the grid at the beginning, ``hidden`` where a code is to be found.
        steps, temperature: as in ``fill``. random: on the CPU.
    """
    for step, left in enumerate(hidden_counts(int((current == hidden).sum()), steps)):
        unknown = current == hidden
        log_shares = logits_of(current)[unknown].log_softmax(dim=-1)
        drawn = _drawn(log_shares, temperature, random)
        certain = log_shares.gather(-1, drawn[:, None])[:, 0]
        fading = ORDER_NOISE * temperature * (1 - (step + 1) / steps)
        order = certain + fading * _gumbel(len(certain), random).to(certain.device)
        chosen = order.topk(len(order) - left).indices
        found = torch.zeros_like(order, dtype=torch.bool).index_fill(0, chosen, True)
        committed = torch.zeros_like(unknown).masked_scatter(unknown, found)
        current = current.masked_scatter(committed, drawn[found])
        empty = torch.zeros(current.shape, device=current.device)
        confidence = empty.masked_scatter(committed, certain[found].exp())
        entropy = empty.masked_scatter(unknown, -(log_shares.exp() * log_shares).sum(dim=-1) / math.log(2))
        yield FillStep(current.cpu(), committed.cpu(), confidence.cpu(), entropy.cpu())


def _drawn(log_shares: torch.Tensor, temperature: float, random: torch.Generator) -> torch.Tensor:
    """A code for each place: (N, codes) log-probabilities to (N,) int64, drawn on the CPU."""
    if temperature == 0 or not len(log_shares):
        return log_shares.argmax(dim=-1)
    sharpened = (log_shares / max(temperature, 1e-3)).softmax(dim=-1).cpu()
    return torch.multinomial(sharpened, 1, generator=random)[:, 0].to(log_shares.device)


def _gumbel(count: int, random: torch.Generator) -> torch.Tensor:
    """Noise that makes the largest of noisy log-probabilities a draw: -log(-log(uniform))."""
    uniform = torch.rand(count, generator=random).clamp(1e-9, 1 - 1e-6)
    return -(-uniform.log()).log()


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


@dataclass(frozen=True, eq=False)
class SecondStage:
    """A loaded second stage. tokeniser: id of the model whose codes it speaks; those of another mean nothing to it.

    reader: id of the CLIP whose text features steer it.
    """

    id: str
    tokeniser: str
    reader: str
    module: MaskedTransformer
    device: str
    dtype: torch.dtype

    @property
    def side(self) -> int:
        """Rows, and columns, of the grid that it sees at once."""
        return self.module.config.side

    @property
    def codes(self) -> int:
        """Number of codes; also the index that stands for a hidden one."""
        return self.module.config.codes

    @torch.inference_mode()
    def logits(self, grids: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """Logits of every code at every place.

        Args:
            grids: (B, side, side) int64, ``codes`` where a code is hidden.
            condition: (D,) float32, a text feature of unit length for all of them, or None.

        Returns:
            (B, side, side, codes) float32, on the stage's device.
        """
        given = torch.full((len(grids),), condition is not None, device=self.device)
        if condition is None:
            condition = torch.zeros(self.module.config.condition)
        features = condition.to(self.device, self.dtype).expand(len(grids), -1)
        return self.module(grids.to(self.device), features, given).float()


def load(entry, placement: Placement) -> SecondStage:
    """Load a bundled model of the catalogue. The runtime calls this under its lock, once a model.

    Raises:
        UserError: as ``load_folder``.
    """
    module = load_folder(entry.folder, placement=placement)
    return SecondStage(entry.id, *SPEAKS[entry.id], module, placement.device, placement.torch_dtype)
