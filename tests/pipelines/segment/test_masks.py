import numpy as np
import pytest
import torch
from segment_anything.utils.amg import calculate_stability_score

from pipelines.segment.clicks import Click
from pipelines.segment.marks import Prompt
from pipelines.segment.masks import Masks, area_of, enlarge, enlarged_mask, stability_of

CLICK = Click(1, 1, positive=True)


def make_masks(logits, *, size, full_size=None, iou=(0.0, 0.1, 0.2, 0.3), input_size=(64, 64), prompt=None) -> Masks:
    """Masks of a SAM of 64 px and 32 x 32 logits, the same logits (32, 32) for all four tokens."""
    stacked = np.stack([np.asarray(logits, np.float32)] * 4)
    return Masks(
        logits=stacked,
        iou=np.array(iou, np.float32),
        stability=np.zeros(4, np.float32),
        area=np.zeros(4, np.float32),
        valid=(input_size[0] // 2, input_size[1] // 2),
        square=64,
        input_size=input_size,
        size=size,
        full_size=full_size or size,
        ms=0.0,
        prompt=prompt or Prompt((CLICK,)),
        model_id="tiny",
        picture_key="0",
    )


def ramp(edge: float) -> np.ndarray:
    """Logits (32, 32) that rise along x and are 0 where the picture is ``edge`` of its width (0 to 1)."""
    return np.tile((np.arange(32) + 0.5) / 32 - edge, (32, 1))


@pytest.mark.parametrize("full_size", [(128, 128), (1000, 700), (3000, 4000)])
def test_an_edge_stays_at_its_place_at_every_size(full_size):
    """The line at 3/8 of the width lies between the same pixels' middles, whatever the number of pixels."""
    masks = make_masks(ramp(0.375), size=(64, 64), full_size=full_size)
    for full, (height, width) in ((False, (64, 64)), (True, full_size)):
        mask = masks.mask(1, full=full)
        expected = (np.arange(width) + 0.5) / width > 0.375
        assert mask.shape == (height, width)
        away = np.abs((np.arange(width) + 0.5) / width - 0.375) > 1e-6  # on the line itself rounding decides
        np.testing.assert_array_equal(mask[:, away], np.tile(expected, (height, 1))[:, away])


def test_a_threshold_moves_the_edge():
    masks = make_masks(ramp(0.5), size=(64, 64))
    assert masks.mask(2, threshold=0.25).sum() == 64 * 16
    assert masks.mask(2, threshold=-0.25).sum() == 64 * 48


def test_padding_does_not_reach_the_picture():
    logits = np.full((32, 32), -5.0)
    logits[16:] = 1e4  # below the picture, which takes the upper half of the square
    masks = make_masks(logits, size=(50, 100), input_size=(31, 64))
    assert masks.part(0).shape == (15, 32)
    assert not masks.mask(0)[:-2].any()


@pytest.mark.parametrize(("inner", "outer"), [((31, 64), (999, 2064)), ((64, 23), (700, 251)), ((16, 16), (1, 500))])
def test_enlarging_in_bands_equals_enlarging_at_once(inner, outer, monkeypatch):
    monkeypatch.setattr("pipelines.segment.masks.BAND_BYTES", 3 * 4 * outer[1] * 7)
    values = np.random.default_rng(0).normal(size=inner).astype(np.float32)
    for threshold in (0.0, 0.4):
        expected = enlarge(values, outer)
        decided = np.abs(expected - threshold) > 1e-5
        np.testing.assert_array_equal(
            enlarged_mask(values, outer, threshold=threshold)[decided], (expected > threshold)[decided]
        )
        assert decided.mean() > 0.99


def test_stability_is_the_librarys():
    logits = np.random.default_rng(1).normal(scale=3, size=(5, 20, 30)).astype(np.float32)
    logits[4] = -9  # both masks empty
    expected = calculate_stability_score(torch.from_numpy(logits), 0.0, 1.0).numpy()
    np.testing.assert_array_equal(stability_of(logits), expected)
    assert np.isnan(stability_of(logits)[4])


def test_stability_by_hand():
    logits = np.zeros((1, 2, 10), np.float32)  # 0 is above -1 and not above 1
    logits[0, 0, :5] = 2
    assert stability_of(logits) == pytest.approx(5 / 20)
    assert stability_of(logits, offset=3.0) == 0


def test_area_counts_a_cut_cell_by_its_part():
    logits = np.full((2, 3, 4), -1.0, np.float32)
    logits[0, 2] = 1  # the last row, of which a quarter lies on the picture
    logits[1] = 1
    assert area_of(logits, (2.25, 4.0)) == pytest.approx([0.25 * 4 / (2.25 * 4), 1.0])


def test_the_best_has_the_highest_predicted_iou_and_token_0_does_not_count():
    logits = np.zeros((32, 32))
    assert make_masks(logits, size=(8, 8), iou=(0.9, 0.2, 0.7, 0.3)).best == 2
    assert make_masks(logits, size=(8, 8), iou=(0.9, 0.7, 0.7, 0.3)).best == 1


def test_the_rule_of_the_paper_takes_the_single_token_for_what_leaves_no_doubt():
    several = Prompt((CLICK, CLICK))
    iou = (0.1, 0.2, 0.3, 0.9)
    assert make_masks(ramp(0), size=(8, 8), iou=iou).chosen("single") == 3
    assert make_masks(ramp(0), size=(8, 8), iou=iou, prompt=several).chosen("single") == 0
    assert make_masks(ramp(0), size=(8, 8), iou=iou, prompt=Prompt(box=(0, 0, 4, 4))).chosen("single") == 0
    assert make_masks(ramp(0), size=(8, 8), iou=iou, prompt=several).chosen() == 3
    with pytest.raises(ValueError, match="rule"):
        make_masks(ramp(0), size=(8, 8)).chosen("largest")
