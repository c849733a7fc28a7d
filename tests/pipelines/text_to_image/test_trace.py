"""What a run keeps: its conventions, its size, and how much of the picture is fixed when."""

import numpy as np
import pytest
import torch

from pipelines.text_to_image import samplers
from pipelines.text_to_image.guidance import guide, mix
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings
from pipelines.text_to_image.trace import fixed_share

ASKED = {"prompt": "a red apple", "steps": 5, "width": 64, "height": 64, "seed": 2}


def draw(model, **changes):
    *_, run = generate(model, Settings(**(ASKED | changes)))
    return run


@pytest.mark.parametrize("key", samplers.SAMPLERS)
def test_every_step_is_consistent_with_itself(tiny_model, tiny_epsilon_model, key):
    for model in (tiny_model, tiny_epsilon_model):
        for step in draw(model, sampler=key).steps:
            torch.testing.assert_close(mix(step.x0, step.eps, alpha_bar=step.alpha_bar), step.x_t, rtol=1e-3, atol=2e-3)
            torch.testing.assert_close(step.eps, guide(step.eps_uncond, step.eps_cond, 4.0))
            assert step.prediction == model.prediction


def test_without_guidance_there_is_one_prediction(tiny_model):
    step = draw(tiny_model, guidance_scale=1.0).steps[0]
    assert step.output_uncond is None
    assert step.eps_uncond is None
    assert torch.equal(step.eps, step.eps_cond)


def test_latents_of_the_next_step_are_what_the_sampler_made(tiny_model):
    run = draw(tiny_model)
    here, after = run.steps[1:3]
    expected = mix(here.x0, here.eps, alpha_bar=after.alpha_bar)
    torch.testing.assert_close(after.x_t, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(run.latents, run.steps[-1].x0, rtol=1e-4, atol=1e-5)  # DDIM ends in x0-hat


def test_conditioning_has_a_row_a_prompt_and_lies_on_the_cpu(tiny_model, tiny_xl_model):
    assert draw(tiny_model, batch=2).conditioning.embeds.shape == (2, 32, 16)
    assert draw(tiny_model, guidance_scale=0.0).conditioning.embeds.shape == (1, 32, 16)
    assert draw(tiny_xl_model).conditioning.pooled.shape == (2, 16)


def test_size_counts_what_is_shared_once(tiny_model):
    """5 steps of DDIM: latents, two predictions and x0-hat each (1 KiB), random states once, texts once, picture."""
    run = draw(tiny_model)
    kib = 4 * 8 * 8 * 4
    states, texts, pictures = 5056, 2 * 32 * 16 * 4, 64 * 64 * 3
    assert run.nbytes == 5 * 4 * kib + kib + states + texts + pictures
    assert draw(tiny_model, sampler="ddpm").nbytes == run.nbytes + 4 * states  # a stochastic one's states differ


def test_the_fixed_share_rises_from_zero_to_one(tiny_model):
    share = fixed_share(draw(tiny_model, steps=10))
    assert share.shape == (10,)
    assert share[0] == 0
    assert share[-1] == pytest.approx(1, abs=1e-5)
    assert (np.diff(share) > 0).all()


def test_the_fixed_share_by_hand(make_gaussian):
    """The perfect model's prediction is mean + g_k z with a known gain g_k, z the same at all k; the end has gain G."""
    run = draw(make_gaussian(0.7, 0.5), steps=50, guidance_scale=1.0, width=128, height=128)
    gains = np.array([0.25 * (a / (a * 0.25 + 1 - a)) ** 0.5 for a in (step.alpha_bar for step in run.steps)])
    expected = 1 - ((gains - 0.5) / (gains[0] - 0.5)) ** 2
    np.testing.assert_allclose(fixed_share(run), expected, atol=0.06)


def test_a_single_step_fixes_all(tiny_model):
    assert fixed_share(draw(tiny_model, steps=1)).tolist() == [1.0]
