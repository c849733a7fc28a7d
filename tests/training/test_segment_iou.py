import numpy as np
import pytest
import torch
from torch import nn

from pipelines.segment.models import SamConfig, create_sam
from training.segment_iou import Tokens, figures_of, fit, refit, tokens_of
from training.segment_scenes import FULL_SIZE, Batch

TINY = SamConfig(width=16, depth=1, heads=2, window=4, global_blocks=(0,), out_channels=16, decoder_mlp=16)


def test_the_best_answer_to_the_squared_error_is_the_mean():
    """A mask that is right two times in five beats one that is always poor; its median is nothing."""
    right = torch.tensor([1.0, 0, 0, 1, 0]).repeat(200)
    ious = torch.stack([right * 0, right, torch.full_like(right, 0.2), right * 0], dim=1)
    data = Tokens(torch.ones(1000, 4), ious, torch.ones(1000, dtype=torch.bool))
    torch.manual_seed(0)
    head = nn.Linear(4, 4)
    fit(head, data, steps=500, rate=0.05)
    assert head(data.tokens)[0].tolist() == pytest.approx([0, 0.4, 0.2, 0], abs=0.05)
    found = figures_of(head, data)
    assert found["chosen_one_click"] == found["chosen"] == pytest.approx(0.4)
    assert found["best_one_click"] == pytest.approx(0.4 + 0.6 * 0.2)


@pytest.fixture(scope="module")
def sam():
    torch.manual_seed(0)
    return create_sam(TINY).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def batch() -> Batch:
    """A bright block with two clicks and two boxes."""
    picture = np.zeros((1, 3, FULL_SIZE, FULL_SIZE), np.uint8)
    picture[..., 64:192, 64:192] = 200
    target = np.zeros((1, 4, 3, FULL_SIZE // 2, FULL_SIZE // 2), np.uint8)
    target[:, :, 0, 32:96, 32:96] = 1
    clicks, boxes = np.full((1, 4, 2), 128.0), np.tile([64.0, 64, 191, 191], (1, 4, 1))
    arrays = (picture, clicks.astype(np.float32), boxes.astype(np.float32), target, np.ones((1, 4, 3), bool))
    return Batch(*map(torch.from_numpy, arrays))


def test_the_tokens_are_what_the_head_reads(sam, batch):
    found = tokens_of(sam, batch, rounds=1, generator=torch.Generator().manual_seed(0))
    assert found.tokens.shape == (8, TINY.out_channels)
    assert found.ious.shape == (8, 4)
    assert found.first.tolist() == [True, True, False, False, *[False] * 4]
    assert not sam.mask_decoder.iou_prediction_head._forward_pre_hooks


def test_only_the_head_changes(sam, batch):
    before = {name: value.clone() for name, value in sam.state_dict().items()}
    data = tokens_of(sam, batch, rounds=1, generator=torch.Generator().manual_seed(0))
    figures = refit(sam, data)
    assert figures["prompts"] == 8 and figures["before"].keys() == figures["after"].keys()
    changed = {name for name, value in sam.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("mask_decoder.iou_prediction_head") for name in changed)
