"""Loading: a saved folder draws what the pipeline drew that was saved; the bundled one is of the promised kind."""

import dataclasses

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from pipelines.runtime.catalogue import read_catalogue
from pipelines.runtime.device import CPU
from pipelines.text_to_image import models
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings
from tests.pipelines.text_to_image.conftest import make_pipeline
from training.text_to_image_model import save_pipeline

BUNDLED = next(entry for entry in read_catalogue().of_topic("text_to_image") if entry.origin == "bundled")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "saved"
    save_pipeline(make_pipeline(), path)
    return path


@pytest.fixture(scope="module")
def entry(folder):
    """The catalogue's entry of the bundled model, its files elsewhere."""
    return dataclasses.replace(BUNDLED, id="saved", folder=folder, weights=folder / "model_index.json")


def test_a_folder_draws_what_diffusers_draws_from_it(entry, folder):
    model = models.load(entry, CPU)
    *_, run = generate(model, Settings("a red apple", steps=3, width=64, height=64))
    pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, safety_checker=None)
    expected = pipeline(
        "a red apple",
        num_inference_steps=3,
        guidance_scale=4.0,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    ).images
    assert np.array_equal(run.pictures, (expected * 255).round().astype(np.uint8))


def test_what_sampling_needs_to_know_is_read_off(entry, tiny_xl_model, tiny_epsilon_model):
    model = models.load(entry, CPU)
    assert (model.id, model.family, model.device, model.dtype) == ("saved", "sd", "cpu", torch.float32)
    assert (model.latent_channels, model.scale, model.default_px, model.max_px) == (4, 8, 64, 128)
    assert (model.prediction, model.few_step) == ("v_prediction", False)
    assert (tiny_xl_model.family, tiny_epsilon_model.prediction) == ("sdxl", "epsilon")
    parts = [part for part in model.pipeline.components.values() if isinstance(part, torch.nn.Module)]
    assert not any(part.training or any(p.requires_grad for p in part.parameters()) for part in parts)


def test_a_distilled_model_starts_with_few_steps_and_no_guidance(entry):
    model = models.load(dataclasses.replace(entry, id="sd-turbo"), CPU)
    assert model.few_step
    assert model.default_steps <= 4
    assert model.default_guidance <= 1


def test_the_bundled_model_is_of_the_promised_kind():
    model = models.load(BUNDLED, CPU)
    assert type(model.pipeline) is StableDiffusionPipeline
    assert (model.default_px, model.default_steps, model.prediction) == (128, 20, "v_prediction")
    *_, run = generate(model, Settings("一个红苹果", steps=2))
    assert run.pictures.shape == (1, 128, 128, 3)
    assert run.pictures.std() > 1
