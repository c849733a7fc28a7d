"""The operator's models folder (``--models-dir``): open_clip checkpoints in safetensors, listed as they lie there.

A file is named ``<architecture>__<anything>.safetensors``, with an architecture of open_clip; a folder holds
open_clip_config.json beside its weights. Pickles are listed as refused, with the command that converts them.
"""

import importlib.util
import json
import math
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from pipelines.runtime.catalogue import Availability, Entry, LocalFile
from pipelines.runtime.errors import UserError
from pipelines.runtime.weights import PICKLES, inside, pickle_refusal, read_header

TOPIC = "zero_shot"
LOADER = "pipelines.zero_shot.models:load"
CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
MOST_ENTRIES = 100


@dataclass(frozen=True)
class Listed:
    """A thing in the models folder and whether it can be used."""

    entry: Entry
    availability: Availability


def list_folder(models_dir: Path | None, *, skip: tuple[str, ...] = ()) -> tuple[Listed, ...]:
    """What lies in the models folder, sorted by name; files that are no checkpoint at all are left out.

    skip: names of folders that hold the files of catalogue entries.
    """
    if models_dir is None or not models_dir.is_dir():
        return ()
    names = sorted(path.name for path in models_dir.iterdir() if path.name not in skip)
    listed = (_list_one(models_dir, name) for name in names[:MOST_ENTRIES] if not name.startswith("."))
    return tuple(one for one in listed if one is not None)


def _list_one(models_dir: Path, name: str) -> Listed | None:
    blank = _blank(name)
    try:
        path = inside(models_dir, name)
        if path.is_dir():
            entry = _from_folder(blank, path)
        elif path.suffix in PICKLES:
            raise pickle_refusal(path)
        else:
            entry = _from_file(blank, path) if path.suffix == ".safetensors" else None
    except UserError as error:
        return Listed(blank, Availability("missing", error.key, error.values))
    return entry and Listed(entry, Availability("ready", "errors.available_local", {"name": name}))


def _from_folder(blank: Entry, folder: Path) -> Entry | None:
    if not (folder / CONFIG).is_file():
        return None
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        pickles = sorted(path for path in folder.iterdir() if path.suffix in PICKLES)
        raise pickle_refusal(pickles[0]) if pickles else UserError("errors.local_no_weights", name=folder.name)
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["model_cfg"]
        image_size = _image_size(config)
        # A name like "hf-hub:..." would make a library ask the network for a config.
        if any(sign in config["vision_cfg"].get("timm_model_name", "") for sign in ":/"):
            raise ValueError("timm_model_name")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError("errors.local_config", name=folder.name) from error
    entry = replace(blank, architecture=folder.name, image_size=image_size, folder=folder)
    return _measured(entry, inside(folder, weights.name))


def _from_file(blank: Entry, path: Path) -> Entry:
    # By the name in the folder, since a link may point to a file with another name.
    architecture, mark, _ = blank.source.name.partition("__")
    known = architectures()
    if not mark or architecture not in known:
        raise UserError("errors.local_name", name=blank.source.name)
    config = json.loads(known[architecture].read_text(encoding="utf-8"))
    entry = replace(blank, architecture=architecture, image_size=_image_size(config), folder=path.parent)
    return _measured(entry, path)


def _measured(entry: Entry, weights: Path) -> Entry:
    status = weights.stat()
    is_twin, parameters = _read_summary(weights, status.st_size, status.st_mtime_ns)
    role = "twin" if is_twin else "main"
    size = {"parameters": parameters, "bytes": status.st_size, "memory_bytes": 4 * parameters}
    return replace(entry, weights=weights, role=role, **size)


@lru_cache(maxsize=2 * MOST_ENTRIES)
def _read_summary(weights: Path, size: int, mtime_ns: int) -> tuple[bool, int]:
    """(has a trained bias, numbers in all): a bias tells a model trained with the sigmoid loss.

    Read again only when the file's size or time changed.
    """
    header = read_header(weights)
    return "logit_bias" in header, sum(math.prod(tensor.shape) for tensor in header.values())


def _image_size(config: dict) -> int:
    size = config["vision_cfg"]["image_size"]
    size = size[0] if isinstance(size, list) else size
    if type(size) is not int or not 16 <= size <= 2048:
        raise ValueError("image_size")
    return size


def _blank(name: str) -> Entry:
    return Entry(
        id=f"local:{name}",
        topic=TOPIC,
        role="main",
        title={"en": name, "zh": name},
        source=LocalFile(name),
        loader=LOADER,
        architecture="",
        pretrained=None,
        licence="",
        parameters=0,
        bytes=0,
        memory_bytes=0,
        image_size=0,
        packages=("open_clip_torch",),
    )


@cache
def architectures() -> dict[str, Path]:
    """open_clip's architectures and their config files, found without importing the library (it imports torch)."""
    spec = importlib.util.find_spec("open_clip")
    folders = spec.submodule_search_locations if spec else ()
    return {path.stem: path for folder in folders for path in Path(folder, "model_configs").glob("*.json")}
