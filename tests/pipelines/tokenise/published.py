"""Published autoencoders made small: their own classes, options and layout on disk, random weights."""

import json
from pathlib import Path

import torch
from diffusers import VQModel

from tests.pipelines.tokenise.conftest import make_vq

DOWN, UP = "DownEncoderBlock2D", "UpDecoderBlock2D"


def make(family: str) -> VQModel:
    """ "patches" (bundled), "ldm-f4", "ldm-f8" (taming's f16 too), "movq" or "amused": options as in their configs."""
    if family == "patches":
        return make_vq(codes=64)
    torch.manual_seed(0)
    attends = family in ("ldm-f8", "movq")
    widths = {"ldm-f4": (8, 8, 16), "ldm-f8": (8, 8, 16), "movq": (32, 32, 64), "amused": (8, 8, 8, 16)}[family]
    levels = len(widths)
    options = {"movq": {"norm_type": "spatial"}, "amused": {"mid_block_add_attention": False}}.get(family, {})
    if family == "amused":
        options |= {"lookup_from_codebook": True, "force_upcast": True, "latent_channels": 8}
    module = VQModel(
        block_out_channels=widths,
        down_block_types=(DOWN,) * (levels - 1) + (f"Attn{DOWN}" if attends else DOWN,),
        up_block_types=(f"Attn{UP}" if attends else UP,) + (UP,) * (levels - 1),
        layers_per_block=2,
        num_vq_embeddings=64,
        norm_num_groups=32 if family == "movq" else 4,
        **({"latent_channels": 4, "vq_embed_dim": 4} | options if family != "amused" else options),
    )
    module.quantize.embedding.weight.data.mul_(64)
    return module.eval().requires_grad_(False)


FAMILIES = ("patches", "ldm-f4", "ldm-f8", "movq", "amused")


def save(module: VQModel, folder: Path, *, half: bool = False, pickled: bool = False) -> Path:
    """As a repository has it: config.json beside the weights; returns the weights' file."""
    (module.half() if half else module).save_pretrained(folder, variant="fp16" if half else None)
    if pickled:
        weights = folder / "diffusion_pytorch_model.safetensors"
        torch.save(module.state_dict(), weights.with_suffix(".bin"))
        weights.unlink()
    return next(path for path in folder.iterdir() if path.name != "config.json")


def change_config(folder: Path, **values) -> None:
    """Overwrite some of a folder's options."""
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
