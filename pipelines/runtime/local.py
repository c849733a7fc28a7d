"""The operator's models folder (``--models-dir``): checkpoints in safetensors, listed as they lie there.

For Zero-shot: a file named ``<architecture>__<anything>.safetensors``, with an architecture of open_clip, or a folder
with open_clip_config.json beside its weights. For Text to image: a diffusers folder (model_index.json), or a single
file, whose family its tensors' names tell. For Segment: a SAM or MobileSAM, told in the same way. For Tokenise: a
folder of diffusers' VQModel, or a VQGAN under its original names. Pickles are listed as refused, with the command that
converts them.
"""

import importlib.util
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from pipelines.runtime import diffusion_files, sam_files, vq_files
from pipelines.runtime.catalogue import PIPELINE, Availability, Entry, LocalFile
from pipelines.runtime.errors import UserError
from pipelines.runtime.weights import PICKLES, inside, pickle_refusal, read_header

TOPIC = "zero_shot"
LOADER = "pipelines.zero_shot.models:load"
CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "model.safetensors")
MOST_ENTRIES = 100
DIFFUSION = {
    "topic": "text_to_image",
    "loader": "pipelines.text_to_image.models:load",
    "packages": ("diffusers", "transformers", "accelerate"),
}
SAM = {
    "topic": "segment",
    "loader": "pipelines.segment.models:load",
    "packages": ("segment-anything", "opencv-python-headless", "pycocotools", "timm"),
}
VQ = {
    "topic": "tokenise",
    "loader": "pipelines.tokenise.models:load",
    "packages": ("diffusers",),
}


@dataclass(frozen=True)
class Listed:
    """A thing in the models folder and whether it can be used."""

    entry: Entry
    availability: Availability


def list_folder(models_dir: Path | None, *, skip: tuple[str, ...] = ()) -> tuple[Listed, ...]:
    """What lies in the models folder, sorted by name; files that are no checkpoint at all are left out.

    skip: names of what belongs to catalogue entries: folders with their files, and published files.
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
        blank, read = _reader(blank, path)
        entry = read(blank, path) if read else None
    except UserError as error:
        return Listed(blank, Availability("missing", error.key, error.values))
    return entry and Listed(entry, Availability("ready", "errors.available_local", {"name": name}))


def _reader(blank: Entry, path: Path) -> tuple[Entry, Callable[[Entry, Path], Entry | None] | None]:
    """The blank entry in its topic, and what reads a thing of this kind; None for what is no checkpoint."""
    if path.is_dir():
        if (path / PIPELINE).is_file():
            return _diffusion(blank), _from_diffusers_folder
        return (replace(blank, **VQ), _from_vq_folder) if vq_files.is_vq_folder(path) else (blank, _from_folder)
    if path.suffix in PICKLES:
        raise pickle_refusal(path)
    if path.suffix != ".safetensors":
        return blank, None
    if _architecture(blank.source.name):
        return blank, _from_file
    header = read_header(path)
    if vq_files.is_original(header):
        return replace(blank, **VQ), _from_original
    if diffusion_files.is_diffusion(header):
        return _diffusion(blank), _from_checkpoint
    if sam_files.architecture_of(header):
        return replace(blank, **SAM), _from_sam
    raise UserError("errors.local_name", name=blank.source.name)


def _architecture(name: str) -> str | None:
    """The architecture of open_clip that a file is named after. By the name in the folder: a link may lead to
    a file with another name."""
    architecture, mark, _ = name.partition("__")
    return architecture if mark and architecture in architectures() else None


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
    architecture = _architecture(blank.source.name)
    config = json.loads(architectures()[architecture].read_text(encoding="utf-8"))
    entry = replace(blank, architecture=architecture, image_size=_image_size(config), folder=path.parent)
    return _measured(entry, path)


def _from_diffusers_folder(blank: Entry, folder: Path) -> Entry:
    index = diffusion_files.read_index(folder)
    models = [part for part in index.parts if part.startswith(("unet", "vae", "text_encoder"))]
    files = [path for part in models for path in diffusion_files.part_files(folder, part).files]
    image_size = diffusion_files.picture_px(folder)
    entry = replace(blank, architecture=index.pipeline_class, image_size=image_size, folder=folder)
    return _counted(entry, folder / PIPELINE, files)


def _from_checkpoint(blank: Entry, path: Path) -> Entry:
    family = diffusion_files.family_of(read_header(path), name=blank.source.name)
    image_size = diffusion_files.FAMILY_PX[family]
    entry = replace(blank, architecture=family, image_size=image_size, folder=path.parent)
    return _counted(entry, path, [path])


def _from_sam(blank: Entry, path: Path) -> Entry:
    architecture = sam_files.architecture_of(read_header(path))
    entry = replace(blank, architecture=architecture, image_size=sam_files.IMAGE_PX, folder=path.parent)
    return _counted(entry, path, [path])


def _from_vq_folder(blank: Entry, folder: Path) -> Entry:
    config = vq_files.read_config(folder)
    weights = next((folder / name for name in vq_files.WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        pickles = sorted(path for path in folder.iterdir() if path.suffix in PICKLES)
        raise pickle_refusal(pickles[0]) if pickles else UserError("errors.vq_no_weights", name=folder.name)
    path = inside(folder, weights.name)
    read_header(path)
    size = vq_files.picture_px(config)
    return _counted(replace(blank, architecture=vq_files.CLASS, image_size=size, folder=folder), path, [path])


def _from_original(blank: Entry, path: Path) -> Entry:
    entry = replace(blank, architecture=vq_files.ORIGINAL, image_size=vq_files.PICTURE_PX, folder=path.parent)
    return _counted(entry, path, [path])


def _diffusion(blank: Entry) -> Entry:
    return replace(blank, **DIFFUSION)


def _counted(entry: Entry, weights: Path, files: list[Path]) -> Entry:
    states = [(path, path.stat()) for path in files]
    parameters = sum(diffusion_files.count_parameters(path, at.st_size, at.st_mtime_ns) for path, at in states)
    size = {"parameters": parameters, "bytes": sum(at.st_size for _, at in states), "memory_bytes": 4 * parameters}
    return replace(entry, weights=weights, **size)


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
