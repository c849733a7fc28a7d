"""Diffusers folders: parts loaded one by one, strictly, from safetensors, on the CPU; nothing is asked of the Hub.

``from_pretrained`` on the whole folder would fill a missing tensor with random numbers and only warn. Each part is
therefore loaded with its loading report, and the pipeline is put together from the parts.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers import DiffusionPipeline
from safetensors import SafetensorError

from pipelines.runtime.catalogue import PIPELINE, Entry
from pipelines.runtime.diffusion_files import FolderIndex, part_files, read_index
from pipelines.runtime.errors import UserError
from pipelines.runtime.weights import check_finite, read_header

# A pooled text is never used with these encoders; older files also hold a table of positions, 0, 1, 2, ...
NOT_NEEDED = ("pooler.dense.weight", "pooler.dense.bias")
NOT_USED = ("position_ids",)
WITHOUT = {
    "sd": {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False},
    "sdxl": {"add_watermarker": False},
}


def load_pipeline(entry: Entry, *, dtype: torch.dtype) -> DiffusionPipeline:
    """Load a catalogue entry of this topic: a diffusers folder, or a single file.

    Args:
        entry: ``folder`` and ``weights`` say where its files lie.
        dtype: of UNet and text encoders. The autoencoder is read in float32: some overflow in half precision.

    Returns:
        A ``StableDiffusionPipeline`` or ``StableDiffusionXLPipeline`` on the CPU.

    Raises:
        UserError: ``errors.model_files_missing``, and as ``load_folder`` and ``single_file.load_single_file``.
    """
    if entry.folder is None or entry.weights is None or not entry.weights.is_file():
        raise UserError("errors.model_files_missing", model=entry.id)
    if entry.weights.name == PIPELINE:
        return load_folder(entry.folder, dtype=dtype)
    from pipelines.text_to_image.single_file import load_single_file

    return load_single_file(entry.weights, dtype=dtype)


def load_folder(folder: Path, *, dtype: torch.dtype) -> DiffusionPipeline:
    """Load a diffusers folder. The safety checker of Stable Diffusion 1.x, another model, is left out.

    Raises:
        UserError: ``errors.pipeline_*``, ``errors.weights_*`` and ``errors.local_outside``, naming what is wrong.
    """
    index = read_index(folder)
    models = [part for part in index.parts if _is_model(part)]
    parts = {part: load_part(folder, index, part, dtype=_dtype_of(part, dtype)) for part in models}
    with quietly(), damaged_as_user_error(folder.name):
        return getattr(diffusers, index.pipeline_class).from_pretrained(
            folder, **parts, **WITHOUT[index.family], local_files_only=True
        )


def load_part(folder: Path, index: FolderIndex, part: str, *, dtype: torch.dtype) -> torch.nn.Module:
    """Load one model of a folder, in ``dtype`` on the CPU, for inference.

    Raises:
        UserError: as ``load_folder``.
    """
    found = part_files(folder, part)
    for path in found.files:
        read_header(path)
    library = diffusers if part in ("unet", "vae") else transformers
    name = f"{folder.name}/{part}"
    with quietly(), damaged_as_user_error(name):
        module, report = getattr(library, index.parts[part]).from_pretrained(
            folder / part,
            dtype=dtype,
            variant=found.variant,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that the report names them, instead of an exception that may not
        )
    check_report(report, name=name)
    check_finite(module.state_dict(), name=name)
    return module


def check_report(report: Mapping[str, Collection], *, name: str) -> None:
    """Refuse a part of which anything was missing, left over, or of another shape.

    Raises:
        UserError: ``errors.weights_do_not_fit`` with the first five differences.
    """
    missing = [key for key in report["missing_keys"] if not key.endswith(NOT_NEEDED)]
    extra = [key for key in report["unexpected_keys"] if not key.endswith(NOT_USED)]
    wrong = [f"- {key}" for key in sorted(missing)] + [f"+ {key}" for key in sorted(extra)]
    wrong += [_mismatch(item) for item in report["mismatched_keys"]]
    if wrong:
        raise UserError("errors.weights_do_not_fit", name=name, count=len(wrong), wrong="; ".join(wrong[:5]))


@contextmanager
def damaged_as_user_error(name: str) -> Iterator[None]:
    """What the libraries raise for a config that builds no model, tensors that do not fit, or damaged files.

    Raises:
        UserError: ``errors.pipeline_load``.
    """
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError, SafetensorError) as error:
        raise UserError("errors.pipeline_load", name=name) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Without the libraries' progress bars and reports, whose content becomes a UserError where it matters."""
    libraries = (diffusers.utils.logging, transformers.utils.logging)
    before = [(library, library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, verbosity, has_bar in before:
            library.set_verbosity(verbosity)
            if has_bar:
                library.enable_progress_bar()


def _mismatch(item: Any) -> str:
    """A report's item: a name, or (name, shape in the file, shape in the model)."""
    if isinstance(item, str):
        return item
    key, theirs, ours = item
    return f"{key} {tuple(theirs)} / {tuple(ours)}"


def _dtype_of(part: str, dtype: torch.dtype) -> torch.dtype:
    return torch.float32 if part == "vae" else dtype


def _is_model(part: str) -> bool:
    return part in ("unet", "vae") or part.startswith("text_encoder")
