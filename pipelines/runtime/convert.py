"""``python -m pipelines.runtime.convert FILE OUT.safetensors``: a pickled checkpoint becomes safetensors.

``python -m pipelines.runtime.convert FOLDER OUT`` does so with every part of a diffusers folder. A pickle is a
program. This command reads it in a process of its own, with ``weights_only=True``, which allows tensors and plain
containers only; run it on files that you trust, and the app then reads the result.
"""

import argparse
import os
import pickle
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.runtime.catalogue import PIPELINE
from pipelines.runtime.diffusion_files import read_index
from pipelines.runtime.errors import UserError

WRAPPERS = ("state_dict", "model", "model_state_dict")
CALLBACKS = "pytorch_lightning.callbacks."
PREFIX = "module."  # left by DistributedDataParallel
KEPT = (".json", ".txt", ".safetensors")  # of a diffusers folder: configs, vocabularies, what is safe already


def convert(source: Path, target: Path) -> int:
    """Write the tensors of a checkpoint as safetensors; returns how many.

    Raises ValueError with a sentence for the command's user.
    """
    if target.suffix != ".safetensors" or target.exists():
        raise ValueError(f"{target.name}: the result must be a new file that ends in .safetensors")
    state = read_tensors(source)
    from safetensors.torch import save_file

    # save_file refuses tensors that share memory, and views of others.
    state = {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}
    part = target.with_name(f"{target.name}.part")
    save_file(state, part)
    os.replace(part, target)
    return len(state)


def read_tensors(source: Path) -> dict[str, Any]:
    """The tensors of a pickled checkpoint by name, read with ``weights_only=True``; none of its code runs.

    Raises ValueError with a sentence for the command's user.
    """
    _check_archive(source)
    import torch  # after the check, which refuses at once

    try:
        with torch.serialization.safe_globals(_stand_ins(source)):
            checkpoint = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{source.name} cannot be read as plain tensors; it may hold code or be damaged") from error
    return state_dict_of(checkpoint)


class StandIn:
    """Takes the place of a class of the training library that a checkpoint names; it does nothing."""


def _stand_ins(source: Path) -> list[tuple[type, str]]:
    """Lightning's checkpoints name their callbacks' classes beside the tensors, as keys; any other name is refused."""
    import torch

    if not zipfile.is_zipfile(source):
        return []
    names = torch.serialization.get_unsafe_globals_in_checkpoint(source)
    return [(StandIn, name) for name in names if name.startswith(CALLBACKS)]


def convert_folder(source: Path, target: Path) -> int:
    """Write a diffusers folder anew, its pickled parts as safetensors; returns how many tensors were converted.

    Parts that Text to image does not load (a safety checker) are left out; code in the folder is not copied.
    Raises ValueError with a sentence for the command's user.
    """
    if target.exists():
        raise ValueError(f"{target.name}: the result must be a new folder")
    index = read_index(source)
    count = 0
    for part in index.parts:
        (target / part).mkdir(parents=True)
        kept = [path for path in sorted((source / part).iterdir()) if path.suffix in KEPT]
        for path in kept:
            shutil.copy(path, target / part / path.name)
        if not any(path.suffix == ".safetensors" for path in kept):
            for path in sorted((source / part).glob("*.bin")):
                name = path.name.removeprefix("pytorch_") if part.startswith("text_encoder") else path.name
                count += convert(path, target / part / f"{name.removesuffix('.bin')}.safetensors")
    shutil.copy(source / PIPELINE, target / PIPELINE)
    return count


def state_dict_of(checkpoint: Any) -> dict[str, Any]:
    """The tensors by name: taken out of a training checkpoint's wrapper, without the prefix of parallel training.

    Raises ValueError when there are none.
    """
    import torch

    for wrapper in WRAPPERS:
        if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get(wrapper), Mapping):
            checkpoint = checkpoint[wrapper]
    if not isinstance(checkpoint, Mapping):
        raise ValueError("the checkpoint is no table of tensors")
    state = {name.removeprefix(PREFIX): v for name, v in checkpoint.items() if isinstance(v, torch.Tensor)}
    if not state or len(state) != len(checkpoint):
        raise ValueError("the checkpoint holds other things than tensors, or none at all")
    return state


def _check_archive(source: Path) -> None:
    """torch stores its archives uncompressed: a compressed member would be a bomb."""
    if not zipfile.is_zipfile(source):
        return
    with zipfile.ZipFile(source) as archive:
        members = archive.infolist()
    declared = sum(member.file_size for member in members)
    if any(member.compress_type for member in members) or declared > source.stat().st_size:
        raise ValueError(f"{source.name} is compressed, or says it is larger than it is: no torch checkpoint")


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Convert a pickled checkpoint (.pt, .pth, .bin) to safetensors.")
    parser.add_argument("file", type=Path, help="the checkpoint or diffusers folder; only one whose origin you trust")
    parser.add_argument("out", type=Path, help="the new file, ending in .safetensors, or the new folder")
    arguments = parser.parse_args()
    try:
        work = convert_folder if arguments.file.is_dir() else convert
        count = work(arguments.file, arguments.out)
    except (ValueError, OSError, UserError) as error:
        print(f"not converted: {error}", file=sys.stderr)
        return 1
    print(f"{count} tensors written to {arguments.out.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
