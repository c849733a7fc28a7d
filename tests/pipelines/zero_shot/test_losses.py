import math

import pytest
import torch
from open_clip.loss import ClipLoss, SigLipLoss
from torch.nn.functional import normalize

from pipelines.zero_shot.losses import clip_loss, diagonal, siglip_loss


def unit(rows: int, seed: int) -> torch.Tensor:
    return normalize(torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_one_text_a_picture_is_open_clips_loss():
    images, texts = unit(6, 0), unit(6, 1)
    ours = clip_loss(images, texts, logit_scale=7.0, positives=diagonal(6))
    torch.testing.assert_close(ours, ClipLoss()(images, texts, torch.tensor(7.0)))


def test_one_text_a_picture_is_open_clips_sigmoid_loss():
    images, texts = unit(6, 0), unit(6, 1)
    ours = siglip_loss(images, texts, logit_scale=7.0, logit_bias=-3.0, positives=diagonal(6))
    torch.testing.assert_close(ours, SigLipLoss()(images, texts, torch.tensor(7.0), torch.tensor(-3.0)))


def test_two_equal_texts_share_the_target():
    images, texts = unit(1, 0), unit(1, 1).repeat(2, 1)
    positives = torch.ones(1, 2, dtype=torch.bool)
    # picture -> text: half of the target on each of two equal logits, ln 2; text -> picture: one picture only, 0
    loss = clip_loss(images, texts, logit_scale=3.0, positives=positives)
    assert loss.item() == pytest.approx(0.5 * math.log(2))


def test_a_text_without_a_picture_is_only_a_negative():
    images, texts = unit(2, 0), unit(3, 1)
    positives = torch.eye(2, 3, dtype=torch.bool)
    logits = 4.0 * images @ texts.T
    by_hand = 0.5 * (
        torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
        + torch.nn.functional.cross_entropy(logits.T[:2], torch.tensor([0, 1]))
    )
    torch.testing.assert_close(clip_loss(images, texts, logit_scale=4.0, positives=positives), by_hand)


def test_the_order_of_texts_does_not_matter():
    images, texts, order = unit(4, 0), unit(5, 1), torch.tensor([3, 1, 4, 0, 2])
    positives = torch.rand(4, 5, generator=torch.Generator().manual_seed(2)) > 0.5
    for loss in (
        lambda t, p: clip_loss(images, t, logit_scale=5.0, positives=p),
        lambda t, p: siglip_loss(images, t, logit_scale=5.0, logit_bias=-1.0, positives=p),
    ):
        torch.testing.assert_close(loss(texts, positives), loss(texts[order], positives[:, order]))


def test_sigmoid_of_a_single_pair_by_hand():
    image = torch.tensor([[1.0, 0.0]])
    texts = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    loss = siglip_loss(image, texts, logit_scale=5.0, logit_bias=-2.0, positives=torch.tensor([[True, False]]))
    # logits 1 and -2: -log sigma(1) - log sigma(2)
    assert loss.item() == pytest.approx(math.log1p(math.exp(-1)) + math.log1p(math.exp(-2)), rel=1e-6)


def test_positives_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        clip_loss(unit(2, 0), unit(3, 1), logit_scale=1.0, positives=diagonal(2))
