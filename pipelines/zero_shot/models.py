"""CLIP and its kin through open_clip: one way to load them, whatever their size (arXiv 2103.00020, 2303.15343).

A bundled model, a published one and a file of the visitor's own differ in where config, weights and tokenizer lie
(files.py); from there on one function builds all of them. Nothing here opens a network connection.
"""

import copy
import logging
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
from open_clip.transform import PreprocessCfg

from pipelines.runtime.device import Placement
from pipelines.runtime.errors import UserError
from pipelines.runtime.weights import load_strict, read_safetensors
from pipelines.zero_shot.files import Files, find_files, text_tower_override
from pipelines.zero_shot.preprocess import Preprocess
from pipelines.zero_shot.textcache import TextCache
from pipelines.zero_shot.tokens import as_plain_text
from pipelines.zero_shot.trunk import load_trunk_state

TRUNK_PREFIX = "visual.trunk."


@dataclass(frozen=True, eq=False)
class ZeroShotModel:
    """A loaded model with all that its pipeline needs to know about it.

    module: open_clip.CLIP or CustomTextCLIP, in evaluation mode, no gradients to its weights.
    logit_scale: the learnt temperature's inverse, exponential already taken. logit_bias: None unless the model was
    trained with the sigmoid loss; objective is "sigmoid" then, else "softmax".
    """

    id: str
    module: torch.nn.Module
    tokenizer: Callable
    preprocess: Preprocess
    device: str
    dtype: torch.dtype
    logit_scale: float
    logit_bias: float | None
    objective: str
    context_length: int
    text_cache: TextCache = field(default_factory=TextCache)

    def image_features(self, images: torch.Tensor) -> tuple[np.ndarray, str]:
        """Encode (B, 3, S, S) float32, normalised, to unit length.

        Returns:
            (B, D) float32, and the dtype that computed it: half precision that overflows is computed again in
            float32 on a copy.

        Raises:
            UserError: ``errors.model_not_finite`` when float32 overflows too.
        """
        return self._unit_length(lambda module, dtype: module.encode_image(images.to(self.device, dtype)))

    def text_features(self, texts: list[str]) -> tuple[np.ndarray, str]:
        """Encode texts, templates already filled, to unit length: (B, D) float32, and the dtype. Not cached.

        Raises:
            UserError: ``errors.model_not_finite``.
        """
        tokens = self.tokenizer([as_plain_text(self.tokenizer, text) for text in texts])
        tokens = tokens.to(self.device)
        return self._unit_length(lambda module, _dtype: module.encode_text(tokens))

    def _unit_length(self, run: Callable) -> tuple[np.ndarray, str]:
        with torch.inference_mode():
            features, dtype = run(self.module, self.dtype).float(), self.dtype
            if not features.isfinite().all() and dtype != torch.float32:
                features, dtype = run(copy.deepcopy(self.module).float(), torch.float32), torch.float32
            if not features.isfinite().all():
                raise UserError("errors.model_not_finite", model=self.id)
            unit = torch.nn.functional.normalize(features, dim=-1)
        return unit.cpu().numpy(), str(dtype).removeprefix("torch.")


def load(entry, placement: Placement) -> ZeroShotModel:
    """Load a model of the catalogue. The runtime calls this under its lock, once a model.

    Args:
        entry: catalogue entry of this topic: a bundled folder, a Hub repository whose files are in the cache, or a
            file in the models folder.
        placement: device and dtype.

    Raises:
        UserError: a file is missing, altered or of another architecture; ``errors.tokenizer_missing``.
    """
    return load_files(entry.id, find_files(entry), placement=placement)


def load_files(model_id: str, files: Files, *, placement: Placement) -> ZeroShotModel:
    """Build the architecture, fill it strictly, move it. See ``load``."""
    tokenizer = load_tokenizer(files)
    module = create_module(files)
    state = read_safetensors(files.weights)
    if files.needs_trunk:
        state = {TRUNK_PREFIX + name: tensor for name, tensor in load_trunk_state().items()} | state
    load_strict(module, adapt_state(state, module), name=files.weights.name)
    return wrap(model_id, module, tokenizer, placement=placement)


def wrap(model_id: str, module: torch.nn.Module, tokenizer: Callable, *, placement: Placement) -> ZeroShotModel:
    """Move a filled open_clip module to its device and note what the pipeline needs."""
    logit_bias = getattr(module, "logit_bias", None)
    logit_scale = module.logit_scale.detach().double().exp().item()
    preprocess = Preprocess(PreprocessCfg(**open_clip.get_model_preprocess_cfg(module)))
    module = module.to(device=placement.device, dtype=placement.torch_dtype).eval().requires_grad_(False)
    if hasattr(getattr(module.visual, "trunk", None), "conv_stem"):
        module.visual.to(
            memory_format=torch.channels_last
        )  # EfficientNet: 5 to 20 % faster on a CPU; ViTs gain nothing
    return ZeroShotModel(
        id=model_id,
        module=module,
        tokenizer=tokenizer,
        preprocess=preprocess,
        device=placement.device,
        dtype=placement.torch_dtype,
        logit_scale=logit_scale,
        logit_bias=None if logit_bias is None else logit_bias.detach().item(),
        objective="softmax" if logit_bias is None else "sigmoid",
        context_length=tokenizer.context_length,
    )


def create_module(files: Files) -> torch.nn.Module:
    """open_clip's own class with random weights: from a config folder, or one of its built-in architectures."""
    published = None
    if files.config_folder is None and files.pretrained:
        published = open_clip.get_pretrained_cfg(files.architecture, files.pretrained)
    with _without_random_weights_warning():
        return open_clip.create_model(
            files.create_name,
            load_weights=False,
            pretrained_text=False,
            force_preprocess_cfg=published,
            **text_tower_override(files.config),
        )


def adapt_state(state: dict[str, torch.Tensor], module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Bring older and third-party names to open_clip's present ones, as its own loader does."""
    state = convert_state_dict(module, state)
    if "positional_embedding" in state and not hasattr(module, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    # Counted 0, 1, 2, ...: older text towers saved them, present ones make them.
    state.pop("text.transformer.embeddings.position_ids", None)
    for name in ("logit_scale", "logit_bias"):
        parameter = getattr(module, name, None)
        if name in state and parameter is not None:
            state[name] = state[name].reshape(parameter.shape)
    return state


def load_tokenizer(files: Files) -> Callable:
    """The model's tokenizer through open_clip's interface: its own byte BPE, or a Hugging Face one from a folder.

    Raises:
        UserError: ``errors.tokenizer_missing`` when the model needs files that are not on this machine.
    """
    config = files.config["text_cfg"]
    context_length = config.get("context_length", 77)
    if not config.get("hf_tokenizer_name"):
        return SimpleTokenizer(context_length=context_length, **config.get("tokenizer_kwargs", {}))
    if files.tokenizer_folder is None:
        raise UserError("errors.tokenizer_missing", name=config["hf_tokenizer_name"])
    # XLM-RoBERTa's repository has tokenizer.json alone, which does not say what pads.
    has_config = (files.tokenizer_folder / "tokenizer_config.json").is_file()
    return HFTokenizer(
        str(files.tokenizer_folder),
        context_length=context_length,
        tokenizer_mode=config.get("tokenizer_mode"),
        local_files_only=True,
        split_special_tokens=True,  # a typed control token stays a text
        **({} if has_config else {"pad_token": "<pad>"}),
        **config.get("tokenizer_kwargs", {}),
    )


@contextmanager
def _without_random_weights_warning():
    """open_clip warns on the root logger that weights are random; here they are filled a moment later."""
    root = logging.getLogger()

    def quiet(record: logging.LogRecord) -> bool:
        return Path(record.pathname).parent.name != "open_clip"

    root.addFilter(quiet)
    try:
        yield
    finally:
        root.removeFilter(quiet)
