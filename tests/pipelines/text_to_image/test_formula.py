"""The printed numbers are the sampler's: applied to the stored tensors they give the latents of the next call."""

import math

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler

from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.text_to_image.edit import Edit
from pipelines.text_to_image.formula import GLYPHS, SOURCES, UPDATES, apply, formula, tensors_of
from pipelines.text_to_image.models import wrap
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.samplers import SAMPLERS
from pipelines.text_to_image.settings import Settings
from tests.pipelines.text_to_image.conftest import make_pipeline


def run(model, *, edit=None, **changes):
    asked = {"prompt": "a red apple", "steps": 4, "width": 64, "height": 64, "seed": 3, "batch": 2, **changes}
    *_, denoising = generate(model, Settings(**asked), edit=edit)
    return denoising


def after(denoising, k: int) -> torch.Tensor:
    """(B, C, h, w): the stored latents after call k."""
    return denoising.latents if k + 1 == len(denoising.steps) else denoising.steps[k + 1].latents


def check(model, denoising, *, rounding: float = 2e-6) -> None:
    """Apply the lines to the stored tensors, by the printed weights alone, and compare with the scheduler's step.

    The scheduler adds the same summands in float32: what is left is their rounding.
    """
    for k in range(len(denoising.steps)):
        found = formula(model, denoising, k, picture=1)
        tensors = tensors_of(denoising, k, picture=1)
        for line in found.lines:
            tensors[line.result] = apply(line, tensors)
        largest = max(abs(term.weight) * tensors[term.symbol].abs().max() for term in found.lines[-1].terms)
        difference = (tensors["x_next"] - after(denoising, k)[1].double()).abs().max()
        assert difference < rounding * largest, (found.sampler, k)
        assert found.max_difference == pytest.approx(float(difference))


def test_every_sampler_has_its_formula():
    assert set(UPDATES) == set(SOURCES) == set(SAMPLERS)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_weights_reproduce_the_schedulers_step(tiny_model, tiny_epsilon_model, sampler):
    for model, steps in ((tiny_model, 1), (tiny_model, 4), (tiny_epsilon_model, 3)):
        check(model, run(model, sampler=sampler, steps=steps))


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "unipc"])
def test_solvers_that_look_back_in_a_longer_run(tiny_model, sampler):
    """DPM++ 2M ends otherwise from 15 steps on."""
    check(tiny_model, run(tiny_model, sampler=sampler, steps=15))


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_ddim_with_noise(tiny_model, eta):
    # sqrt(1 - alpha_bar' - s^2) is the root of a small difference, in float32 by the scheduler
    check(tiny_model, run(tiny_model, eta=eta), rounding=1e-4)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_run_that_started_from_a_picture(tiny_epsilon_model, sampler):
    edit = Edit("image", np.full((64, 64, 3), 90, np.uint8))
    check(tiny_epsilon_model, run(tiny_epsilon_model, sampler=sampler, strength=0.6, guidance_scale=1.0, edit=edit))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_model_published_with_another_scheduler(sampler):
    """SD-Turbo's and SDXL's configurations are the Euler sampler's and do not speak of clipping."""
    pipeline = make_pipeline()
    pipeline.scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="trailing"
    )
    model = wrap("tiny-euler", pipeline, CPU)
    check(model, run(model, sampler=sampler, steps=3))


def test_numbers_of_ddim_by_hand(tiny_epsilon_model):
    denoising = run(tiny_epsilon_model, eta=1.0)
    found = formula(tiny_epsilon_model, denoising, 2)
    table = tiny_epsilon_model.pipeline.scheduler.alphas_cumprod.double()
    now, following = (float(table[int(denoising.steps[k].timestep)]) for k in (2, 3))
    deviation = math.sqrt((1 - following) / (1 - now) * (1 - now / following))
    weights = {term.symbol: term.weight for term in found.lines[-1].terms}
    assert weights["x0"] == pytest.approx(math.sqrt(following), rel=1e-6)
    assert weights["z"] == pytest.approx(deviation, rel=1e-4)
    assert weights["eps"] == pytest.approx(math.sqrt(1 - following - deviation**2), rel=1e-4)
    assert found.values["alpha_bar_next"] == pytest.approx(following) and found.values["eta"] == 1
    assert found.values["alpha_bar"] == pytest.approx(denoising.steps[2].alpha_bar)


def test_lines_name_what_they_use(tiny_model):
    for sampler in SAMPLERS:
        denoising = run(tiny_model, sampler=sampler, steps=3)
        for k in range(len(denoising.steps)):
            lines = formula(tiny_model, denoising, k).lines
            assert [line.result for line in lines[:3]] == ["output", "x0", "eps"] and lines[-1].result == "x_next"
            for line in lines:
                assert line.result in GLYPHS and line.source
                assert all(term.symbol in GLYPHS and term.written and math.isfinite(term.rms) for term in line.terms)


def test_which_line_each_sampler_adds(tiny_model):
    heun = run(tiny_model, sampler="heun")
    assert [formula(tiny_model, heun, k).second_call for k in range(4)] == [False, True, False, True]
    unipc = run(tiny_model, sampler="unipc")
    results = [[line.result for line in formula(tiny_model, unipc, k).lines] for k in range(2)]
    assert "x_corrected" not in results[0] and "x_corrected" in results[1]
    second_order = formula(tiny_model, run(tiny_model, sampler="dpmpp_2m"), 2).lines[-1]
    assert "x0_1" in {term.symbol for term in second_order.terms}


def test_the_last_step_of_a_deterministic_sampler_is_the_predicted_picture(tiny_model):
    for sampler in ("euler", "heun", "dpmpp_2m", "unipc", "lcm"):
        denoising = run(tiny_model, sampler=sampler)
        torch.testing.assert_close(denoising.latents, denoising.steps[-1].x0, atol=1e-4, rtol=1e-4)


def test_inpainting_has_no_difference_to_tell(tiny_model):
    mask = np.zeros((64, 64), bool)
    mask[:32] = True
    denoising = run(tiny_model, edit=Edit("inpaint", np.zeros((64, 64, 3), np.uint8), mask))
    assert formula(tiny_model, denoising, 1).max_difference is None


def test_a_step_outside_is_refused(tiny_model):
    with pytest.raises(UserError, match="step_outside"):
        formula(tiny_model, run(tiny_model), 4)
