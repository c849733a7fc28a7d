"""Guidance algebra, and the three ways to say a prediction."""

import pytest
import torch

from pipelines.text_to_image.guidance import PREDICTIONS, guide, mix, to_eps, to_x0


@pytest.fixture
def two():
    return torch.randn(2, 2, 4, 3, 3, generator=torch.Generator().manual_seed(0))


def test_scale_one_is_the_prompt_alone_and_zero_is_without_it(two):
    uncond, cond = two
    torch.testing.assert_close(guide(uncond, cond, 1.0), cond)
    assert torch.equal(guide(uncond, cond, 0.0), uncond)


def test_guidance_moves_on_the_line_through_both(two):
    uncond, cond = two
    torch.testing.assert_close(guide(uncond, cond, 7.5) - cond, 6.5 * (cond - uncond))
    assert torch.equal(guide(cond, cond, 30.0), cond)


def test_guiding_any_of_the_three_kinds_is_the_same(two):
    """x_0, eps and v are linear in one another, so that it does not matter which one is guided."""
    x_t, alpha_bar = torch.ones_like(two[0]), 0.3
    for prediction in PREDICTIONS:
        told = {"alpha_bar": alpha_bar, "prediction": prediction}
        together = to_x0(guide(*two, 5.0), x_t, **told)
        torch.testing.assert_close(together, guide(*(to_x0(one, x_t, **told) for one in two), 5.0))


@pytest.mark.parametrize("alpha_bar", [0.99915, 0.5, 0.0047])
def test_each_kind_gives_picture_and_noise_back(two, alpha_bar):
    x0, eps = two
    x_t = mix(x0, eps, alpha_bar=alpha_bar)
    velocity = alpha_bar**0.5 * eps - (1 - alpha_bar) ** 0.5 * x0
    for prediction, output in (("epsilon", eps), ("v_prediction", velocity), ("sample", x0)):
        told = {"alpha_bar": alpha_bar, "prediction": prediction}
        torch.testing.assert_close(to_x0(output, x_t, **told), x0, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(to_eps(output, x_t, **told), eps, rtol=1e-3, atol=1e-3)


def test_another_kind_of_prediction_is_refused(two):
    for convert in (to_x0, to_eps):
        with pytest.raises(ValueError, match="flow_prediction"):
            convert(*two, alpha_bar=0.5, prediction="flow_prediction")
