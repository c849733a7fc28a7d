"""The loop against diffusers' own pipelines; batches, cancelling, memory, half precision."""

import copy
import dataclasses
import gc
import weakref

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from pipelines.runtime.device import Placement
from pipelines.runtime.errors import Note, UserError
from pipelines.text_to_image import samplers
from pipelines.text_to_image.models import wrap
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings
from pipelines.text_to_image.trace import Denoising, Progress
from tests.pipelines.text_to_image.conftest import make_pipeline

ASKED = Settings("a red apple", negative_prompt="cat", steps=4, width=64, height=64, seed=9)


def draw(model, **changes) -> Denoising:
    *_, run = generate(model, dataclasses.replace(ASKED, **changes))
    return run


def bare_call(model, settings: Settings, *, output_type: str):
    """The pipeline's own call with the same scheduler and seeds."""
    pipeline = copy.copy(model.pipeline)
    pipeline.scheduler = samplers.SAMPLERS[settings.sampler].scheduler.from_config(model.pipeline.scheduler.config)
    images = pipeline(
        settings.prompt,
        negative_prompt=settings.negative_prompt or None,
        num_images_per_prompt=settings.batch,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        eta=settings.eta,
        width=settings.width,
        height=settings.height,
        generator=[torch.Generator().manual_seed(seed) for seed in settings.seeds],
        output_type=output_type,
    ).images
    return images if output_type == "latent" else (images * 255).round().astype(np.uint8)


class CountingUNet(torch.nn.Module):
    """Passes calls on and counts them; raises an error at the calls named."""

    def __init__(self, unet, *, error=None, at: int = 0):
        super().__init__()
        self.unet, self.config, self.dtype = unet, unet.config, unet.dtype
        self.error, self.at, self.calls, self.rows = error, at, 0, []

    def forward(self, x_t, *args, **kwargs):
        self.calls += 1
        self.rows.append(len(x_t))
        if self.error is not None and self.calls == self.at:
            raise self.error
        return self.unet(x_t, *args, **kwargs)


def watched(model, **options):
    """(the model with a UNet that counts, that UNet)."""
    pipeline = copy.copy(model.pipeline)
    pipeline.unet = CountingUNet(model.pipeline.unet, **options)
    return dataclasses.replace(model, pipeline=pipeline), pipeline.unet


# Equality with the library


@pytest.mark.parametrize("guidance_scale", [4.0, 1.0])
@pytest.mark.parametrize("key", samplers.SAMPLERS)
def test_equals_the_pipelines_own_call_to_the_bit(tiny_model, key, guidance_scale):
    settings = dataclasses.replace(ASKED, sampler=key, guidance_scale=guidance_scale, eta=0.5, batch=2)
    *_, run = generate(tiny_model, settings)
    assert torch.equal(run.latents, bare_call(tiny_model, settings, output_type="latent"))


def test_equals_the_pipelines_own_pictures(tiny_model, tiny_epsilon_model):
    for model in (tiny_model, tiny_epsilon_model):
        settings = dataclasses.replace(ASKED, prompt="一只橙色的猫", negative_prompt="", width=72)
        *_, run = generate(model, settings)
        assert run.pictures.dtype == np.uint8
        assert np.array_equal(run.pictures, bare_call(model, settings, output_type="np"))


@pytest.mark.parametrize("changes", [{"negative_prompt": ""}, {"guidance_scale": 0.0}, {"sampler": "heun", "batch": 2}])
def test_equals_the_pipelines_own_call_for_sdxl(tiny_xl_model, changes):
    settings = dataclasses.replace(ASKED, **changes)
    *_, run = generate(tiny_xl_model, settings)
    assert torch.equal(run.latents, bare_call(tiny_xl_model, settings, output_type="latent"))


def test_a_consistency_model_gets_the_guidance_scale_as_an_input(tiny_epsilon_model):
    """It was distilled with guidance inside (arXiv 2310.04378): no second half of the batch."""
    model = wrap("tiny-lcm", make_pipeline(prediction="epsilon", time_cond=8), Placement("cpu", "float32", ""))
    settings = dataclasses.replace(ASKED, sampler="lcm", batch=2)
    *_, run = generate(model, settings)
    assert run.steps[0].output_uncond is None
    assert torch.equal(run.latents, bare_call(model, settings, output_type="latent"))
    assert not torch.equal(run.latents, draw(model, sampler="lcm", batch=2, guidance_scale=8.0).latents)


def test_an_empty_prompt_draws(tiny_model):
    assert draw(tiny_model, prompt="", negative_prompt="").latents.isfinite().all()


def test_a_prompt_longer_than_the_limit_draws_what_its_beginning_says(tiny_model):
    long = "apple " * 300
    assert torch.equal(draw(tiny_model, prompt=long).latents, draw(tiny_model, prompt=long + "cat").latents)


def test_same_seed_same_picture_and_another_seed_another(tiny_model):
    assert np.array_equal(draw(tiny_model).pictures, draw(tiny_model).pictures)
    assert not np.array_equal(draw(tiny_model).pictures, draw(tiny_model, seed=10).pictures)


@pytest.mark.parametrize("key", ["ddim", "ddpm", "dpmpp_2m", "lcm"])
def test_picture_i_of_a_batch_is_the_single_run_with_seed_plus_i(tiny_model, key):
    """Not to the bit: a batch of another size rounds otherwise."""
    both = draw(tiny_model, sampler=key, batch=3, seed=2**64 - 2)
    for number, seed in enumerate((2**64 - 2, 2**64 - 1, 0)):
        alone = draw(tiny_model, sampler=key, seed=seed)
        torch.testing.assert_close(both.latents[number], alone.latents[0], rtol=1e-3, atol=1e-3)


# What is kept


def test_calls_of_the_unet_are_as_few_as_they_can_be(tiny_model):
    """A budget: one call a step with both halves of guidance in it, and none for showing anything."""
    for changes, calls, rows in (
        ({}, 4, 2),
        ({"guidance_scale": 1.0}, 4, 1),
        ({"batch": 3}, 4, 6),
        ({"sampler": "heun"}, 7, 2),
    ):
        model, unet = watched(tiny_model)
        draw(model, **changes)
        assert (unet.calls, set(unet.rows)) == (calls, {rows})


def test_progress_comes_after_each_call_and_the_run_at_the_end(tiny_model):
    *steps, run = generate(tiny_model, ASKED)
    assert all(isinstance(item, Progress) for item in steps)
    assert [(item.index, item.total) for item in steps] == [(k, 4) for k in range(4)]
    assert [item.step.latents is step.latents for item, step in zip(steps, run.steps, strict=True)] == [True] * 4
    assert run.settings == ASKED
    assert set(run.ms) == {"text", "steps", "vae", "total"}
    assert run.ms["total"] >= sum(step.ms for step in run.steps)


def test_wrong_settings_are_refused_before_anything_runs(tiny_model):
    model, unet = watched(tiny_model)
    with pytest.raises(UserError, match="setting_steps"):
        generate(model, dataclasses.replace(ASKED, steps=0))
    assert unet.calls == 0


def test_iterating_leaves_the_callers_torch_as_it_was(tiny_model):
    """Inference mode belongs to the thread: it must not be left on between two items."""
    for _ in generate(tiny_model, ASKED):
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()


# Cancelling, and running out of memory


def test_S03_closing_stops_at_once_and_frees_the_run(tiny_model):
    model, unet = watched(tiny_model)
    items = generate(model, ASKED)
    step = next(items).step
    next(items)
    kept = weakref.ref(step.x0)
    items.close()
    assert unet.calls == 2
    del step
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_S13_out_of_memory_at_step_k_is_a_sentence_frees_and_the_next_run_works(tiny_model, error):
    model, _ = watched(tiny_model, error=error, at=3)
    items = generate(model, ASKED)
    kept = weakref.ref(next(items).step.x0)
    with pytest.raises(UserError, match="out_of_memory") as caught:
        list(items)
    assert caught.value.values == {"call": 3, "width": 64, "height": 64, "batch": 1}
    assert caught.value.__context__ is None  # its trace would hold the run's tensors
    error.__traceback__ = None  # pytest's parameter lives on
    gc.collect()
    assert kept() is None
    assert draw(model).latents.isfinite().all()


def test_another_fault_stays_loud(tiny_model):
    model, _ = watched(tiny_model, error=RuntimeError("shapes do not match"), at=2)
    with pytest.raises(RuntimeError, match="shapes"):
        draw(model)


# Half precision


def half_model():
    return wrap("tiny-half", make_pipeline(), Placement("cpu", "float16", ""))


def test_V13_half_precision_draws_the_same_picture_nearly(tiny_model):
    half = draw(half_model(), sampler="unipc")
    assert half.latents.dtype == torch.float16
    assert half.steps[0].output_cond.dtype == torch.float16
    assert half.repaired == ()
    full = draw(tiny_model, sampler="unipc")
    assert np.abs(half.pictures.astype(int) - full.pictures).mean() < 6


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_V13_what_overflows_in_half_precision_is_redone_in_float32_and_said(part):
    model = half_model()
    layer = model.pipeline.unet.conv_in if part == "unet" else model.pipeline.vae.decoder.layers[0]
    layer.weight.mul_(200_000)  # beyond 65,504 inside; what the part gives out is small again, or clipped
    run = draw(model)
    assert run.repaired == (part,)
    assert f"errors.note_repaired_{part}" in [note.key for note in run.notes]
    assert layer.weight.dtype == torch.float16  # the shared model stays as it is
    assert all(step.output_cond.isfinite().all() for step in run.steps)


def test_schedulers_are_made_anew_for_each_run(tiny_model):
    """Two visitors at once: nothing of a run is kept in the shared model."""
    before = dict(vars(tiny_model.pipeline.scheduler))
    one, two = generate(tiny_model, ASKED), generate(tiny_model, dataclasses.replace(ASKED, steps=7, seed=3))
    for _ in range(3):
        next(one), next(two)
    *_, first = one
    *_, second = two
    assert torch.equal(first.latents, draw(tiny_model).latents)
    assert torch.equal(second.latents, draw(tiny_model, steps=7, seed=3).latents)
    assert vars(tiny_model.pipeline.scheduler) == before
    assert isinstance(tiny_model.pipeline.scheduler, DDIMScheduler)


def test_a_run_says_how_the_model_was_placed(tiny_model):
    note = Note("errors.note_vae_float32")
    placed = dataclasses.replace(tiny_model, plan=dataclasses.replace(tiny_model.plan, notes=(note,)))
    *_, run = generate(placed, Settings("a cat", steps=1, width=64, height=64))
    assert note in run.notes
