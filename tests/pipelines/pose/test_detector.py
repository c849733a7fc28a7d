import numpy as np
import pytest
import torch

from pipelines.pose.detector import DetectorConfig, PersonDetector, boxes_of, detect, fit


class Seer(torch.nn.Module):
    """Says two overlapping people and one elsewhere, in a grid of 8 x 8 cells."""

    config = DetectorConfig(size=64)

    def __init__(self):
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def forward(self, pictures):
        logits, sides = torch.full((1, 8, 8), -9.0), torch.ones(1, 4, 8, 8)
        logits[0, 2, 2], logits[0, 2, 3], logits[0, 2, 6] = 3.0, 2.0, 1.0
        sides[0, :, 2, 2] = torch.tensor([1.5, 2.0, 1.5, 1.0])
        sides[0, :, 2, 3] = torch.tensor([2.5, 2.0, 0.5, 1.0])
        return logits, sides


def test_boxes_come_back_in_pixels_of_the_picture_without_doubles():
    people = detect(Seer(), np.zeros((64, 128, 3), np.uint8))
    assert [round(person.score, 3) for person in people] == [0.953, 0.731]
    assert people[0].box == pytest.approx((16, 8, 48, 48))  # the picture is twice as wide as the square
    assert people[1].box == pytest.approx((88, 24, 32, 32))
    assert len(detect(Seer(), np.zeros((64, 128, 3), np.uint8), at_least=0.8)) == 1


def test_distances_are_counted_from_the_middle_of_a_cell():
    boxes = boxes_of(torch.ones(1, 4, 2, 3))
    assert boxes.shape == (1, 6, 4)
    assert boxes[0, 4].tolist() == [4, 4, 20, 20]


def test_a_picture_is_fitted_without_changing_its_form():
    square, scale = fit(np.full((50, 100, 3), 200, np.uint8), 64)
    assert scale == 0.64
    assert (square[:32] == 200).all()
    assert (square[32:] == 127).all()


def test_the_bundled_shape_is_small_and_starts_without_people():
    torch.manual_seed(0)
    module = PersonDetector(DetectorConfig()).eval()
    assert sum(value.numel() for value in module.state_dict().values()) * 2 < 2 * 2**20
    logits, sides = module(torch.zeros(2, 3, 256, 256))
    assert (logits.shape, sides.shape) == ((2, 32, 32), (2, 4, 32, 32))
    assert logits.sigmoid().max() < 0.3
    assert (sides > 0).all()
