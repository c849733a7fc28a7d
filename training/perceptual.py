"""Distances between pictures in the features of a classifier (arXiv 1801.03924, without learned weights)."""

from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from torch import nn

from pipelines.zero_shot.trunk import TIMM_NAME, load_trunk_state
from training.drawings import load_perceptual

HALVES = (0.5, 0.5, 0.5)  # EfficientNet-Lite0 and MobileNetV2 of TensorFlow see -1..1


class FeatureDistance(nn.Module):
    """Squared differences of features of unit length, averaged over positions and added over depths.

    network: a timm model with ``forward_intermediates``; its four first stages are looked at (strides 2 to 16).
    mean, std: by which it wants pictures in 0..1 normalised.
    """

    def __init__(self, network: nn.Module, *, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(mean)[None, :, None, None])
        self.register_buffer("std", torch.tensor(std)[None, :, None, None])

    def maps(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Features of pictures (N, 3, H, W) in 0..1, of unit length at each position."""
        seen = (pictures - self.mean) / self.std
        found = self.network.forward_intermediates(seen, indices=(0, 1, 2, 3), intermediates_only=True)
        return [one / (one.square().sum(dim=1, keepdim=True) + 1e-10).sqrt() for one in found]

    def forward(self, pictures: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) both, to (N,)."""
        pairs = zip(self.maps(pictures), self.maps(others), strict=True)
        return sum((ours - theirs).square().sum(dim=1).mean(dim=(1, 2)) for ours, theirs in pairs)


class Distances(nn.Module):
    """The sum of several distances: what deceives one network seldom deceives another."""

    def __init__(self, *distances: nn.Module):
        super().__init__()
        self.distances = nn.ModuleList(distances)

    def forward(self, pictures: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) both, to (N,)."""
        return sum(distance(pictures, others) for distance in self.distances)


def load_distances(teachers: Path) -> Distances:
    """SqueezeNet's distance of the teachers' folder and that of EfficientNet-Lite0, the trunk of Zero-shot."""
    trunk = timm.create_model(TIMM_NAME)
    trunk.load_state_dict(load_trunk_state(classifier=True))
    return Distances(load_perceptual(teachers), FeatureDistance(trunk, mean=HALVES, std=HALVES))
