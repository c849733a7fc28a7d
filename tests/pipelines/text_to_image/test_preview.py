"""Previews: a linear decoder found again exactly, better than flat cells; a tiny autoencoder read from its folder."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch.nn import functional

from pipelines.runtime.catalogue import MODELS
from pipelines.runtime.device import CPU
from pipelines.text_to_image import autoencode, preview
from tests.pipelines.text_to_image.conftest import make_vae

BUNDLED = MODELS / "text_to_image" / "lucida" / "vae"


def test_a_linear_decoder_is_found_again():
    torch.manual_seed(1)
    true = preview.LinearDecoder(4, 8)
    latents = torch.randn(6, 4, 8, 8)
    found = preview.fit(latents, true(latents)).module
    others = torch.randn(2, 4, 5, 7)
    torch.testing.assert_close(found(others), true(others), atol=0.01, rtol=0)


def test_it_is_nearer_to_the_bundled_autoencoder_than_a_colour_a_cell():
    """Flat cells with the true mean colours are the best that a map from one latent to one colour could reach."""
    vae = AutoencoderTiny.from_pretrained(BUNDLED, use_safetensors=True, dtype=torch.float32)
    latents = autoencode.encode_mean(vae, preview.made_up_pictures(2 * preview.FIT_PICTURES, 96)[-6:])
    decoded = autoencode.decode(vae, latents)
    flat = functional.interpolate(functional.avg_pool2d(decoded, 8), scale_factor=8)
    drawn = preview.for_pipeline(SimpleNamespace(vae=vae)).module(latents)
    assert (drawn - decoded).square().mean() < 0.85 * (flat - decoded).square().mean()


def test_a_picture_comes_out_whatever_goes_in(tiny_model):
    assert tiny_model.preview.kind == "linear"
    latents = torch.randn(2, 4, 6, 9) * 50
    latents[0, 0, 0, 0] = float("nan")
    shown = tiny_model.preview(latents)
    assert shown.shape == (2, 48, 72, 3) and shown.dtype == np.uint8
    np.testing.assert_array_equal(tiny_model.preview(latents.half())[1].shape, (48, 72, 3))
    assert (shown[0, 0, 0] == 128).all()  # NaN is shown grey, not black


def test_half_precision_autoencoder_is_fitted_and_left_as_it_is():
    vae = make_vae().half()
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    drawn = preview.for_pipeline(SimpleNamespace(vae=vae))
    assert drawn.module.patches.weight.isfinite().all() and vae.dtype == torch.float16
    assert all(torch.equal(value, before[name]) for name, value in vae.state_dict().items())


def test_an_autoencoder_with_a_distribution_is_fitted_too():
    torch.manual_seed(2)
    vae = AutoencoderKL(block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=4, latent_channels=4)  # fmt: skip
    assert preview.for_pipeline(SimpleNamespace(vae=vae)).module.scale == 8


def test_a_tiny_autoencoder_of_a_folder(tmp_path):
    torch.manual_seed(3)
    tiny = make_vae().eval()
    tiny.save_pretrained(tmp_path)
    loaded = preview.load(SimpleNamespace(folder=tmp_path), CPU)
    latents = torch.randn(1, 4, 6, 6)
    with torch.inference_mode():
        expected = autoencode.to_uint8(tiny.decode(latents / tiny.config.scaling_factor).sample)
    assert loaded.kind == "tiny"
    np.testing.assert_array_equal(loaded(latents), expected)


@pytest.mark.parametrize(
    ("state", "px", "kind"), [("ready", 512, "tiny"), ("download", 512, "linear"), ("ready", 128, "linear")]
)
def test_the_tiny_one_is_taken_where_it_is_here(tiny_model, state, px, kind):
    runtime = SimpleNamespace(
        catalogue=SimpleNamespace(entries=(SimpleNamespace(id="taesd"),)),
        availability=lambda entry: SimpleNamespace(state=state),
        load=lambda model_id: preview.Preview("tiny", tiny_model.preview.module),
    )
    model = replace(tiny_model, default_px=px)
    assert preview.with_tiny(model, runtime).preview.kind == kind
    assert preview.with_tiny(replace(model, family="sdxl"), runtime).preview.kind == "linear"  # not in the catalogue
