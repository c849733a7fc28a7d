"""VQ models told by their config or by the names of their tensors; no model library is imported, no tensor read."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.runtime.errors import UserError
from pipelines.runtime.weights import TensorInfo

CLASS = "VQModel"
ORIGINAL = "VQModel (original names)"  # architecture of a single file as taming-transformers names its tensors
CONFIG = "config.json"
WEIGHTS = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors")
PICTURE_PX = 256  # side of the pictures that all published ones were trained on
MOST_JSON_BYTES = 100_000
MOST_LEVELS, MOST_WIDTH, MOST_CODES = 8, 4096, 2**20
CODEBOOK = "quantize.embedding.weight"
ORIGINAL_FIRST = "encoder.down.0.block.0.norm1.weight"  # as taming-transformers names it
DOWN = ("DownEncoderBlock2D", "AttnDownEncoderBlock2D")
UP = ("UpDecoderBlock2D", "AttnUpDecoderBlock2D")


def is_vq_folder(folder: Path) -> bool:
    """Whether a folder's config.json says that it is diffusers' VQModel."""
    try:
        return _read_json(folder / CONFIG).get("_class_name") == CLASS
    except UserError:
        return False


def is_original(header: Mapping[str, TensorInfo]) -> bool:
    """Whether a file holds a VQGAN under the names of taming-transformers (arXiv 2012.09841) or latent-diffusion."""
    return CODEBOOK in header and ORIGINAL_FIRST in header


def read_config(folder: Path) -> dict[str, Any]:
    """A VQModel's config, checked before a model is built from it: colour pictures, sizes that can be.

    Raises:
        UserError: ``errors.vq_config``.
    """
    config = _read_json(folder / CONFIG)
    if config.get("_class_name") != CLASS or not _is_sound(config):
        raise _wrong(folder / CONFIG)
    return config


def picture_px(config: Mapping[str, Any]) -> int:
    """Side of the pictures that it was made for; the configs of MoVQ and aMUSEd say only the library's default, 32."""
    side = config.get("sample_size", PICTURE_PX)
    return side if _whole(side, 2048) and side > 32 else PICTURE_PX


def levels_of(names: Mapping[str, Any]) -> int:
    """Levels of an original VQGAN: each but the last halves the picture."""
    return 1 + max(int(found[1]) for name in names if (found := re.match(r"encoder\.down\.(\d+)\.", name)))


def _is_sound(config: Mapping[str, Any]) -> bool:
    widths = config.get("block_out_channels", (64,))
    channels = config.get("in_channels", 3)
    return (
        isinstance(widths, list | tuple)
        and 1 <= len(widths) <= MOST_LEVELS
        and all(_whole(width, MOST_WIDTH) for width in widths)
        and _are(config.get("down_block_types", DOWN[:1]), DOWN, len(widths))
        and _are(config.get("up_block_types", UP[:1]), UP, len(widths))
        and _whole(channels, 3 * 64**2)
        and channels == 3 * math.isqrt(channels // 3) ** 2 == config.get("out_channels", 3)
        and _whole(config.get("layers_per_block", 1), 8)
        and _whole(config.get("latent_channels", 3), MOST_WIDTH)
        and _whole(config.get("vq_embed_dim") or config.get("latent_channels", 3), MOST_WIDTH)
        and _whole(config.get("num_vq_embeddings", 256), MOST_CODES)
        and config.get("norm_type", "group") in ("group", "spatial")
    )


def _are(types: Any, allowed: tuple[str, ...], count: int) -> bool:
    return isinstance(types, list | tuple) and len(types) == count and all(name in allowed for name in types)


def _whole(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_JSON_BYTES:
            raise _wrong(path)
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _wrong(path) from error
    if not isinstance(data, dict):
        raise _wrong(path)
    return data


def _wrong(path: Path) -> UserError:
    return UserError("errors.vq_config", name=path.parent.name)
