"""Where a model's config, weights and tokenizer lie, for the three kinds of source in the catalogue."""

from dataclasses import dataclass
from pathlib import Path

import open_clip

from pipelines.runtime.catalogue import MODELS
from pipelines.runtime.errors import UserError

CONFIG_NAME = "open_clip_config.json"
TOKENIZER_NAMES = ("tokenizer.json", "sentencepiece.bpe.model", "spiece.model")
SHARED_TOKENIZER = "tokenizer"
HF_TEXT_TOWERS = ("xlm-roberta-base",)  # whose config.json lies in assets/models/zero_shot/<name>


@dataclass(frozen=True)
class Files:
    """What is needed to build a model.

    config_folder: holds open_clip_config.json, or None: then ``architecture`` names one of open_clip's built-in
    configs, and ``pretrained`` the published weights whose preprocessing applies. weights: a safetensors file.
    tokenizer_folder: None where no tokenizer files were found. needs_trunk: the image trunk comes from its package.
    """

    config_folder: Path | None
    architecture: str
    pretrained: str | None
    weights: Path
    tokenizer_folder: Path | None
    needs_trunk: bool = False

    @property
    def config(self) -> dict:
        """The model's architecture, as open_clip writes it."""
        return open_clip.get_model_config(self.create_name)

    @property
    def create_name(self) -> str:
        """What open_clip's functions take as the model's name."""
        return self.architecture if self.config_folder is None else f"local-dir:{self.config_folder}"


def find_files(entry) -> Files:
    """Find a catalogue entry's files on this machine.

    Raises:
        UserError: ``errors.model_files_missing`` when they are not here, ``errors.architecture_unknown`` when
            open_clip has no architecture of that name.
    """
    if entry.folder is None or entry.weights is None or not entry.weights.is_file():
        raise UserError("errors.model_files_missing", model=entry.id)
    has_config = entry.origin != "hub" and (entry.folder / CONFIG_NAME).is_file()
    if not has_config and entry.architecture not in open_clip.list_models():
        raise UserError("errors.architecture_unknown", architecture=entry.architecture[:60])
    return Files(
        config_folder=entry.folder if has_config else None,
        architecture=entry.architecture,
        pretrained=entry.pretrained,
        weights=entry.weights,
        tokenizer_folder=_tokenizer_folder(entry),
        needs_trunk=entry.origin == "bundled",
    )


def _tokenizer_folder(entry) -> Path | None:
    """The folder of the model itself, or for bundled models the one beside it that they share."""
    folders = [entry.folder]
    if entry.origin == "bundled":
        folders.append(entry.folder.parent / SHARED_TOKENIZER)
    for folder in folders:
        if any((folder / name).is_file() for name in TOKENIZER_NAMES):
            return folder
    return None


def text_tower_override(config: dict) -> dict:
    """Keyword arguments for open_clip.create_model that name a Hugging Face text tower's config in this repository.

    open_clip would ask the hub for it while it builds the model.

    Raises:
        UserError: ``errors.architecture_unknown`` for a text tower whose config is not here.
    """
    name = config["text_cfg"].get("hf_model_name")
    if not name:
        return {}
    if name not in HF_TEXT_TOWERS:
        raise UserError("errors.architecture_unknown", architecture=str(name)[:60])
    folder = MODELS / "zero_shot" / name
    return {"text_cfg": {**config["text_cfg"], "hf_model_name": str(folder), "hf_model_pretrained": False}}
