"""One step of the SAM's training: prompts, corrective clicks, losses (arXiv 2304.02643, appendix A)."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from training.segment_model import (
    BOTTOM_RIGHT,
    PAD,
    POSITIVE,
    TOP_LEFT,
    Student,
    decode,
    embed_prompts,
    encode,
)
from training.segment_scenes import FULL_SIZE, Batch

EROSIONS = 12


@dataclass(frozen=True)
class StepConfig:
    """Times are shares of the run. size of early pictures: a multiple of 64 px."""

    batch: int = 4
    prompts: int = 16  # a picture: half of them clicks, half boxes
    small_size: int = 128
    small_until: float = 0.6
    most_rounds: int = 3  # of corrective clicks, drawn anew for each step
    rounds_from: float = 0.15
    distil: float = 0.5
    distil_until: float = 0.35
    focal: float = 20.0
    iou: float = 1.0
    composite: float = 0.5
    bfloat16: bool = False


def mask_losses(logits: torch.Tensor, target: torch.Tensor, *, focal_weight: float) -> torch.Tensor:
    """20 focal (alpha 0.25, gamma 2; 1708.02002, equation 5) + dice (1606.04797) of each mask.

    logits (N, M, h, w), target (N, h, w) of 0 and 1 -> (N, M).
    """
    truth = target[:, None].to(logits.dtype)
    probability = logits.sigmoid()
    entropy = functional.softplus(logits) - logits * truth  # -log of the probability of the truth
    missed = (1 - probability) * truth + probability * (1 - truth)
    focal = ((0.75 - 0.5 * truth) * missed.square() * entropy).mean(dim=(2, 3))
    overlap = (probability * truth).sum(dim=(2, 3))
    dice = 1 - (2 * overlap + 1) / (probability.sum(dim=(2, 3)) + truth.sum(dim=(2, 3)) + 1)
    return focal_weight * focal + dice


@torch.no_grad()
def true_iou(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Intersection over union of each mask with its target: (N, M, h, w), (N, h, w) -> (N, M)."""
    mask, truth = logits > 0, target[:, None].bool()
    return (mask & truth).sum(dim=(2, 3)) / (mask | truth).sum(dim=(2, 3)).clamp_min(1)


@torch.no_grad()
def error_clicks(wrong: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """A cell of each error region: half of them deep inside, half anywhere in it.

    wrong (N, h, w) bool, even sides -> (N, 2) int64 x, y. Depth is the number of erosions that a pair of cells
    outlives, in place of a distance transform, so that this runs on any device. Without an error, any cell.
    """
    coarse = functional.avg_pool2d(wrong.float()[:, None], 2)  # (N, 1, h/2, w/2)
    depth = inner = coarse
    for _ in range(EROSIONS):
        inner = -functional.max_pool2d(functional.pad(-inner, (1, 1, 1, 1)), 3, stride=1)
        depth = depth + inner
    flat = (coarse > 0).flatten(1)
    width = coarse.shape[-1]
    draws = torch.rand(2, len(wrong), generator=generator).to(wrong.device)
    rank = (draws[0] * flat.sum(dim=1)).floor().long() + 1
    anywhere = (flat.cumsum(dim=1) >= rank[:, None]).int().argmax(dim=1)
    cell = torch.where(draws[1] < 0.5, depth.flatten(1).argmax(dim=1), anywhere)
    y, x = cell // width * 2, cell % width * 2
    block = functional.unfold(wrong.float()[:, None], 2, stride=2).gather(2, cell[:, None, None].expand(-1, 4, 1))
    chance = torch.rand(len(wrong), 4, generator=generator).to(wrong.device)
    inside = (block[..., 0] * (1 + chance)).argmax(dim=1)  # one of the four fine cells that are wrong
    return torch.stack([x + inside % 2, y + inside // 2], dim=1)


def first_prompts(batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The first half of each picture's prompts are clicks (with the library's padding point), the others boxes.

    Returns points (B * P, 2, 2), labels (B * P, 2), and which are clicks (B * P).
    """
    count, prompts = batch.clicks.shape[:2]
    is_click = (torch.arange(prompts, device=batch.clicks.device) < prompts // 2).repeat(count)
    clicks = torch.stack([batch.clicks, torch.zeros_like(batch.clicks)], dim=2).flatten(0, 1)
    corners = batch.boxes.flatten(0, 1).unflatten(1, (2, 2))
    kinds = torch.tensor([[TOP_LEFT, BOTTOM_RIGHT], [POSITIVE, PAD]], device=clicks.device)
    return torch.where(is_click[:, None, None], clicks, corners), kinds[is_click.long()], is_click


class Steps:
    """The loss of one step. scenes(first, count, size): gives a batch. clock(): step, and progress of the run, 0..1."""

    def __init__(
        self,
        config: StepConfig,
        scenes: Callable[[int, int, int], Batch],
        teacher: nn.Module,
        clock: Callable[[], tuple[int, float]],
        *,
        device: str,
    ):
        self.config, self.scenes, self.teacher, self.clock, self.device = config, scenes, teacher, clock, device

    def progress(self) -> float:
        """How far the run is, 0..1."""
        return self.clock()[1]

    def size(self) -> int:
        """Side of the present pictures, pixels."""
        return self.config.small_size if self.progress() < self.config.small_until else FULL_SIZE

    def __call__(self, model: Student, generator: torch.Generator) -> dict[str, torch.Tensor]:
        config = self.config
        step = self.clock()[0]
        batch = self.scenes(step * config.batch, config.batch, self.size()).to(self.device)
        with torch.autocast(self.device, torch.bfloat16) if config.bfloat16 else nullcontext():
            return self._losses(model, batch, generator)

    def _losses(self, model: Student, batch: Batch, generator: torch.Generator) -> dict[str, torch.Tensor]:
        config, pictures = self.config, batch.pictures.float()
        embedding = encode(model.sam.image_encoder, (pictures - model.sam.pixel_mean) / model.sam.pixel_std)
        points, labels, is_click = first_prompts(batch)
        targets, meant = batch.targets.flatten(0, 1), batch.meant.flatten(0, 1) & is_click[:, None]
        corrective = self.progress() >= config.rounds_from and config.most_rounds
        rounds = int(torch.randint(config.most_rounds + 1, (1,), generator=generator)) if corrective else 0
        previous, parts = None, []
        for number in range(rounds + 1):
            sparse = embed_prompts(model.sam.prompt_encoder, points, labels)
            logits, predicted = (value.float() for value in decode(model.sam, embedding, sparse, previous))
            several = torch.ones_like(is_click) if number else ~is_click
            others = meant[:, 1:] if number == 0 else torch.zeros_like(meant[:, 1:])
            parts.append(round_losses(logits, predicted, targets, others=others, several=several, config=config))
            if number < rounds:
                previous = best_of(logits, predicted)
                points, labels = correct(points, labels, previous, targets[:, 0], generator)
        losses = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
        return losses | {"distil": self._distil(model, embedding, pictures)}

    def _distil(self, model: Student, embedding: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
        """Squared error of the teacher's features, read linearly from the embedding; fades out."""
        weight = self.config.distil * max(0.0, 1 - self.progress() / self.config.distil_until)
        if weight == 0:
            return torch.zeros((), device=embedding.device)
        errors = []
        for head, truth in zip(model.compare, self.teacher(pictures), strict=True):
            ours = functional.adaptive_avg_pool2d(head(embedding), truth.shape[-2:])
            errors.append(functional.mse_loss(ours.float(), truth.float()))
        return weight * torch.stack(errors).mean()


def round_losses(
    logits: torch.Tensor,
    predicted: torch.Tensor,
    targets: torch.Tensor,
    *,
    others: torch.Tensor,
    several: torch.Tensor,
    config: StepConfig,
) -> dict[str, torch.Tensor]:
    """Losses of one round.

    Of the three masks the best one learns the chosen target; where a click may mean another object as well, the best
    one for that learns it too. The single-mask token learns where several prompts (or a box) name the object. Every
    predicted IoU learns the true one with the chosen target.

    Args:
        logits: (N, 4, h, w), the single mask first. predicted: (N, 4).
        targets: (N, 3, h, w), the chosen one first. others: (N, 2) bool, which further targets are meant.
        several: (N,) bool.
    """
    losses = mask_losses(logits, targets[:, 0], focal_weight=config.focal)
    best = losses[:, 1:].amin(dim=1)
    for place in range(others.shape[1]):
        rows = others[:, place].nonzero()[:, 0]
        if len(rows):
            also = mask_losses(logits[rows, 1:], targets[rows, 1 + place], focal_weight=config.focal).amin(dim=1)
            best = best.index_add(0, rows, 0.5 * also)
    single = (losses[:, 0] * several).sum() / several.sum().clamp_min(1)
    iou_error = (predicted - true_iou(logits, targets[:, 0])).abs().mean()
    return {"mask": best.mean(), "single": single, "iou": config.iou * iou_error}


def best_of(logits: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    """Of the three masks the one with the highest predicted IoU: (N, 1, h, w), without gradients."""
    best = predicted[:, 1:].argmax(dim=1) + 1
    return logits.detach()[torch.arange(len(best), device=best.device), best][:, None]


def correct(
    points: torch.Tensor, labels: torch.Tensor, logits: torch.Tensor, target: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add one click in the error region to each prompt."""
    cell = error_clicks((logits[:, 0] > 0) != target.bool(), generator)
    label = target.long()[torch.arange(len(cell), device=cell.device), cell[:, 1], cell[:, 0]]
    click = (cell + 0.5) * (FULL_SIZE / target.shape[-1]) - 0.5
    return torch.cat([points, click[:, None]], dim=1), torch.cat([labels, label[:, None]], dim=1)
