"""What a diffusers folder or a single Stable Diffusion checkpoint holds, told from its JSON and headers alone.

No model library is imported and no tensor read: the list of models is made from this, and so is the choice of what
to load. A folder may name only the classes below; code that lies in it is never run.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines.runtime.catalogue import PIPELINE
from pipelines.runtime.errors import UserError
from pipelines.runtime.weights import PICKLES, TensorInfo, inside, pickle_refusal, read_header

FAMILY_OF = {"StableDiffusionPipeline": "sd", "StableDiffusionXLPipeline": "sdxl"}
SCHEDULERS = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LCMScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)
TOKENIZERS = ("BertTokenizer", "BertTokenizerFast", "CLIPTokenizer", "CLIPTokenizerFast", "TokenizersBackend")
# {part: {library: classes}}: what a folder may be made of.
CLASSES = {
    "scheduler": {"diffusers": SCHEDULERS},
    "unet": {"diffusers": ("UNet2DConditionModel",)},
    "vae": {"diffusers": ("AutoencoderKL", "AutoencoderTiny")},
    "text_encoder": {"transformers": ("BertModel", "CLIPTextModel")},
    "text_encoder_2": {"transformers": ("CLIPTextModelWithProjection",)},
    "tokenizer": {"transformers": TOKENIZERS},
    "tokenizer_2": {"transformers": TOKENIZERS},
}
PARTS_OF = {
    "sd": ("scheduler", "text_encoder", "tokenizer", "unet", "vae"),
    "sdxl": ("scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae"),
}
MOST_JSON_BYTES = 1_000_000
VARIANTS = (None, "fp16")

# One tensor tells each family; names as in the original code's checkpoints (CompVis, Stability AI).
UNET_FIRST = "model.diffusion_model.input_blocks.0.0.weight"
SIGNS = {
    "sdxl": "conditioner.embedders.1.model.ln_final.weight",
    "sd2": "cond_stage_model.model.ln_final.weight",
    "sd1": "cond_stage_model.transformer.text_model.final_layer_norm.weight",
}
FAMILY_PX = {"sd1": 512, "sd2": 512, "sdxl": 1024}


@dataclass(frozen=True)
class FolderIndex:
    """What model_index.json says. parts: {"unet": "UNet2DConditionModel", ...}, each one allowed."""

    name: str
    pipeline_class: str
    parts: Mapping[str, str]

    @property
    def family(self) -> str:
        """ "sd" (one text encoder) or "sdxl"."""
        return FAMILY_OF[self.pipeline_class]


@dataclass(frozen=True)
class PartFiles:
    """Weights of one part. variant: "fp16" when the files' names say so."""

    files: tuple[Path, ...]
    variant: str | None


def read_index(folder: Path) -> FolderIndex:
    """Read and check a folder's model_index.json.

    Raises UserError: ``errors.pipeline_index`` when it cannot be read or a part is absent, ``errors.pipeline_class``
    when it names a class (or code of its own) that is not on the list.
    """
    index = _read_json(folder / PIPELINE, shown=folder.name)
    pipeline_class = index.get("_class_name")
    if not isinstance(pipeline_class, str) or pipeline_class not in FAMILY_OF:
        raise _not_allowed(folder, pipeline_class, tuple(FAMILY_OF))
    parts = {}
    for part in PARTS_OF[FAMILY_OF[pipeline_class]]:
        library, name = _pair(index.get(part), folder)
        allowed = CLASSES[part]
        if name not in allowed.get(library, ()):
            raise _not_allowed(folder, f"{library}.{name}", tuple(name for names in allowed.values() for name in names))
        parts[part] = name
    return FolderIndex(folder.name, pipeline_class, parts)


def part_files(folder: Path, part: str) -> PartFiles:
    """The safetensors files of a part: one, several with an index, or those of the variant fp16.

    Raises UserError: ``errors.weights_pickle`` when only pickles lie there, ``errors.pipeline_part`` when nothing
    does or the index names a file that is absent, ``errors.local_outside``.
    """
    stem = "model" if part.startswith("text_encoder") else "diffusion_pytorch_model"
    home = folder / part
    for variant in VARIANTS:
        whole = home / _variant_name(f"{stem}.safetensors", variant)
        if whole.is_file():
            return PartFiles((_within(folder, f"{part}/{whole.name}"),), variant)
        index = home / _variant_name(f"{stem}.safetensors.index.json", variant)
        if index.is_file():
            return PartFiles(_split_files(folder, part, index), variant)
    pickles = sorted(path for path in home.glob("*") if path.suffix in PICKLES)
    raise pickle_refusal(pickles[0], folder=folder) if pickles else _part_missing(folder, part)


def is_diffusion(header: Mapping[str, TensorInfo]) -> bool:
    """Whether a file is about diffusion at all: a checkpoint, a LoRA for one, or an autoencoder."""
    return UNET_FIRST in header or _is_lora(header) or _is_autoencoder(header)


def family_of(header: Mapping[str, TensorInfo], *, name: str) -> str:
    """ "sd1", "sd2" or "sdxl": told by the names and shapes in a single file's header.

    Raises UserError ``errors.single_*`` for a LoRA, an autoencoder alone, an inpainting model, or another family.
    """
    if _is_lora(header):
        raise UserError("errors.single_lora", name=name)
    if UNET_FIRST not in header and _is_autoencoder(header):
        raise UserError("errors.single_part", name=name)
    families = [family for family, sign in SIGNS.items() if sign in header]
    if UNET_FIRST not in header or not families:
        raise UserError("errors.single_family", name=name)
    channels = header[UNET_FIRST].shape[1]
    if channels != 4:
        raise UserError("errors.single_channels", name=name, channels=channels)
    return families[0]


def _is_lora(header: Mapping[str, TensorInfo]) -> bool:
    return any("lora_down" in key or "lora_A" in key or "lora.down" in key for key in header)


def _is_autoencoder(header: Mapping[str, TensorInfo]) -> bool:
    return any(key.startswith(("decoder.conv_in.", "first_stage_model.decoder.")) for key in header)


@lru_cache(maxsize=256)
def count_parameters(path: Path, size: int, mtime_ns: int) -> int:
    """Numbers in a safetensors file; read again only when the file's size or time changed."""
    return sum(math.prod(tensor.shape) for tensor in read_header(path).values())


def picture_px(folder: Path) -> int:
    """Side of the pictures that a folder's model was made for, from its UNet's and its autoencoder's config.

    Raises UserError ``errors.pipeline_index``.
    """
    unet = _read_json(folder / "unet" / "config.json", shown=folder.name)
    vae = _read_json(folder / "vae" / "config.json", shown=folder.name)
    side, levels = unet.get("sample_size", 64), vae.get("block_out_channels") or ()
    if type(side) is not int or not 1 <= side <= 256 or unet.get("in_channels", 4) != vae.get("latent_channels", 4):
        raise UserError("errors.pipeline_index", name=folder.name)
    return side * 2 ** max(len(levels) - 1, 0)


def _pair(value: Any, folder: Path) -> tuple[str, str]:
    if not (isinstance(value, list) and len(value) == 2 and all(isinstance(item, str) for item in value)):
        raise UserError("errors.pipeline_index", name=folder.name)
    return value[0], value[1]


def _read_json(path: Path, *, shown: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_JSON_BYTES:
            raise ValueError("too large")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError("errors.pipeline_index", name=shown) from error
    if not isinstance(data, dict):
        raise UserError("errors.pipeline_index", name=shown)
    return data


def _split_files(folder: Path, part: str, index: Path) -> tuple[Path, ...]:
    table = _read_json(index, shown=folder.name).get("weight_map")
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
        raise UserError("errors.pipeline_index", name=folder.name)
    paths = tuple(_within(folder, f"{part}/{name}") for name in sorted(set(table.values())))
    if not paths or not all(path.is_file() and path.suffix == ".safetensors" for path in paths):
        raise _part_missing(folder, part)
    return paths


def _within(folder: Path, name: str) -> Path:
    """The file, which must not lie outside. The Hub's cache keeps its files beside the snapshots, linked to."""
    in_cache = folder.parent.name == "snapshots"
    root = folder.parent.parent if in_cache else folder
    return inside(root, str((folder / name).relative_to(root)))


def _variant_name(name: str, variant: str | None) -> str:
    """The libraries' rule: the variant stands before the ending (``model.fp16.safetensors``)."""
    stem, ending = name.rsplit(".", 1)
    return name if variant is None else f"{stem}.{variant}.{ending}"


def _part_missing(folder: Path, part: str) -> UserError:
    return UserError("errors.pipeline_part", name=folder.name, part=part)


def _not_allowed(folder: Path, found: Any, choices: tuple[str, ...]) -> UserError:
    return UserError("errors.pipeline_class", name=folder.name, found=str(found)[:80], choices=", ".join(choices))
