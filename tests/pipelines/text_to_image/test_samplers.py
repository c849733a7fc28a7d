"""The eight samplers against closed forms on a Gaussian, where the perfect model is known; their memory and levels."""

import dataclasses
import itertools

import pytest
import torch
from diffusers import DDIMScheduler, HeunDiscreteScheduler

from pipelines.runtime.errors import UserError
from pipelines.text_to_image import samplers
from pipelines.text_to_image.guidance import mix
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings

MEAN, STD = 0.7, 0.5
DETERMINISTIC = ("ddim", "euler", "heun", "dpmpp_2m", "unipc")


def draw(model, **settings):
    settings = {"guidance_scale": 1.0, "width": 64, "height": 64, "seed": 1} | settings
    *_, run = generate(model, Settings("", **settings))
    return run


def probability_flow(run) -> torch.Tensor:
    """Where the exact flow takes x_T: its number of standard deviations stays (arXiv 2011.13456, section 4.3).

    x_t = sqrt(a) mean + sqrt(a std^2 + 1 - a) z, with the same z at every t; a = 1 at the end.
    """
    first = run.steps[0]
    alpha_bar = first.alpha_bar
    z = (first.x_t - alpha_bar**0.5 * MEAN) / (alpha_bar * STD**2 + 1 - alpha_bar) ** 0.5
    return MEAN + STD * z


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
@pytest.mark.parametrize("key", DETERMINISTIC)
def test_deterministic_samplers_approach_the_exact_flow(make_gaussian, key, prediction):
    model = make_gaussian(MEAN, STD, prediction=prediction)
    errors = []
    for steps in (15, 60):
        run = draw(model, sampler=key, steps=steps)
        errors.append((run.latents - probability_flow(run)).square().mean().sqrt().item())
    assert errors[1] < errors[0] / 2.5  # four times the steps
    assert errors[1] < (0.03 if key in ("ddim", "euler") else 0.02)


def test_samplers_of_second_order_need_fewer_calls(make_gaussian):
    """20 steps; Heun's are 39 calls."""
    model = make_gaussian(MEAN, STD)
    error = {}
    for key in DETERMINISTIC:
        run = draw(model, sampler=key, steps=20)
        error[key] = (run.latents - probability_flow(run)).square().mean().sqrt().item()
    assert max(error[key] for key in ("heun", "dpmpp_2m", "unipc")) < 0.75 * error["ddim"]
    assert error["euler"] == pytest.approx(error["ddim"], rel=0.02)  # the same step in other variables


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_ddim_on_a_gaussian_is_a_line_that_can_be_worked_out_by_hand(make_gaussian, eta):
    """Every step maps x to A x + B + C noise: mean and variance of the end follow exactly."""
    run = draw(make_gaussian(MEAN, STD), steps=20, eta=eta, batch=4)
    mean, variance = 0.0, 1.0
    alpha_bars = [step.alpha_bar for step in run.steps] + [1.0]
    for now, after in itertools.pairwise(alpha_bars):
        whole = now * STD**2 + 1 - now
        sigma = eta * ((1 - after) / (1 - now) * (1 - now / after)) ** 0.5
        gain_x0, gain_eps = now**0.5 * STD**2 / whole, (1 - now) ** 0.5 / whole
        direction = (1 - after - sigma**2) ** 0.5
        gain = after**0.5 * gain_x0 + direction * gain_eps
        offset = after**0.5 * (MEAN - gain_x0 * now**0.5 * MEAN) - direction * gain_eps * now**0.5 * MEAN
        mean, variance = gain * mean + offset, gain**2 * variance + sigma**2
    if eta == 0:  # no noise on the way: the end is that line at x_T
        torch.testing.assert_close(run.latents, mean + variance**0.5 * run.steps[0].x_t, rtol=1e-3, atol=1e-3)
    count = run.latents.numel()
    assert run.latents.mean().item() == pytest.approx(mean, abs=4 * (variance / count) ** 0.5)
    assert run.latents.var().item() == pytest.approx(variance, rel=4 * (2 / count) ** 0.5)


@pytest.mark.parametrize("key", ["ddpm", "euler_a"])
def test_stochastic_samplers_reach_mean_and_deviation(make_gaussian, key):
    run = draw(make_gaussian(MEAN, STD), sampler=key, steps=100, batch=4)
    error = 4 * STD / run.latents.numel() ** 0.5
    assert run.latents.mean().item() == pytest.approx(MEAN, abs=error)
    assert run.latents.std().item() == pytest.approx(STD, rel=0.1)
    # Their end has little to do with where they began: new noise came in on the way.
    start = run.steps[0].x_t
    assert abs(torch.corrcoef(torch.stack([run.latents.flatten(), start.flatten()]))[0, 1]) < 0.3


def test_one_step_of_lcm_is_the_mean_of_all_pictures(make_gaussian):
    """From pure noise the best single guess is the mean."""
    run = draw(make_gaussian(MEAN, STD), sampler="lcm", steps=1)
    torch.testing.assert_close(run.latents, torch.full_like(run.latents, MEAN), rtol=0, atol=2e-3)


def test_guidance_moves_the_mean_past_the_prompts(make_gaussian):
    """Two Gaussians of one width: w (cond - uncond) in eps moves the mean to m_0 + w (m_1 - m_0)."""
    model = make_gaussian(MEAN, STD, uncond_mean=-0.2)
    run = draw(model, sampler="heun", steps=60, guidance_scale=3.0)
    expected = probability_flow(run) - MEAN + (-0.2 + 3 * (MEAN + 0.2))
    torch.testing.assert_close(run.latents, expected, rtol=0.03, atol=0.06)


@pytest.mark.parametrize("key", samplers.SAMPLERS)
def test_levels_are_those_of_the_latents(make_gaussian, key):
    """At every call x_t = sqrt(a) x0 + sqrt(1 - a) eps holds with the recorded a: also between Heun's two calls."""
    run = draw(make_gaussian(MEAN, STD), sampler=key, steps=20, batch=4)
    for step in run.steps:
        torch.testing.assert_close(mix(step.x0, step.eps, alpha_bar=step.alpha_bar), step.x_t, rtol=1e-3, atol=1e-3)
        assert step.sigma**2 == pytest.approx((1 - step.alpha_bar) / step.alpha_bar)
        deviation = (step.alpha_bar * STD**2 + 1 - step.alpha_bar) ** 0.5
        assert step.x_t.std().item() == pytest.approx(deviation, rel=0.3 if key == "lcm" else 0.15)
    sigmas = [step.sigma for step in run.steps[:: samplers.SAMPLERS[key].calls]]
    assert sigmas == sorted(sigmas, reverse=True)


@pytest.mark.parametrize("key", samplers.SAMPLERS)
def test_made_from_the_models_own_schedule(tiny_model, tiny_epsilon_model, key):
    for model in (tiny_model, tiny_epsilon_model):
        scheduler = samplers.create(model, key, 10)
        assert scheduler.config.prediction_type == model.prediction
        torch.testing.assert_close(scheduler.alphas_cumprod, model.pipeline.scheduler.alphas_cumprod)
        assert len(scheduler.timesteps) == (19 if key == "heun" else 10)
    assert samplers.create(tiny_model, key, 10).timesteps[0] == 999  # trailing: from pure noise


@pytest.mark.parametrize("key", samplers.SAMPLERS)
def test_memory_put_into_a_new_sampler_goes_on_as_the_old_one(tiny_model, key):
    """Both are then fed the same numbers; what was captured does not change while the old one goes on."""
    generators = samplers.create_generators((3, 4))
    old, x = samplers.create(tiny_model, key, 5), torch.ones(2, 4, 2, 2)
    states = []
    for timestep in old.timesteps[:3]:
        old.scale_model_input(x, timestep)
        x = old.step(x * 0.1, timestep, x, **samplers.step_options(key, eta=1.0, generators=generators)).prev_sample
    states = samplers.capture(old, generators), samplers.capture(old, generators)
    ends = []
    for scheduler, noise in ((old, generators), *((samplers.create(tiny_model, key, 5), None) for _ in states)):
        if noise is None:
            noise = samplers.restore(scheduler, states[len(ends) - 1], device="cpu")
        y = x
        for timestep in scheduler.timesteps[3:]:
            scheduler.scale_model_input(y, timestep)
            options = samplers.step_options(key, eta=1.0, generators=noise)
            y = scheduler.step(y * 0.1, timestep, y, **options).prev_sample
        ends.append(y)
    assert torch.equal(ends[0], ends[1])
    assert torch.equal(ends[0], ends[2])


def test_noise_is_drawn_on_the_cpu_from_each_pictures_own_seed():
    one, two = samplers.create_generators((2**64 - 1, 0))
    assert one.device.type == "cpu"
    assert one.initial_seed() == 2**64 - 1
    assert two.initial_seed() == 0


def test_where_lcm_applies_is_said(tiny_model):
    assert samplers.why_not("lcm", tiny_model, steps=51).values == {"steps": 51, "most": 50}
    with pytest.raises(UserError, match="sampler_lcm_steps"):
        samplers.check("lcm", tiny_model, steps=51)
    assert [note.key for note in samplers.check("lcm", tiny_model, steps=50)] == ["errors.note_lcm_not_distilled"]
    assert samplers.check("lcm", dataclasses.replace(tiny_model, few_step=True), steps=4) == ()


@pytest.mark.parametrize("steps", [6, 10])
def test_heun_does_not_overshoot_from_pure_noise(make_gaussian, steps):
    """diffusers' own does: its x_t has a deviation of 1.6 in the middle of 6 steps, where 1 is right."""
    run = draw(make_gaussian(MEAN, STD), sampler="heun", steps=steps, batch=4)
    for step in run.steps:
        expected = (step.alpha_bar * STD**2 + 1 - step.alpha_bar) ** 0.5
        assert step.x_t.std().item() == pytest.approx(expected, rel=0.12)
    assert run.steps[0].sigma == pytest.approx(80)


def test_heun_is_diffusers_own_on_stable_diffusions_schedule(tiny_epsilon_model):
    ours = samplers.create(tiny_epsilon_model, "heun", 10)
    theirs = HeunDiscreteScheduler.from_config(tiny_epsilon_model.pipeline.scheduler.config)
    theirs.set_timesteps(10)
    assert torch.equal(ours.sigmas, theirs.sigmas)
    assert ours.init_noise_sigma == theirs.init_noise_sigma


def test_euler_ancestral_refuses_models_that_predict_the_picture(make_gaussian):
    model = make_gaussian(MEAN, STD, prediction="sample")
    with pytest.raises(UserError, match="sampler_prediction"):
        samplers.check("euler_a", model, steps=10)
    for key in samplers.SAMPLERS.keys() - {"euler_a"}:
        assert samplers.why_not(key, model, steps=10) is None


def test_a_schedule_that_ends_in_pure_noise_has_finite_levels(tiny_model):
    config = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "prediction_type": "v_prediction"}
    scheduler = DDIMScheduler(**config)
    scheduler.set_timesteps(5)
    assert scheduler.alphas_cumprod[-1] == 0
    assert samplers.levels(scheduler)[0].sigma == pytest.approx(2**12)
