import pytest
import torch

from pipelines.pose.decode import argmax, dark, quarter_offset, soft_argmax, to_unit


def gaussian(x: float, y: float, *, height: int = 48, width: int = 64, sigma: float = 2.0) -> torch.Tensor:
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None]
    return torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)).double()


def test_dark_finds_a_gaussian_between_two_cells():
    maps = torch.stack([gaussian(20.25, 31.75), gaussian(40.5, 10.1)])
    torch.testing.assert_close(dark(maps), torch.tensor([[20.25, 31.75], [40.5, 10.1]]).double(), atol=0.02, rtol=0)


def test_argmax_and_quarter_offset_by_hand():
    peak, value = argmax(gaussian(20.3, 30.7))
    assert peak.tolist() == [20, 31]
    assert value.item() == pytest.approx(gaussian(20.3, 30.7).max().item())
    assert quarter_offset(gaussian(20.3, 30.7)).tolist() == [20.25, 30.75]


def test_decoding_moves_with_the_map():
    moved = gaussian(20.25, 20.75).roll((5, 3), dims=(0, 1))
    for decode in (dark, quarter_offset):
        torch.testing.assert_close(decode(moved), decode(gaussian(20.25, 20.75)) + torch.tensor([3, 5]).double())


def test_at_the_edge_and_on_a_flat_map_the_position_is_the_peak():
    edge = gaussian(0, 0)
    assert dark(edge).tolist() == [0, 0]
    assert dark(torch.zeros(8, 8)).isfinite().all()
    assert quarter_offset(torch.zeros(1, 2, 8, 8)).shape == (1, 2, 2)


def test_soft_argmax_is_the_mean_and_lands_between_two_peaks():
    logits = torch.full((9, 9), -1e9)
    logits[2, 1] = logits[2, 7] = 0.0
    assert soft_argmax(logits).tolist() == pytest.approx([4, 2])
    assert soft_argmax(torch.zeros(5, 9)).tolist() == pytest.approx([4, 2])
    sharp = soft_argmax(gaussian(20.25, 31.75) * 10, temperature=0.01)
    assert sharp.tolist() == pytest.approx([20, 32], abs=0.05)


def test_cells_of_any_grid_mean_the_same_place():
    assert to_unit(torch.tensor(0.0), 4).item() == pytest.approx(-0.375)
    assert to_unit(torch.tensor(5.5), 12).item() == to_unit(torch.tensor(23.5), 48).item() == 0
