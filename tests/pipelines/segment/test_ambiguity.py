import numpy as np
import pytest

from pipelines.segment.ambiguity import click_steps, ladder, spread, true_iou
from pipelines.segment.clicks import Click, first_click, intersection_over_union
from pipelines.segment.marks import Prompt
from pipelines.segment.masks import Masks, area_of, stability_of
from pipelines.segment.prompt import encode, predict
from tests.pipelines.segment.conftest import make_picture


def columns(*ranges: tuple[int, int]) -> Masks:
    """Four masks of 8 x 8 pixels, logits and picture alike: mask i is set in the columns of ranges[i]."""
    logits = np.full((4, 8, 8), -2, np.float32)
    for mask, (first, last) in zip(logits, ranges, strict=True):
        mask[:, first:last] = 2
    return Masks(
        logits=logits,
        iou=np.array([0.5, 0.9, 0.8, 0.7], np.float32),
        stability=stability_of(logits),
        area=area_of(logits, (8, 8)),
        valid=(8, 8),
        square=8,
        input_size=(8, 8),
        size=(8, 8),
        full_size=(8, 8),
        ms=0.0,
        prompt=Prompt((Click(0, 0, positive=True),)),
        model_id="by hand",
        picture_key="0",
    )


def test_the_ladder_goes_from_part_to_whole_and_ends_with_the_single_token():
    masks = columns((0, 1), (0, 6), (0, 2), (0, 4))
    rungs = ladder(masks)
    assert [rung.token for rung in rungs] == [2, 3, 1, 0]
    assert [rung.area for rung in rungs] == [0.25, 0.5, 0.75, 0.125]
    assert [rung.iou for rung in rungs] == pytest.approx([0.8, 0.7, 0.9, 0.5])
    assert all(rung.stability == 1 and rung.true_iou is None for rung in rungs)


def test_true_iou_against_a_known_object():
    truth = np.zeros((8, 8), bool)
    truth[:, :4] = True
    by_token = {rung.token: rung.true_iou for rung in ladder(columns((4, 8), (0, 6), (0, 2), (0, 4)), truth)}
    assert by_token == {0: 0, 1: pytest.approx(4 / 6), 2: 0.5, 3: 1}
    with pytest.raises(ValueError, match="truth"):
        ladder(columns((4, 8), (0, 6), (0, 2), (0, 4)), truth[:4])


def test_spread_by_hand():
    assert spread(columns((0, 8), (0, 4), (0, 4), (0, 4))) == 0
    assert spread(columns((0, 0), (0, 2), (3, 5), (6, 8))) == 1
    assert spread(columns((0, 0), (0, 4), (0, 4), (0, 8))) == pytest.approx((0 + 0.5 + 0.5) / 3)
    assert spread(columns((0, 4), (0, 0), (0, 0), (0, 0))) == 0  # nothing, three times


def test_truth_counts_at_full_size_too(tiny_model):
    masks = predict(tiny_model, encode(tiny_model, make_picture(400, 1500)), Prompt((Click(700, 200, positive=True),)))
    assert masks.size == (273, 1024)
    for size in (masks.size, masks.full_size):
        truth = np.zeros(size, bool)
        truth[:, : size[1] // 2] = True
        mask = masks.mask(2, full=size == masks.full_size)
        assert true_iou(masks, 2, truth) == intersection_over_union(mask, truth)


def test_the_simulated_person_clicks_where_it_is_wrong_and_gives_the_best_mask_back(tiny_model):
    embedding = encode(tiny_model, make_picture(40, 60))
    truth = np.zeros((40, 60), bool)
    truth[10:30, 15:40] = True
    steps = list(click_steps(tiny_model, embedding, truth, count=3))
    assert len(steps) == 3
    assert steps[0].click == first_click(truth)
    first = predict(tiny_model, embedding, Prompt((steps[0].click,)))
    second = predict(
        tiny_model, embedding, Prompt((steps[0].click, steps[1].click), previous=first.as_prompt(first.best))
    )
    for step, masks in zip(steps, (first, second), strict=False):
        assert step.spread == spread(masks)
        assert step.iou == masks.iou[masks.best]
        assert step.true_iou == true_iou(masks, masks.best, truth) <= step.best_true_iou
    shown = first.mask(first.best)
    assert truth[steps[1].click.y, steps[1].click.x] == steps[1].click.positive
    assert shown[steps[1].click.y, steps[1].click.x] != steps[1].click.positive


def test_clicking_ends_when_nothing_is_wrong(tiny_model, monkeypatch):
    embedding = encode(tiny_model, make_picture(8, 8))
    masks = columns((0, 8), (0, 4), (0, 3), (0, 2))  # token 1 has the highest predicted IoU
    monkeypatch.setattr("pipelines.segment.prompt.predict", lambda *_: masks)
    truth = masks.mask(1)
    assert len(list(click_steps(tiny_model, embedding, truth, count=8))) == 1
    assert len(list(click_steps(tiny_model, embedding, masks.mask(2), count=8))) == 8
    for wrong in (truth[:4], np.zeros((8, 8), bool)):
        with pytest.raises(ValueError, match="truth"):
            next(click_steps(tiny_model, embedding, wrong))
