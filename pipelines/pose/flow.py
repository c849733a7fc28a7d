"""RealNVP in the plane, and the density of residual log-likelihood estimation (arXiv 1605.08803, 2107.11291).

The flow knows the shape of the error, sigma its size: with b = (truth - prediction) / sigma the density of the truth is
Q(b) G(b) s / (sigma_x sigma_y), where Q is Laplace, G the flow and s makes the integral one (2107.11291, equation 12).
"""

import math

import torch
from torch import nn

SPAN = 8.0  # residuals, in sigmas, over which the integral is taken
STEPS = 48  # cells a side of that integral


class Coupling(nn.Module):
    """Scales and shifts one coordinate by amounts that depend on the other one (1605.08803, equations 4 to 7)."""

    def __init__(self, kept: int, width: int):
        super().__init__()
        self.kept = kept
        self.net = nn.Sequential(
            nn.Linear(1, width), nn.LeakyReLU(), nn.Linear(width, width), nn.LeakyReLU(), nn.Linear(width, 2)
        )
        nn.init.zeros_(self.net[-1].weight)  # the flow begins as the identity
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, points: torch.Tensor, *, inverse: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 2) to (N, 2), and the log-determinant of the map's Jacobian (N,)."""
        kept, moved = points[:, self.kept], points[:, 1 - self.kept]
        scale, shift = self.net(kept[:, None]).unbind(dim=1)
        scale = torch.tanh(scale)
        moved = (moved - shift) * torch.exp(-scale) if inverse else moved * torch.exp(scale) + shift
        pair = (kept, moved) if self.kept == 0 else (moved, kept)
        return torch.stack(pair, dim=1), -scale if inverse else scale


class RealNVP(nn.Module):
    """A density in the plane: ``couplings`` maps from a standard normal, each keeping the other coordinate."""

    def __init__(self, couplings: int = 6, width: int = 64):
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(number % 2, width) for number in range(couplings))

    def forward(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From the normal's plane to the data's: (N, 2), and the log-determinant (N,)."""
        total = points.new_zeros(len(points))
        for coupling in self.couplings:
            points, log_determinant = coupling(points)
            total = total + log_determinant
        return points, total

    def inverse(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From the data's plane to the normal's: (N, 2), and the log-determinant (N,)."""
        total = points.new_zeros(len(points))
        for coupling in reversed(self.couplings):
            points, log_determinant = coupling(points, inverse=True)
            total = total + log_determinant
        return points, total

    def log_density(self, points: torch.Tensor) -> torch.Tensor:
        """Log-density of points of the data's plane: (N, 2) to (N,)."""
        normal, log_determinant = self.inverse(points)
        return -0.5 * normal.square().sum(dim=1) - math.log(2 * math.pi) + log_determinant


def laplace_log_density(residual: torch.Tensor) -> torch.Tensor:
    """Log-density of a Laplace distribution of scale 1 in each coordinate: (N, 2) to (N,)."""
    return -residual.abs().sum(dim=1) - 2 * math.log(2)


def log_normaliser(flow: RealNVP) -> torch.Tensor:
    """log s: minus the log of the integral of Q G over the plane, as a Riemann sum."""
    cell = 2 * SPAN / STEPS
    like = next(flow.parameters())
    side = (torch.arange(STEPS, device=like.device, dtype=like.dtype) + 0.5) * cell - SPAN
    grid = torch.cartesian_prod(side, side)
    values = laplace_log_density(grid) + flow.log_density(grid)
    return -(values.logsumexp(dim=0) + 2 * math.log(cell))


def log_likelihood(flow: RealNVP, truth: torch.Tensor, mean: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Log-density of the true position: truth, mean, sigma (N, 2), in one unit, to (N,)."""
    residual = (truth - mean) / sigma
    shape = laplace_log_density(residual) + flow.log_density(residual) + log_normaliser(flow)
    return shape - sigma.log().sum(dim=1)
