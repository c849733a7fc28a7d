"""The losses of the four pose heads on the same crops (arXiv 1804.06208, 1711.08229, 2107.11291)."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from pipelines.pose.decode import soft_argmax, to_unit
from pipelines.pose.flow import log_likelihood
from pipelines.pose.models import PoseNet, PoseOutput
from training.pose_data import Batch


@dataclass(frozen=True)
class StepConfig:
    """Losses. Times are shares of the run."""

    batch: int = 16
    sigma: float = 2.0  # cells, of the full heat map's targets; smaller maps in proportion, at least 1
    dropped: float = 0.03  # of a batch's joints, those with the largest loss: they are taken for wrong labels
    dropped_from: float = 0.1
    l1_until: float = 0.05  # RLE warms up with L1
    position: float = 4.0  # weight of L1 distances, in crops
    likelihood: float = 0.25
    coco_share: float = 0.35
    bfloat16: bool = False


def targets(joints: torch.Tensor, side: int, sigma: float) -> torch.Tensor:
    """Gaussian heat maps of height 1: joints (B, J, 2) in -0.5..0.5 to (B, J, side, side)."""
    cells = torch.arange(side, device=joints.device)
    centre = (joints + 0.5) * side - 0.5
    x, y = (torch.exp(-0.5 * ((cells - centre[..., axis : axis + 1]) / sigma).square()) for axis in (0, 1))
    return y[..., :, None] * x[..., None, :]


def map_loss(heatmaps: torch.Tensor, joints: torch.Tensor, sigma: float) -> torch.Tensor:
    """Squared error of each joint's map, 1 for an empty one: (B, J, h, w) to (B, J)."""
    side = heatmaps.shape[-1]
    error = (heatmaps - targets(joints, side, sigma)).square().sum(dim=(2, 3))
    return error / (torch.pi * sigma**2)  # the integral of the squared Gaussian


def distance_loss(positions: torch.Tensor, joints: torch.Tensor) -> torch.Tensor:
    """L1 distance of each joint: (B, J, 2) twice to (B, J)."""
    return (positions - joints).abs().sum(dim=-1)


def trimmed_mean(losses: torch.Tensor, weights: torch.Tensor, *, dropped: float) -> torch.Tensor:
    """Mean over labelled joints, without the share with the largest loss."""
    kept = losses[weights > 0]
    if not len(kept):
        return losses.sum() * 0
    if dropped:
        kept = kept.sort().values[: max(1, round(len(kept) * (1 - dropped)))]
    return kept.mean()


def head_losses(
    output: PoseOutput, joints: torch.Tensor, flow: torch.nn.Module, config: StepConfig, *, warm: bool
) -> dict[str, torch.Tensor]:
    """The loss of each head and joint, (B, J) each. warm: RLE learns by L1."""
    side = output.heatmap.shape[-1]
    soft = to_unit(soft_argmax(output.soft), side)
    losses = {
        "heatmap": map_loss(output.heatmap, joints, config.sigma),
        "soft": config.position * distance_loss(soft, joints),
        "regression": config.position * distance_loss(output.regression, joints),
    }
    for heatmaps in output.small:
        cells = heatmaps.shape[-1]
        losses[f"small_{cells}"] = map_loss(heatmaps, joints, max(1.0, config.sigma * cells / side))
    if warm:
        losses["rle"] = config.position * distance_loss(output.rle_mean, joints)
    else:
        pairs = (joints, output.rle_mean, output.rle_sigma.clamp_min(1e-3))
        likelihood = log_likelihood(flow, *(value.flatten(0, 1) for value in pairs))
        losses["rle"] = -config.likelihood * likelihood.view(joints.shape[:2])
    return losses


class Steps:
    """The loss of one step. crops(first, count, size): gives a batch. clock(): step, and progress of the run, 0..1."""

    def __init__(
        self,
        config: StepConfig,
        crops: Callable[[int, int, int], Batch],
        clock: Callable[[], tuple[int, float]],
        *,
        device: str,
    ):
        self.config, self.crops, self.clock, self.device = config, crops, clock, device

    def __call__(self, model: PoseNet, generator: torch.Generator) -> dict[str, torch.Tensor]:
        config, (step, progress) = self.config, self.clock()
        batch = self.crops(step * config.batch, config.batch, model.config.crop).to(self.device)
        model.train()
        with torch.autocast(self.device, torch.bfloat16) if config.bfloat16 else nullcontext():
            output = model(batch.pictures.float() / 127.5 - 1)
        output = PoseOutput(**{name: _as_float(value) for name, value in vars(output).items()})
        losses = head_losses(output, batch.joints, model.flow, config, warm=progress < config.l1_until)
        dropped = config.dropped if progress >= config.dropped_from else 0.0
        return {name: trimmed_mean(values, batch.weights, dropped=dropped) for name, values in losses.items()}


def _as_float(value: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor | tuple[torch.Tensor, ...]:
    return tuple(one.float() for one in value) if isinstance(value, tuple) else value.float()
