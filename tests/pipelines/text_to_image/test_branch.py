"""Branches against the run they come from; several futures of one moment."""

import numpy as np
import pytest
import torch

from pipelines.runtime.errors import UserError
from pipelines.text_to_image import samplers
from pipelines.text_to_image.branch import Change, branch, futures
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings

SMALL = {"steps": 4, "width": 64, "height": 64, "seed": 9}


def run_of(model, **changes):
    *_, run = generate(model, Settings(**{"prompt": "a red apple", **SMALL, **changes}))
    return run


def last(items):
    *_, end = items
    return end


@pytest.mark.parametrize("key", samplers.SAMPLERS)
def test_an_unchanged_branch_at_every_step_is_the_run_to_the_bit(tiny_model, key):
    run = run_of(tiny_model, sampler=key, eta=0.5, batch=2)
    assert len(run.steps) == (7 if key == "heun" else 4)
    for k in range(len(run.steps)):
        again = last(branch(tiny_model, run, k, Change()))
        assert torch.equal(again.latents, run.latents), (key, k)
        assert np.array_equal(again.pictures, run.pictures)
        assert len(again.steps) == len(run.steps)


@pytest.mark.parametrize("key", ["dpmpp_2m", "unipc"])
def test_the_memory_of_a_sampler_is_needed(tiny_model, key):
    """Without it the branch differs: the test above cannot pass by chance."""
    run = run_of(tiny_model, sampler=key)
    forgetful = last(branch(tiny_model, run, 2, Change(noise_seed=1)))
    assert not torch.equal(forgetful.latents, run.latents)
    assert run.steps[2].state.history["lower_order_nums"] == 2


def test_a_branch_of_a_branch_keeps_what_each_step_was_asked(tiny_model):
    run = run_of(tiny_model)
    other = last(branch(tiny_model, run, 2, Change(prompt="一只猫", guidance_scale=6.0)))
    assert [step.settings.prompt for step in other.steps] == ["a red apple"] * 2 + ["一只猫"] * 2
    assert torch.equal(other.steps[1].latents, run.steps[1].latents)
    assert not torch.equal(other.latents, run.latents)
    again = last(branch(tiny_model, other, 3, Change()))
    assert torch.equal(again.latents, other.latents)


def test_a_branch_at_the_first_step_with_a_prompt_is_a_run_with_that_prompt(tiny_model):
    branched = last(branch(tiny_model, run_of(tiny_model), 0, Change(prompt="a cat", guidance_scale=2.0)))
    assert torch.equal(branched.latents, run_of(tiny_model, prompt="a cat", guidance_scale=2.0).latents)


def test_guidance_can_be_switched_off_and_on_in_the_middle(tiny_model):
    run = run_of(tiny_model)
    without = last(branch(tiny_model, run, 2, Change(guidance_scale=1.0)))
    assert [step.output_uncond is None for step in without.steps] == [False, False, True, True]
    again = last(branch(tiny_model, without, 2, Change(guidance_scale=4.0)))
    assert torch.equal(again.latents, run.latents)


@pytest.mark.parametrize("key", samplers.SAMPLERS)
def test_a_sampler_can_take_over_from_any_other(tiny_model, key):
    """From DDIM at step 2 to each one: it starts at the same noise level and ends in a picture."""
    run = run_of(tiny_model)
    taken = last(branch(tiny_model, run, 2, Change(sampler=key)))
    step = taken.steps[2]
    assert step.alpha_bar == pytest.approx(run.steps[2].alpha_bar, rel=0.05 if key == "lcm" else 1e-4)
    if key != "lcm":
        torch.testing.assert_close(step.x_t, run.steps[2].x_t, rtol=1e-4, atol=1e-5)
    assert taken.latents.isfinite().all()
    back = last(branch(tiny_model, taken, 2, Change(sampler="ddim")))
    assert back.settings.sampler == "ddim"


def test_levels_that_differ_are_bridged_along_the_prediction(tiny_epsilon_model):
    """On Stable Diffusion's own schedule DPM++ 2M stands at other timesteps than DDIM."""
    run = run_of(tiny_epsilon_model)
    taken = last(branch(tiny_epsilon_model, run, 1, Change(sampler="dpmpp_2m")))
    before, after = run.steps[1], taken.steps[1]
    assert abs(before.timestep - after.timestep) >= 1
    noise = (after.x_t - after.alpha_bar**0.5 * before.x0) / (1 - after.alpha_bar) ** 0.5
    torch.testing.assert_close(noise, before.eps, rtol=1e-3, atol=1e-3)


def test_fresh_noise_changes_stochastic_and_deterministic_samplers_from_there_on(tiny_model):
    for settings in ({"sampler": "ddpm"}, {"sampler": "ddim"}, {"sampler": "heun"}):
        run = run_of(tiny_model, **settings)
        one, same, other = (last(branch(tiny_model, run, 2, Change(noise_seed=seed))) for seed in (9, 9, 10))
        assert torch.equal(one.latents, same.latents)
        assert not torch.equal(one.latents, other.latents)
        assert not torch.equal(one.latents, run.latents)  # although 9 is the run's own seed
        assert torch.equal(one.steps[1].latents, run.steps[1].latents)


def test_exchanged_noise_keeps_the_prediction_and_the_level(tiny_model):
    run = run_of(tiny_model)
    step = last(branch(tiny_model, run, 2, Change(noise_seed=5))).steps[2]
    noise = (step.x_t - step.alpha_bar**0.5 * run.steps[2].x0) / (1 - step.alpha_bar) ** 0.5
    assert noise.std().item() == pytest.approx(1, abs=0.15)
    assert abs(torch.corrcoef(torch.stack([noise.flatten(), run.steps[2].eps.flatten()]))[0, 1]) < 0.3


def test_a_step_outside_or_a_wrong_change_is_refused(tiny_model, tiny_epsilon_model):
    run = run_of(tiny_model)
    for k in (-1, 4, 10**9, 1.5, "2", None, True):
        with pytest.raises(UserError, match="step_outside"):
            branch(tiny_model, run, k, Change())
    for change, key in (
        (Change(guidance_scale=float("nan")), "setting_guidance_scale"),
        (Change(sampler="magic"), "sampler_unknown"),
        (Change(noise_seed=-1), "setting_noise_seed"),
        (Change(noise_seed=2**64), "setting_noise_seed"),
        (Change(prompt="x" * 10_000_000), "prompt_long"),
        (Change(eta=2), "setting_eta"),
    ):
        with pytest.raises(UserError, match=rf"errors\.{key}\b"):
            branch(tiny_model, run, 1, change)
    with pytest.raises(ValueError, match="tiny-epsilon"):
        branch(tiny_epsilon_model, run, 1, Change())


# Futures


def test_without_noise_all_futures_are_the_run(tiny_model):
    run = run_of(tiny_model)
    found = last(futures(tiny_model, run, 1, eta=0.0))
    assert found.pictures.shape == (4, 64, 64, 3)
    assert all(np.array_equal(picture, found.pictures[0]) for picture in found.pictures)
    assert found.spread.max() == 0
    torch.testing.assert_close(found.latents[:1], run.latents, rtol=1e-4, atol=1e-5)


def test_with_noise_futures_differ_and_are_the_same_again(tiny_model):
    run = run_of(tiny_model)
    one, again, other = (last(futures(tiny_model, run, 1, seed=seed)) for seed in (0, 0, 1))
    assert np.array_equal(one.pictures, again.pictures)
    assert not np.array_equal(one.pictures, other.pictures)
    assert one.spread.max() > 0
    assert not np.array_equal(one.pictures[0], one.pictures[1])
    assert one.latents[1].allclose(other.latents[0], atol=1e-4)  # future i has seed + i


def test_the_predicted_picture_is_the_average_of_the_futures_and_none_of_them(make_gaussian):
    """With a perfect model and eta 1 every step keeps the mean: E[x0-hat at k-1 | x_k] = x0-hat at k, exactly.

    So the mean of N futures is as far from x0-hat as N independent draws around it leave it: 1 / sqrt(N). At eta 0
    there is one future, and its distance from x0-hat does not shrink.
    """
    model = make_gaussian(0.7, 0.5)
    run = run_of(model, steps=20, width=128, height=128, guidance_scale=1.0)
    for k in (0, 10, 18):
        found = last(futures(model, run, k, count=8, eta=1.0))
        assert found.mean_distance / found.distance == pytest.approx(8**-0.5, rel=0.1)
    found = last(futures(model, run, 10, count=8, eta=0.0))
    assert found.mean_distance == pytest.approx(found.distance)


def test_later_futures_differ_less(tiny_model):
    run = run_of(tiny_model)
    early, late = (last(futures(tiny_model, run, k)) for k in (0, 3))
    assert late.distance < early.distance
    assert late.spread.mean() < early.spread.mean()


def test_futures_of_a_picture_of_a_batch_and_of_any_sampler(tiny_model):
    both = run_of(tiny_model, batch=2, sampler="unipc")
    alone = run_of(tiny_model, seed=10, sampler="unipc")
    second = last(futures(tiny_model, both, 2, count=1, eta=0.0, picture=1))
    torch.testing.assert_close(
        second.latents, last(futures(tiny_model, alone, 2, count=1, eta=0.0)).latents, rtol=1e-3, atol=1e-4
    )
    heun = run_of(tiny_model, sampler="heun")
    assert last(futures(tiny_model, heun, 3)).latents.isfinite().all()  # in the middle of one of Heun's steps


def test_futures_refuse_what_makes_no_sense(tiny_model):
    run = run_of(tiny_model)
    for wrong in ({"count": 0}, {"count": 9}, {"eta": 1.5}, {"eta": float("nan")}, {"seed": -1}, {"picture": 1}):
        with pytest.raises(UserError, match="setting_"):
            futures(tiny_model, run, 1, **wrong)
