"""VQModel of diffusers with what a picture needs to go in and out of it (arXiv 2012.09841).

A bundled model sees patches, not pixels: its ``in_channels`` are 3 x p x p values of p x p pixels, which keeps the
costly full-resolution convolutions out of it. A published one has 3 channels, that is p = 1: LDM's f4 and f8, taming's
f16, aMUSEd's, and MoVQ, whose decoder looks at the codes again in every norm (2209.09002). One way in and out for all.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import VQModel
from torch.nn import functional

from pipelines.runtime.catalogue import read_catalogue
from pipelines.runtime.device import Placement
from pipelines.runtime.errors import UserError
from pipelines.runtime.vq_files import ORIGINAL, read_config
from pipelines.runtime.weights import PICKLES, load_strict, read_published_pickle, read_safetensors
from pipelines.tokenise import taming
from pipelines.tokenise.speed import optimise

WEIGHTS = "diffusion_pytorch_model.safetensors"
AT_ONCE = 512  # places a side, at the finest resolution that the network computes at
ATTENDED = 64  # places a side that look at each other at once: 64^4 pairs
# What diffusers called the parts of an attention block in 2022; its loader renames them in the same way.
RENAMED = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


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
    def attends(self) -> int | None:
        """Side of the finest square that attention compares with all others, in pixels; None: no attention."""
        config = self.module.config
        blocks = (*config.down_block_types, *reversed(config.up_block_types))
        levels = [place % len(config.down_block_types) for place, name in enumerate(blocks) if "Attn" in name]
        if config.mid_block_add_attention:
            levels.append(len(config.block_out_channels) - 1)
        return self.patch * 2 ** min(levels) if levels else None

    @property
    def tile(self) -> int:
        """Side of the largest square that goes through at once, in pixels, a multiple of ``cell``.

        A published network at 512 px holds 128 channels of every pixel several times over: about 1 GB in float32. The
        bundled ones see patches, so that 4,096 px cost them as much. Attention costs the fourth power of the side.
        """
        side = AT_ONCE * self.patch
        if self.attends is not None:
            side = min(side, ATTENDED * self.attends)
        return max(self.cell, side - side % self.cell)

    @property
    def codes(self) -> int:
        """Number of entries in the codebook."""
        return self.module.config.num_vq_embeddings


def latents_of(module: VQModel, pictures: torch.Tensor) -> torch.Tensor:
    """Encode without quantising: (B, 3, H, W) in 0..1, sides multiples of the cell, to (B, D, h, w)."""
    patch = math.isqrt(module.config.in_channels // 3)
    return module.encode(functional.pixel_unshuffle(pictures * 2 - 1, patch)).latents


def nearest(module: VQModel, latents: torch.Tensor) -> torch.Tensor:
    """The code nearest to each latent vector: (B, D, h, w) to (B, h, w) int64.

    ``module.quantize`` finds the same, but gives its indices in one row (``sane_index_shape`` is False in VQModel).
    Its loss is not used: with ``legacy``, the default, the commitment weight stands at the wrong term.
    """
    vectors = latents.movedim(1, -1)
    distances = torch.cdist(vectors.flatten(0, -2).float(), module.quantize.embedding.weight.float())
    return distances.argmin(dim=1).view(vectors.shape[:-1])


def codes_of(module: VQModel, indices: torch.Tensor) -> torch.Tensor:
    """The codebook's vectors: (B, h, w) int64 to (B, D, h, w)."""
    return module.quantize.embedding(indices).movedim(-1, 1)


def pictures_of(module: VQModel, latents: torch.Tensor) -> torch.Tensor:
    """Decode latents, quantised or not: (B, D, h, w) to (B, 3, H, W) around 0..1, not clamped.

    These are the steps of ``module.decode(latents, force_not_quantize=True)``, which for aMUSEd
    (``lookup_from_codebook``) would take indices in place of latents, and quantise them where none are wanted.
    """
    patch = math.isqrt(module.config.out_channels // 3)
    seen_again = latents if module.config.norm_type == "spatial" else None
    decoded = module.decoder(module.post_quant_conv(latents), seen_again)
    return functional.pixel_shuffle(decoded, patch) / 2 + 0.5


def load_folder(model_id: str, folder: Path, *, placement: Placement, weights: str = WEIGHTS) -> TokeniseModel:
    """Load a diffusers folder strictly: ``config.json`` and safetensors, or a pickle that the catalogue publishes.

    Raises:
        UserError: ``errors.vq_config``; ``errors.weights_*`` for weights that are missing, altered or do not fit.
    """
    config, path = read_config(folder), folder / weights
    if path.suffix in PICKLES:
        state = read_published_pickle(path, published=read_catalogue().published)
    else:
        state = read_safetensors(path)
    return wrap(model_id, config, _renamed(state), placement=placement, name=weights)


def load_original(model_id: str, path: Path, *, placement: Placement) -> TokeniseModel:
    """Load one safetensors file with the names of taming-transformers; its shapes tell the config.

    Raises:
        UserError: ``errors.vq_original``; ``errors.weights_*``.
    """
    config, state = taming.convert(read_safetensors(path), name=path.name)
    return wrap(model_id, config, state, placement=placement, name=path.name)


def load(entry, placement: Placement) -> TokeniseModel:
    """Load a model of the catalogue or of the models folder. The runtime calls this under its lock, once a model.

    Raises:
        UserError: as ``load_folder`` and ``load_original``.
    """
    if entry.architecture == ORIGINAL:
        return load_original(entry.id, entry.weights, placement=placement)
    return load_folder(entry.id, entry.weights.parent, placement=placement, weights=entry.weights.name)


def wrap(
    model_id: str, config: Mapping[str, Any], state: Mapping[str, torch.Tensor], *, placement: Placement, name: str
) -> TokeniseModel:
    """A VQModel of this config with these numbers, on its device; ``name`` stands in errors.

    Built without memory first: drawing 150 million random numbers that are overwritten takes longer than reading them.

    Raises:
        UserError: ``errors.vq_config``, ``errors.weights_do_not_fit``.
    """
    try:
        with torch.device("meta"):
            module = VQModel.from_config(dict(config))
    except ValueError as error:  # groups of a norm that do not divide its channels
        raise UserError("errors.vq_config", name=name) from error
    module = module.to_empty(device="cpu")
    load_strict(module, state, name=name)
    module, dtype = optimise(module, placement)
    return TokeniseModel(model_id, module, placement.device, dtype)


def _renamed(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state under today's names."""
    for before, now in RENAMED.items():
        state = {name.replace(before, now) if ".attentions." in name else name: v for name, v in state.items()}
    return dict(state)
