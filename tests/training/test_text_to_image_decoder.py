import copy

import diffusers
import pytest
import torch

from tests.pipelines.text_to_image.conftest import make_pipeline
from training.text_to_image_decoder import main
from training.text_to_image_model import save_pipeline


@pytest.fixture
def painter(tmp_path):
    """A pipeline's folder and the autoencoder it was made with."""
    pipeline = make_pipeline()
    save_pipeline(pipeline, tmp_path / "painter")
    return tmp_path / "painter", pipeline.vae


def changed(vae, part: str):
    other = copy.deepcopy(vae)
    with torch.no_grad():
        for parameter in getattr(other, part).parameters():
            parameter.add_(0.1)
    return other


def test_a_new_decoder_draws_the_same_latents_otherwise(painter, tmp_path):
    folder, vae = painter
    other = changed(vae, "decoder")
    other.save_pretrained(tmp_path / "vae")
    main(["--pipeline", str(folder), "--vae", str(tmp_path / "vae"), "--out", str(tmp_path / "new")])
    old, new = (
        diffusers.StableDiffusionPipeline.from_pretrained(path, dtype=torch.float32, use_safetensors=True)
        for path in (folder, tmp_path / "new")
    )
    settings = {"num_inference_steps": 2, "output_type": "latent"}
    latents = [one("a", generator=torch.Generator().manual_seed(0), **settings).images for one in (old, new)]
    assert torch.equal(*latents)
    with torch.inference_mode():
        expected = other.decode(latents[0] / other.config.scaling_factor).sample
        torch.testing.assert_close(new.vae.decode(latents[0] / 0.9).sample, expected, rtol=0.02, atol=0.02)
        assert not torch.allclose(old.vae.decode(latents[0] / 0.9).sample, expected, atol=0.02)


@pytest.mark.parametrize("what", ["encoder", "scale"])
def test_another_encoder_or_scale_is_refused(painter, tmp_path, what):
    folder, vae = painter
    other = changed(vae, "encoder") if what == "encoder" else copy.deepcopy(vae)
    if what == "scale":
        other.register_to_config(scaling_factor=0.8)
    other.save_pretrained(tmp_path / "vae")
    before = (folder / "model_index.json").stat().st_mtime_ns
    with pytest.raises(ValueError, match="differ"):
        main(["--pipeline", str(folder), "--vae", str(tmp_path / "vae"), "--out", str(folder)])
    assert (folder / "model_index.json").stat().st_mtime_ns == before
