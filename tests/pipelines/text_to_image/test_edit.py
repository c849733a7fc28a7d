"""Image to image and inpainting: equal to diffusers' own pipelines, and nothing outside the mask changes."""

import warnings

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from PIL import Image

from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.text_to_image import edit, samplers
from pipelines.text_to_image.branch import Change, branch, futures
from pipelines.text_to_image.models import wrap
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.samplers import SAMPLERS
from pipelines.text_to_image.settings import Settings
from tests.pipelines.text_to_image.conftest import make_pipeline

PX = 64


def picture(seed: int = 0, size=(PX, PX)) -> np.ndarray:
    """(H, W, 3) uint8, any colours."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def square_mask() -> np.ndarray:
    """The middle, along the latent cells."""
    mask = np.zeros((PX, PX), bool)
    mask[16:48, 24:56] = True
    return mask


def settings(**changes) -> Settings:
    return Settings(**{"prompt": "a red apple", "steps": 5, "width": PX, "height": PX, "seed": 11, **changes})


def run(model, asked: Settings, how: edit.Edit):
    *_, denoising = generate(model, asked, edit=how)
    return denoising


def reference(cls, model, asked: Settings, pixels: np.ndarray, **more) -> torch.Tensor:
    """Final latents (B, C, h, w) of a diffusers pipeline made of the same parts."""
    components = model.pipeline.components
    pipeline = cls(**components, requires_safety_checker=False)
    pipeline.scheduler = samplers.create(model, asked.sampler, asked.steps)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        prompt=[asked.prompt] * asked.batch,
        negative_prompt=[asked.negative_prompt] * asked.batch,
        image=[Image.fromarray(pixels)] * asked.batch,
        strength=asked.strength,
        num_inference_steps=asked.steps,
        guidance_scale=asked.guidance_scale,
        generator=samplers.create_generators(asked.seeds),
        output_type="latent",
        **more,
    ).images


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_image_to_image_equals_diffusers(tiny_model, sampler):
    asked = settings(sampler=sampler, strength=0.7, batch=2)
    expected = reference(StableDiffusionImg2ImgPipeline, tiny_model, asked, picture())
    denoising = run(tiny_model, asked, edit.Edit("image", picture()))
    torch.testing.assert_close(denoising.latents, expected, atol=1e-5, rtol=1e-5)
    assert len(denoising.steps) == (3 if sampler != "heun" else 5)


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_image_to_image_at_other_strengths(tiny_epsilon_model, strength):
    asked = settings(strength=strength, steps=4, guidance_scale=1.0)
    expected = reference(StableDiffusionImg2ImgPipeline, tiny_epsilon_model, asked, picture())
    denoising = run(tiny_epsilon_model, asked, edit.Edit("image", picture()))
    torch.testing.assert_close(denoising.latents, expected, atol=1e-5, rtol=1e-5)


def test_an_autoencoder_with_a_distribution_draws_as_in_diffusers():
    pipeline = make_pipeline()
    torch.manual_seed(4)
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=4, latent_channels=4,
    )  # fmt: skip
    pipeline.register_modules(vae=vae)
    model = wrap("tiny-kl", pipeline, CPU)
    asked = settings(strength=0.5, batch=2, sampler="euler_a")
    expected = reference(StableDiffusionImg2ImgPipeline, model, asked, picture())
    denoising = run(model, asked, edit.Edit("image", picture()))
    torch.testing.assert_close(denoising.latents, expected, atol=1e-5, rtol=1e-5)
    first, second = denoising.start.original
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("sampler", "strength"), [("ddim", 0.8), ("ddpm", 1.0), ("euler", 0.8), ("heun", 0.8), ("unipc", 1.0)]
)
def test_inpainting_equals_diffusers_before_the_pixels_are_laid_back(tiny_model, sampler, strength):
    asked = settings(sampler=sampler, strength=strength)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = reference(
            StableDiffusionInpaintPipeline, tiny_model, asked, picture(),
            mask_image=Image.fromarray(square_mask()), width=PX, height=PX,
        )  # fmt: skip
    denoising = run(tiny_model, asked, edit.Edit("inpaint", picture(), square_mask()))
    torch.testing.assert_close(denoising.latents, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_inpainting_leaves_the_rest_untouched_to_the_pixel(tiny_model, sampler):
    mask = np.zeros((PX, PX), bool)
    mask[21:30, 13:40] = True  # crosses latent cells
    denoising = run(tiny_model, settings(sampler=sampler, steps=3, batch=2), edit.Edit("inpaint", picture(), mask))
    for drawn in denoising.pictures:
        np.testing.assert_array_equal(drawn[~mask], picture()[~mask])
        assert (drawn[mask] != picture()[mask]).any()
    kept = denoising.start.mask[0, 0] == 0
    assert torch.equal(denoising.latents[0][:, kept], denoising.start.original[0][:, kept])


@pytest.mark.parametrize("sampler", ["ddpm", "euler_a", "heun", "unipc"])
def test_an_unchanged_branch_of_an_edited_run_is_the_run(tiny_model, sampler):
    denoising = run(tiny_model, settings(sampler=sampler, strength=0.6), edit.Edit("inpaint", picture(), square_mask()))
    for k in range(len(denoising.steps)):
        *_, again = branch(tiny_model, denoising, k, Change())
        np.testing.assert_array_equal(again.pictures, denoising.pictures)


def test_futures_of_an_inpainting_keep_the_rest(tiny_model):
    how = edit.Edit("inpaint", picture(), square_mask())
    denoising = run(tiny_model, settings(batch=2, strength=0.8), how)
    *_, fan = futures(tiny_model, denoising, 1, count=3, eta=1.0, seed=4, picture=1)
    for drawn in fan.pictures:
        np.testing.assert_array_equal(drawn[~how.mask], picture()[~how.mask])
    assert (fan.pictures[0] != fan.pictures[1]).any()


def test_a_mask_over_everything_is_text_to_image(tiny_model):
    asked = settings(sampler="euler_a")
    *_, plain = generate(tiny_model, asked)
    denoising = run(tiny_model, asked, edit.Edit("inpaint", picture(), np.ones((PX, PX), bool)))
    np.testing.assert_array_equal(denoising.pictures, plain.pictures)


def test_first_call_is_the_arithmetic_of_diffusers(tiny_model):
    components = tiny_model.pipeline.components
    pipeline = StableDiffusionImg2ImgPipeline(**components, requires_safety_checker=False)
    for steps in (1, 3, 10, 29, 100):
        for strength in (0.01, 0.1, 0.29, 0.3, 0.57, 0.999, 1.0):
            scheduler = pipeline.scheduler = samplers.create(tiny_model, "heun", steps)
            timesteps, left = pipeline.get_timesteps(steps, strength, "cpu")
            if left == 0:
                with pytest.raises(UserError) as caught:
                    edit.first_call(scheduler, steps, strength=strength)
                assert caught.value.key == "errors.edit_no_steps"
                # the strength that the sentence names does work
                assert edit.first_call(scheduler, steps, strength=float(caught.value.values["least"])) >= 0
            else:
                begin = edit.first_call(scheduler, steps, strength=strength)
                assert torch.equal(scheduler.timesteps[begin:], timesteps)


def test_a_latent_is_painted_anew_when_any_of_its_pixels_is():
    mask = np.zeros((24, 16), bool)
    mask[8, 7] = True
    assert edit.latent_mask(mask, 8)[0, 0].tolist() == [[0, 0], [1, 0], [0, 0]]


def test_create_fits_picture_and_mask_alike():
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 150:] = 255  # right half white
    made = edit.create("inpaint", pixels, width=128, height=128, mask=pixels[..., 0])
    assert made.pixels.shape == (128, 128, 3) and made.mask.shape == (128, 128)
    np.testing.assert_array_equal(made.mask[:, :63], False)
    np.testing.assert_array_equal(made.mask[:, 65:], True)
    assert made.pixels[64, 70:].min() > 200 and made.pixels[64, :58].max() < 60
    same = picture()
    assert edit.create("image", same, width=PX, height=PX).pixels is same


def test_a_thin_stroke_survives_shrinking():
    mask = np.zeros((1000, 1000), bool)
    mask[500, 300:700] = True
    made = edit.create("inpaint", picture(size=(1000, 1000)), width=PX, height=PX, mask=mask)
    assert made.mask.any(axis=0).sum() >= 25


@pytest.mark.parametrize(
    ("kind", "mask", "key"),
    [
        ("sketch", None, "errors.edit_kind"),
        (7, None, "errors.edit_kind"),
        ("inpaint", None, "errors.edit_mask_empty"),
        ("inpaint", np.zeros((PX, PX), bool), "errors.edit_mask_empty"),
        ("inpaint", np.ones((PX, 2 * PX), bool), "errors.edit_mask_size"),
    ],
)
def test_refused(kind, mask, key):
    with pytest.raises(UserError) as caught:
        edit.create(kind, picture(), width=PX, height=PX, mask=mask)
    assert caught.value.key == key


def test_a_mask_on_the_margin_that_is_cropped_is_empty():
    mask = np.zeros((PX, 4 * PX), bool)
    mask[:, :8] = True
    with pytest.raises(UserError, match="edit_mask_empty"):
        edit.create("inpaint", picture(size=(PX, 4 * PX)), width=PX, height=PX, mask=mask)


def test_a_picture_of_another_size_is_our_bug(tiny_model):
    with pytest.raises(ValueError, match="64 x 64"):
        run(tiny_model, settings(), edit.Edit("image", picture(size=(PX, 2 * PX))))
