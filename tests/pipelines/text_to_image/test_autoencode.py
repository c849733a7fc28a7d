"""The way through the latent space: equal to the autoencoder's own, figures by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipelines.runtime.errors import UserError
from pipelines.text_to_image.autoencode import device_of, fit, fit_to_cells, in_and_out, psnr_db


def ramp(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=2).astype(np.uint8)


def test_it_is_what_the_autoencoder_does(tiny_model):
    passage = in_and_out(tiny_model, ramp(64, 48))
    vae = tiny_model.pipeline.vae
    with torch.inference_mode():
        unit = torch.tensor(ramp(64, 48)).permute(2, 0, 1)[None] / 127.5 - 1
        latents = vae.encode(unit).latents
        pixels = ((vae.decode(latents).sample / 2 + 0.5).clamp(0, 1) * 255).round()
    np.testing.assert_allclose(passage.latents, latents[0] * vae.config.scaling_factor, atol=1e-5)
    assert np.abs(passage.decoded.astype(int) - pixels[0].permute(1, 2, 0).numpy()).max() <= 1
    assert (passage.bytes_picture, passage.bytes_latents) == (64 * 48 * 3, 4 * 8 * 6 * 2)
    assert passage.psnr_db == psnr_db(passage.original, passage.decoded)
    assert set(passage.ms) == {"encode", "decode"}


def test_channels_are_grey_pictures_around_128(tiny_model):
    passage = in_and_out(tiny_model, ramp(64, 64))
    assert passage.channels.dtype == np.uint8 and passage.channels.shape == passage.latents.shape
    np.testing.assert_allclose(
        (passage.channels - 128.0) / 127 * passage.channel_scale, passage.latents, atol=passage.channel_scale / 250
    )
    assert np.abs(passage.channels.astype(int) - 128).max() == 127


def test_difference_is_the_mean_over_colours(tiny_model):
    passage = in_and_out(tiny_model, ramp(64, 64))
    expected = np.abs(passage.decoded.astype(int) - passage.original).mean(axis=2)
    assert np.abs(passage.difference - expected).max() <= 0.5


def test_psnr_by_hand():
    black = np.zeros((4, 4, 3), np.uint8)
    assert psnr_db(black, black) == float("inf")
    assert psnr_db(black, black + 255) == 0
    assert psnr_db(black, black + 1) == pytest.approx(48.13, abs=0.005)  # 20 log10(255)


@pytest.mark.parametrize(
    ("size", "longest", "fitted"),
    [((64, 64), 64, (64, 64)), ((63, 70), 128, (56, 64)), ((640, 480), 64, (64, 48)), ((1000, 200), 128, (128, 24))],
)
def test_whole_cells_and_no_distortion(size, longest, fitted):
    assert fit_to_cells(ramp(*size), longest_px=longest, cell_px=8).shape[:2] == fitted


def test_a_small_picture_keeps_its_pixels():
    np.testing.assert_array_equal(fit_to_cells(ramp(70, 66), longest_px=128, cell_px=8), ramp(70, 66)[3:67, 1:65])


def test_too_narrow_is_refused():
    with pytest.raises(UserError) as caught:
        fit_to_cells(ramp(2000, 100), longest_px=128, cell_px=8)
    assert caught.value.key == "errors.latents_too_narrow" and caught.value.values["least"] == 16


def test_fit_crops_the_middle():
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 200
    assert (fit(wide, width=10, height=10) == 200).all()


def test_an_offloaded_autoencoder_computes_where_its_hook_says():
    hook = SimpleNamespace(execution_device="cuda:0")
    assert device_of(SimpleNamespace(_hf_hook=hook, device="cpu")) == torch.device("cuda:0")
    assert device_of(SimpleNamespace(device=torch.device("cpu"))) == torch.device("cpu")
