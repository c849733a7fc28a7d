"""Single checkpoints of Stable Diffusion 1.x, 2.x and XL in the original code's tensor names; no Hub is asked.

diffusers would look for a config on the Hub, offline too. The configs that it needs ship with the app, and the
tokenizer of CLIP is built from the vocabulary that the open_clip package carries.
"""

import gzip
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import diffusers
import torch
from diffusers import DiffusionPipeline
from transformers import CLIPTokenizer

from pipelines.runtime.catalogue import MODELS
from pipelines.runtime.diffusion_files import FAMILY_OF, family_of
from pipelines.runtime.errors import UserError
from pipelines.runtime.weights import check_finite, read_header
from pipelines.text_to_image.folders import WITHOUT, damaged_as_user_error, quietly

CONFIGS = MODELS / "text_to_image" / "configs"
VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"
VOCABULARY_SIZE = 49_408
LIMIT = 77
BEGIN, END = "<|startoftext|>", "<|endoftext|>"


@dataclass(frozen=True)
class Family:
    """pipeline_class: of diffusers. pads: what fills a short prompt, for each of its text encoders."""

    pipeline_class: str
    pads: tuple[str, ...]


# Only the first CLIP was trained with its end mark as filling.
FAMILIES = {
    "sd1": Family("StableDiffusionPipeline", (END,)),
    "sd2": Family("StableDiffusionPipeline", ("!",)),
    "sdxl": Family("StableDiffusionXLPipeline", (END, "!")),
}


def load_single_file(path: Path, *, dtype: torch.dtype, configs: Path = CONFIGS) -> DiffusionPipeline:
    """Load a checkpoint; its family is told by its tensors' names.

    Args:
        path: a .safetensors file.
        dtype: of UNet and text encoders; the autoencoder is left in float32.
        configs: holds a diffusers folder without weights for each family: sd1, sd2, sdxl.

    Returns:
        A pipeline on the CPU, without safety checker.

    Raises:
        UserError: ``errors.single_*`` for another family, ``errors.weights_*`` for missing tensors, NaN and damaged
            files, ``errors.pipeline_load`` for shapes that do not fit the family.
    """
    header = read_header(path)
    name = family_of(header, name=path.name)
    family = FAMILIES[name]
    tokenizers = (create_tokenizer(pad) for pad in family.pads)
    parts = dict(zip(("tokenizer", "tokenizer_2"), tokenizers, strict=False))
    with quietly(), damaged_as_user_error(path.name):
        pipeline = getattr(diffusers, family.pipeline_class).from_single_file(
            str(path),
            config=str(configs / name),
            local_files_only=True,
            dtype=torch.float32,
            **parts,
            **WITHOUT[FAMILY_OF[family.pipeline_class]],
        )
    check_complete(pipeline, name=path.name)
    for part in ("unet", "text_encoder", "text_encoder_2"):
        module = getattr(pipeline, part, None)
        if module is not None and module.dtype != dtype:
            module.to(dtype)
    set_prediction(pipeline, name, header)
    return pipeline


def check_complete(pipeline: DiffusionPipeline, *, name: str) -> None:
    """Refuse a checkpoint in which tensors were missing: diffusers leaves them without numbers, and says nothing.

    Raises:
        UserError: ``errors.weights_do_not_fit`` with the first five; ``errors.weights_not_finite``.
    """
    for part, module in pipeline.components.items():
        if not isinstance(module, torch.nn.Module):
            continue
        state = module.state_dict()
        missing = [f"- {part}.{key}" for key, tensor in state.items() if tensor.is_meta]
        if missing:
            wrong = "; ".join(missing[:5])
            raise UserError("errors.weights_do_not_fit", name=name, count=len(missing), wrong=wrong)
        check_finite(state, name=name)


def set_prediction(pipeline: DiffusionPipeline, family: str, header) -> None:
    """Find out whether the UNet predicts noise or v, which the configs of a family cannot say.

    XL files that predict v are marked with an empty tensor. For 2.x nothing marks them; the UNet is asked: given the
    same number everywhere at the noisiest step, one that predicts noise returns about its input, one that predicts
    v about minus the picture, which is far below it (the test of AUTOMATIC1111's web UI).
    """
    changes = {}
    if family == "sdxl" and "v_pred" in header:
        changes = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": "ztsnr" in header}
    elif family == "sd2" and _answers_with_v(pipeline.unet):
        changes = {"prediction_type": "v_prediction"}
    if changes:
        pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, **changes)


@torch.inference_mode()
def _answers_with_v(unet: torch.nn.Module) -> bool:
    sample = torch.full((1, unet.config.in_channels, 8, 8), 0.5, dtype=unet.dtype)
    words = torch.zeros(1, LIMIT, unet.config.cross_attention_dim, dtype=unet.dtype)
    output = unet(sample, torch.tensor(999), encoder_hidden_states=words).sample
    return float((output - sample).mean()) < -1


@lru_cache(maxsize=1)
def read_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """CLIP's ({token: id}, merges), built as its authors build them: bytes, bytes that end a word, merges, two marks.

    Raises:
        UserError: ``errors.tokenizer_missing``.
    """
    spec = importlib.util.find_spec("open_clip")
    folders = spec.submodule_search_locations if spec else ()
    path = next((Path(folder, VOCABULARY) for folder in folders if Path(folder, VOCABULARY).is_file()), None)
    if path is None:
        raise UserError("errors.tokenizer_missing", name=VOCABULARY)
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    signs = _byte_signs()
    merges = [tuple(line.split()) for line in lines[1 : VOCABULARY_SIZE - 2 * len(signs) - 2 + 1]]
    tokens = [*signs, *(f"{sign}</w>" for sign in signs), *("".join(pair) for pair in merges), BEGIN, END]
    return {token: number for number, token in enumerate(tokens)}, merges


def create_tokenizer(pad: str = END) -> CLIPTokenizer:
    """CLIP's tokenizer, 77 tokens long, with this filling."""
    vocabulary, merges = read_vocabulary()
    return CLIPTokenizer(
        vocab=dict(vocabulary),
        merges=list(merges),
        unk_token=END,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=pad,
        model_max_length=LIMIT,
    )


def _byte_signs() -> list[str]:
    """A visible sign for each byte, in the order of CLIP's vocabulary: printable ones first, the rest moved up."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + number) for number in range(len(rest))]
