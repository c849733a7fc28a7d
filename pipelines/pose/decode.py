"""From heat maps to positions: argmax, quarter offset, DARK, soft-argmax.

Positions are x, y in cells; the middle of the first cell lies at 0. Heat maps are (..., h, w) tensors.
"""

import torch
from torch.nn import functional

DARK_KERNEL = 11  # cells, of the smoothing before DARK's step
DARK_SIGMA = 2.0


def argmax(heatmaps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The highest cell: positions (..., 2) in whole cells, and its value (...)."""
    values, place = heatmaps.flatten(-2).max(dim=-1)
    width = heatmaps.shape[-1]
    return torch.stack([place % width, place // width], dim=-1).to(heatmaps.dtype), values


def quarter_offset(heatmaps: torch.Tensor) -> torch.Tensor:
    """Argmax, moved by a quarter of a cell towards the higher neighbour (1603.06937, section 3): (..., 2)."""
    peak, _ = argmax(heatmaps)
    slope = torch.stack(
        [_at(heatmaps, peak, dx, dy) - _at(heatmaps, peak, -dx, -dy) for dx, dy in ((1, 0), (0, 1))], -1
    )
    return peak + 0.25 * slope.sign()


def dark(heatmaps: torch.Tensor) -> torch.Tensor:
    """Argmax, then one Newton step on the logarithm of the smoothed map (1910.06278, equation 5): (..., 2).

    Exact for a Gaussian. At the edge, and where the map has no maximum, the position stays. A step is at most one cell.
    """
    peak, _ = argmax(heatmaps)
    logs = _smoothed(heatmaps).clamp_min(1e-10).log()

    def at(dx: int, dy: int) -> torch.Tensor:
        return _at(logs, peak, dx, dy)

    slope_x, slope_y = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    xx, yy = at(1, 0) - 2 * at(0, 0) + at(-1, 0), at(0, 1) - 2 * at(0, 0) + at(0, -1)
    xy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    determinant = xx * yy - xy * xy
    step = torch.stack([xy * slope_y - yy * slope_x, xy * slope_x - xx * slope_y], dim=-1) / determinant[..., None]
    size = peak.new_tensor([heatmaps.shape[-1], heatmaps.shape[-2]])
    inside = ((peak >= 1) & (peak <= size - 2)).all(dim=-1)
    peaked = inside & (determinant > 0) & (xx < 0)
    return torch.where(peaked[..., None], peak + step.clamp(-1, 1), peak)


def soft_argmax(logits: torch.Tensor, *, temperature: float = 1.0) -> torch.Tensor:
    """The mean position under the softmax of the map (1711.08229, equation 2): (..., 2)."""
    shares = (logits.flatten(-2) / temperature).softmax(dim=-1).unflatten(-1, logits.shape[-2:])
    columns = torch.arange(logits.shape[-1], device=logits.device, dtype=logits.dtype)
    rows = torch.arange(logits.shape[-2], device=logits.device, dtype=logits.dtype)
    return torch.stack([(shares.sum(dim=-2) * columns).sum(dim=-1), (shares.sum(dim=-1) * rows).sum(dim=-1)], dim=-1)


def to_unit(cells: torch.Tensor, side: int) -> torch.Tensor:
    """Cells of a map of ``side`` cells to -0.5..0.5 over the crop."""
    return (cells + 0.5) / side - 0.5


def _at(maps: torch.Tensor, peak: torch.Tensor, dx: int, dy: int) -> torch.Tensor:
    """The value beside the peak; beyond the edge, the value at the edge."""
    height, width = maps.shape[-2:]
    x = (peak[..., 0].long() + dx).clamp(0, width - 1)
    y = (peak[..., 1].long() + dy).clamp(0, height - 1)
    return maps.flatten(-2).gather(-1, (y * width + x)[..., None])[..., 0]


def _smoothed(heatmaps: torch.Tensor) -> torch.Tensor:
    """Gaussian blur, as wide as the training targets."""
    distance = torch.arange(DARK_KERNEL, device=heatmaps.device, dtype=heatmaps.dtype) - DARK_KERNEL // 2
    kernel = torch.exp(-0.5 * (distance / DARK_SIGMA).square())
    kernel = kernel / kernel.sum()
    flat = heatmaps.reshape(-1, 1, *heatmaps.shape[-2:])
    flat = functional.conv2d(flat, kernel.view(1, 1, -1, 1), padding=(DARK_KERNEL // 2, 0))
    flat = functional.conv2d(flat, kernel.view(1, 1, 1, -1), padding=(0, DARK_KERNEL // 2))
    return flat.view(heatmaps.shape)
