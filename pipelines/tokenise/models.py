"""VQModel of diffusers with what a picture needs to go in and out of it (arXiv 2012.09841).

A bundled model sees patches, not pixels: its ``in_channels`` are 3 x p x p values of p x p pixels, which keeps the
costly full-resolution convolutions out of it. A published one has 3 channels, that is p = 1.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import VQModel
from torch.nn import functional

from pipelines.runtime.device import Placement
from pipelines.runtime.weights import load_strict, read_safetensors

WEIGHTS = "diffusion_pytorch_model.safetensors"
AT_ONCE = 512  # places a side, at the finest resolution that the network computes at


@dataclass(frozen=True, eq=False)
class TokeniseModel:
    """A loaded VQModel in evaluation mode."""

    id: str
    module: VQModel
    device: str
    dtype: torch.dtype

    @property
    def patch(self) -> int:
        """Side of the patches that the network sees, in pixels."""
        return math.isqrt(self.module.config.in_channels // 3)

    @property
    def cell(self) -> int:
        """Side of the square that one token covers, in pixels."""
        return self.patch * 2 ** (len(self.module.config.block_out_channels) - 1)

    @property
    def tile(self) -> int:
        """Side of the largest square that goes through at once, in pixels, a multiple of ``cell``.

        A published network at 512 px holds 128 channels of every pixel several times over: about 1 GB in float32. The
        bundled ones see patches, so that 4,096 px cost them as much.
        """
        return AT_ONCE * self.patch

    @property
    def codes(self) -> int:
        """Number of entries in the codebook."""
        return self.module.config.num_vq_embeddings


def latents_of(module: VQModel, pictures: torch.Tensor) -> torch.Tensor:
    """Encode without quantising: (B, 3, H, W) in 0..1, sides multiples of the cell, to (B, D, h, w)."""
    patch = math.isqrt(module.config.in_channels // 3)
    return module.encode(functional.pixel_unshuffle(pictures * 2 - 1, patch)).latents


def nearest(module: VQModel, latents: torch.Tensor) -> torch.Tensor:
    """The code nearest to each latent vector: (B, D, h, w) to (B, h, w) int64."""
    vectors = latents.movedim(1, -1)
    distances = torch.cdist(vectors.flatten(0, -2).float(), module.quantize.embedding.weight.float())
    return distances.argmin(dim=1).view(vectors.shape[:-1])


def codes_of(module: VQModel, indices: torch.Tensor) -> torch.Tensor:
    """The codebook's vectors: (B, h, w) int64 to (B, D, h, w)."""
    return module.quantize.embedding(indices).movedim(-1, 1)


def pictures_of(module: VQModel, latents: torch.Tensor) -> torch.Tensor:
    """Decode latents, quantised or not: (B, D, h, w) to (B, 3, H, W) around 0..1, not clamped."""
    patch = math.isqrt(module.config.out_channels // 3)
    decoded = module.decode(latents, force_not_quantize=True).sample
    return functional.pixel_shuffle(decoded, patch) / 2 + 0.5


def load_folder(model_id: str, folder: Path, *, placement: Placement) -> TokeniseModel:
    """Load a diffusers folder (``config.json`` and safetensors) strictly.

    Raises:
        UserError: the weights are missing, altered or do not fit the config.
    """
    module = VQModel.from_config(VQModel.load_config(folder))
    load_strict(module, read_safetensors(folder / WEIGHTS), name=WEIGHTS)
    module = module.to(placement.device).eval().requires_grad_(False)
    if placement.torch_dtype != torch.float32:  # asked for needlessly, diffusers warns of nothing
        module = module.to(placement.torch_dtype)
    return TokeniseModel(model_id, module, placement.device, placement.torch_dtype)


def load(entry, placement: Placement) -> TokeniseModel:
    """Load a bundled model of the catalogue. The runtime calls this under its lock, once a model.

    Raises:
        UserError: as ``load_folder``.
    """
    return load_folder(entry.id, entry.folder, placement=placement)
