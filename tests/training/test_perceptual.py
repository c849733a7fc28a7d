import pytest
import torch
from torch import nn

from training.perceptual import Distances, FeatureDistance, load_distances


class Stages(nn.Module):
    """Stands for a timm network: four stages, each half as large as the one before."""

    def forward_intermediates(self, pictures, *, indices, intermediates_only):
        assert intermediates_only
        return [nn.functional.avg_pool2d(pictures, 2 ** (1 + index)) for index in indices]


@pytest.fixture
def distance():
    return FeatureDistance(Stages(), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def test_flat_colours_by_hand(distance):
    """Features of unit length: red, green at right angles give 2 at each of four depths, whatever the brightness."""
    red, green = torch.zeros(2, 3, 32, 32), torch.zeros(2, 3, 32, 32)
    red[:], green[:] = torch.tensor([1.0, 0.5, 0.5])[:, None, None], torch.tensor([0.5, 1.0, 0.5])[:, None, None]
    torch.testing.assert_close(distance(red, green), torch.full((2,), 8.0))
    torch.testing.assert_close(distance(red, (red - 0.5) / 2 + 0.5), torch.zeros(2))


def test_the_sum_and_its_gradient_reach_the_picture(distance):
    first, second = torch.rand(2, 3, 32, 32, requires_grad=True), torch.rand(2, 3, 32, 32)
    both = Distances(distance, distance)(first, second)
    torch.testing.assert_close(both, 2 * distance(first, second))
    both.sum().backward()
    assert first.grad.abs().sum() > 0


def test_the_loss_adds_the_trunk_to_the_teacher_and_learns_neither(tmp_path):
    (tmp_path / "load.py").write_text(
        "import torch\n"
        "class Perceptual(torch.nn.Module):\n"
        "    def forward(self, a, b):\n"
        "        return (a - b).abs().mean(dim=(1, 2, 3))\n",
        encoding="utf-8",
    )
    loss = load_distances(tmp_path)
    picture = torch.rand(1, 3, 64, 64)
    assert loss(picture, picture).item() == pytest.approx(0, abs=1e-6)
    assert loss(picture, picture.flip(-1)) > (picture - picture.flip(-1)).abs().mean()
    assert not any(parameter.requires_grad for parameter in loss.parameters())
