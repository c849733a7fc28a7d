"""Real VQModels, small enough to answer in milliseconds, with random weights of a fixed seed."""

import numpy as np
import pytest

pytest.importorskip("diffusers", reason="requirements.txt is not installed: no diffusers")

import torch
from diffusers import VQModel

from pipelines.tokenise.models import TokeniseModel


def make_vq(*, codes: int = 32, levels: int = 2, seed: int = 0) -> VQModel:
    """Patches of 4 px; two levels: 8 px a token. Fresh codes lie within 1 / codes: latents too are that small."""
    torch.manual_seed(seed)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * levels, "up_block_types": ("UpDecoderBlock2D",) * levels}
    sizes = {"block_out_channels": (16,) * levels, "latent_channels": 8, "num_vq_embeddings": codes, "vq_embed_dim": 4}
    module = VQModel(48, 48, **blocks, **sizes, norm_num_groups=8, mid_block_add_attention=False).eval()
    module.quantize.embedding.weight.data.mul_(codes)
    return module.requires_grad_(False)


def make_model(model_id: str = "tiny", **kwargs) -> TokeniseModel:
    """``make_vq`` as the app holds it."""
    return TokeniseModel(model_id, make_vq(**kwargs), "cpu", torch.float32)


def make_picture(height: int = 48, width: int = 64, *, seed: int = 0) -> np.ndarray:
    """Soft waves in colour with a little noise, (H, W, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 9 + phase) * np.cos(y / 7 + seed) for phase in (0, 1, 2)], axis=2)
    noise = np.random.default_rng(seed).normal(0, 8, waves.shape)
    return np.clip(127 + 100 * waves + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def tiny_model() -> TokeniseModel:
    """32 codes, 8 px a token."""
    return make_model()
