"""VQGANs as taming-transformers and latent-diffusion published them, under the names of diffusers' VQModel.

The two write the same network (arXiv 2012.09841, appendix A) with other names: ``encoder.down.0.block.1.conv1`` is
``encoder.down_blocks.0.resnets.1.conv1``, the decoder counts its levels from the finest, ``VQModel`` from the
coarsest, and attention's 1 x 1 convolutions are linear layers. The shapes tell the config, so that no YAML is needed.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from pipelines.runtime.errors import UserError
from pipelines.runtime.vq_files import CODEBOOK, DOWN, UP, levels_of

# Of training only: the perceptual network and the discriminator, and a copy of the weights that was averaged.
LEFT_OUT = ("loss.", "model_ema.", "colorize")
BLOCK = {"nin_shortcut": "conv_shortcut"}
ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
MIDDLE = {"block_1": "resnets.0", "attn_1": "attentions.0", "block_2": "resnets.1"}
ENDS = {"conv_in": "conv_in", "norm_out": "conv_norm_out", "conv_out": "conv_out"}


def convert(state: Mapping[str, torch.Tensor], *, name: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """(config, state) of diffusers' VQModel from the original tensors; ``name`` of the file stands in errors.

    Raises:
        UserError: ``errors.vq_original``, when it is no VQGAN with a codebook: a Gumbel one, or something else.
    """
    kept = {key: values for key, values in state.items() if not key.startswith(LEFT_OUT)}
    try:
        levels = levels_of(kept)
        found = {_name(key, levels): _values(key, values) for key, values in kept.items()}
        return _config(kept, levels), found
    except (KeyError, ValueError, IndexError) as error:
        raise UserError("errors.vq_original", name=name, why=str(error).strip("'\"")[:80]) from error


def _name(key: str, levels: int) -> str:
    """The name of one tensor in VQModel. Raises ValueError, naming it, when no VQGAN has it."""
    if re.fullmatch(r"(post_)?quant_conv\.(weight|bias)", key) or key == CODEBOOK:
        return key
    found = re.fullmatch(r"(encoder|decoder)\.(.+)\.(weight|bias)", key)
    inner = found and _inner(found[1], found[2].split("."), levels)
    if not inner:
        raise ValueError(key)
    return f"{found[1]}.{inner}.{found[3]}"


def _inner(half: str, path: list[str], levels: int) -> str | None:
    """The middle of a name: ["down", "0", "block", "1", "conv1"] to "down_blocks.0.resnets.1.conv1"."""
    match path:
        case [end] if end in ENDS:
            return ENDS[end]
        case ["mid", part, leaf] if part in MIDDLE:
            return f"mid_block.{MIDDLE[part]}.{_leaf(part, leaf)}"
        case [("down" | "up") as way, level, ("block" | "attn") as part, place, leaf]:
            parts = {"block": "resnets", "attn": "attentions"}
            return f"{_level(half, way, level, levels)}.{parts[part]}.{int(place)}.{_leaf(part, leaf)}"
        case [("down" | "up") as way, level, ("downsample" | "upsample") as change, "conv"]:
            return f"{_level(half, way, level, levels)}.{change}rs.0.conv"
    return None


def _level(half: str, way: str, level: str, levels: int) -> str:
    """The decoder's levels are counted the other way round."""
    if (half, way) not in (("encoder", "down"), ("decoder", "up")):
        raise ValueError(f"{half}.{way}")
    place = int(level) if way == "down" else levels - 1 - int(level)
    return f"{way}_blocks.{place}"


def _leaf(part: str, leaf: str) -> str:
    if part.startswith("attn"):
        return ATTENTION[leaf]
    if leaf not in ("norm1", "conv1", "norm2", "conv2", "nin_shortcut"):
        raise ValueError(leaf)
    return BLOCK.get(leaf, leaf)


def _values(key: str, values: torch.Tensor) -> torch.Tensor:
    """Attention's 1 x 1 convolutions become matrices."""
    is_projection = re.search(r"\.attn_?\w*\.(\d+\.)?(q|k|v|proj_out)\.weight$", key)
    return values[:, :, 0, 0] if is_projection else values


def _config(state: Mapping[str, torch.Tensor], levels: int) -> dict[str, Any]:
    """The shape of the network as VQModel's config. Raises KeyError, naming a tensor that is missing."""
    widths = [state[f"encoder.down.{level}.block.0.conv1.weight"].shape[0] for level in range(levels)]
    attends = [f"encoder.down.{level}.attn.0.q.weight" in state for level in range(levels)]
    paints = [f"decoder.up.{level}.attn.0.q.weight" in state for level in reversed(range(levels))]
    codes, width = state[CODEBOOK].shape
    return {
        "_class_name": "VQModel",
        "in_channels": state["encoder.conv_in.weight"].shape[1],
        "out_channels": state["decoder.conv_out.weight"].shape[0],
        "block_out_channels": widths,
        "down_block_types": [DOWN[has] for has in attends],
        "up_block_types": [UP[has] for has in paints],
        "layers_per_block": _count(state, r"encoder\.down\.0\.block\.(\d+)\."),
        "latent_channels": state["encoder.conv_out.weight"].shape[0],
        "vq_embed_dim": width,
        "num_vq_embeddings": codes,
        "mid_block_add_attention": "encoder.mid.attn_1.q.weight" in state,
        "norm_num_groups": 32,  # taming/modules/diffusionmodules/model.py, Normalize
        "sample_size": 256,  # resolution, of every published config
    }


def _count(names: Iterable[str], pattern: str) -> int:
    return 1 + max(int(found[1]) for name in names if (found := re.match(pattern, name)))
