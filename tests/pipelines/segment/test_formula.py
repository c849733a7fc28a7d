import numpy as np
import pytest

pytest.importorskip("segment_anything", reason="requirements.txt is not installed: no segment_anything")

from pipelines.runtime.errors import UserError
from pipelines.segment import formula
from pipelines.segment.clicks import Click
from pipelines.segment.prompt import Prompt, encode, predict
from tests.pipelines.segment.conftest import make_picture

CLICK = Prompt((Click(20, 15, positive=True),))


@pytest.fixture(params=["tiny_model", "tiny_sam2_model"])
def model(request):
    """Both families."""
    return request.getfixturevalue(request.param)


def answer(model, *size: int, prompt: Prompt = CLICK):
    embedding = encode(model, make_picture(*size))
    return formula.factors(model, embedding, prompt), predict(model, embedding, prompt)


def test_the_product_of_both_factors_is_the_models_answer(model):
    product, masks = answer(model, 48, 64, prompt=Prompt(CLICK.points, (5, 5, 50, 40)))
    assert product.hyper.shape == (4, model.channels // 8)
    assert product.map.shape == (model.channels // 8, model.mask_side, model.mask_side)
    assert np.array_equal(product.masks.logits, masks.logits)
    logits = np.einsum("tc,crk->trk", product.hyper, product.map)
    np.testing.assert_allclose(logits, masks.logits, rtol=1e-4, atol=1e-4 * np.abs(masks.logits).max())


@pytest.mark.parametrize("size", [(48, 64), (37, 50), (130, 300), (64, 64)])
def test_a_pixels_logit_is_the_scalar_product_and_the_enlarged_logit(model, size):
    product, masks = answer(model, *size)
    rng = np.random.default_rng(0)
    inside = zip(rng.integers(0, size[1], 4).tolist(), rng.integers(0, size[0], 4).tolist(), strict=True)
    places = [(0, 0), (size[1] - 1, size[0] - 1), *inside]
    for x, y in places:
        for token in range(4):
            one = product.pixel(x, y, token)
            expected, tolerance = float(masks.enlarged(token)[y, x]), 1e-4 * float(np.abs(masks.logits[token]).max())
            assert one.logit == pytest.approx(float(one.hyper @ one.vector), abs=tolerance)
            assert one.logit == pytest.approx(expected, abs=tolerance)
            assert one.answered == pytest.approx(expected, abs=tolerance)
            assert sum(cell.weight for cell in one.cells) == pytest.approx(1, abs=1e-6)
            assert sum(cell.weight * cell.logit for cell in one.cells) == pytest.approx(expected, abs=tolerance)


def test_cells_of_a_pixel_by_hand(tiny_model):
    """A picture as large as the square of 64 px: logits of 32 x 32 become 64 x 64, nothing is cut."""
    product, _ = answer(tiny_model, 64, 64)
    cells = product.pixel(10, 31, 1).cells  # x = 10.5 / 2 - 0.5 = 4.75, y = 31.5 / 2 - 0.5 = 15.25
    assert [(cell.row, cell.column) for cell in cells] == [(15, 5), (15, 4), (16, 5), (16, 4)]
    assert [cell.weight for cell in cells] == [0.5625, 0.1875, 0.1875, 0.0625]
    corner = product.pixel(0, 0, 1).cells
    assert [(cell.row, cell.column, cell.weight) for cell in corner] == [(0, 0, 1.0)]


def test_a_pixel_of_a_large_picture_is_found_in_the_answered_one(tiny_model):
    embedding = encode(tiny_model, make_picture(1500, 2048))
    one = formula.pixel(tiny_model, embedding, CLICK, 2047, 801, 3)
    assert (one.x, one.y, one.token) == (2047, 801, 3)
    masks = predict(tiny_model, embedding, CLICK)
    assert masks.size == (750, 1024)
    assert one.logit == pytest.approx(
        float(masks.enlarged(3)[400, 1023]), abs=1e-4 * float(np.abs(masks.logits[3]).max())
    )


def test_a_pixel_outside_is_refused(tiny_model):
    product, _ = answer(tiny_model, 30, 40)
    for x, y in ((-1, 0), (40, 0), (0, 30)):
        with pytest.raises(UserError, match="mark_outside"):
            product.pixel(x, y, 0)
    with pytest.raises(ValueError, match="token"):
        product.pixel(0, 0, 4)


def test_hooks_are_gone_afterwards_even_when_the_prompt_is_refused(tiny_model):
    embedding = encode(tiny_model, make_picture(30, 40))
    formula.factors(tiny_model, embedding, Prompt((Click(1, 1, positive=True),)))
    with pytest.raises(UserError):
        formula.factors(tiny_model, embedding, Prompt())
    assert not any(module._forward_hooks for module in tiny_model.module.modules())


def test_iou_as_counts_by_hand():
    mask, truth = np.zeros((4, 5), dtype=bool), np.zeros((4, 5), dtype=bool)
    mask[:2], truth[1:3, :4] = True, True
    found = formula.overlap(mask, truth)
    assert (found.inner, found.outer, found.value) == (4, 14, 4 / 14)
    assert np.isnan(formula.overlap(~mask & mask, ~mask & mask).value)


def test_stability_as_counts_is_the_answers_stability(model):
    _, masks = answer(model, 48, 64)
    for token in range(4):
        found = formula.stability(masks, token)
        assert found.outer >= found.inner
        assert found.value == pytest.approx(float(masks.stability[token]), abs=1e-6, nan_ok=True)
        moved = formula.stability(masks, token, threshold=0.5, offset=0.25)
        assert moved.inner == (masks.part(token) > 0.75).sum()
        assert moved.outer == (masks.part(token) > 0.25).sum()
