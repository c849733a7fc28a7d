"""How near a tokeniser's pictures come back, beside JPEG and WebP at the same number of bytes."""

import argparse
import importlib.util
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from pipelines.runtime.context import Runtime
from pipelines.tokenise.compare import coded, psnr_db, ssim
from pipelines.tokenise.models import TokeniseModel, load_folder
from pipelines.tokenise.tokens import packed_bytes
from training.evaluate_zero_shot import interval
from training.packs import open_picture, read_index
from training.perceptual import HALVES, FeatureDistance
from training.tokenise_data import centre
from training.tokenise_validation import there_and_back

SIDE = 256
ROLES = {"vqgan": "main", "vqvae": "twin"}
CODECS = {"": None, "jpeg_": "JPEG", "webp_": "WEBP"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this topic. ``--model`` also takes vqgan and vqvae, for the bundled ones."""
    parser.add_argument("--pack", type=Path, required=True, help="a zip with index.jsonl and pictures")
    parser.add_argument("--folder", type=Path, help="a run's model folder, in place of a model of the catalogue")
    parser.add_argument("--split", help="a split's name, or all; without it every row that is not of the split train")
    parser.add_argument("--perceptual", type=Path, help="the teachers' folder: adds a distance of MobileNetV2 features")


def load(runtime: Runtime, options: argparse.Namespace) -> TokeniseModel:
    """The model that was asked for, or the bundled VQGAN."""
    if options.folder:
        return load_folder(options.folder.name, options.folder, placement=runtime.placement)
    if options.model in (None, *ROLES):
        return runtime.load(runtime.choose("tokenise", role=ROLES[options.model or "vqgan"]).entry.id)
    return runtime.load(options.model)


def evaluate(model: TokeniseModel, options: argparse.Namespace) -> dict:
    """Means over the centre crops of 256 px of all pictures that are at least so large; none is enlarged."""
    vq = model.module.float()
    distance = feature_distance(options.perceptual) if options.perceptual else None
    rows, used, skipped = [], set(), 0
    for picture in open_pack(options.pack, options.split):
        if min(picture.shape[:2]) < SIDE:
            skipped += 1
            continue
        crop = centre(picture, SIDE)
        back, indices = there_and_back(vq, crop)
        used |= set(indices.flatten().tolist())
        size = packed_bytes(indices.size, model.codes)
        rows.append({"bytes": size, **row_of(crop, back, most_bytes=size, distance=distance)})
    if not rows:
        raise SystemExit(f"{options.pack.name} has no picture of {SIDE} px; {skipped} are smaller")
    figures = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}
    figures |= {f"{name}_95": interval(np.array([row[name] for row in rows])) for name in ("psnr", "ssim")}
    return {"n": len(rows), "skipped": skipped, **figures, "codes_used": len(used), "codes": model.codes}


def row_of(crop: np.ndarray, back: np.ndarray, *, most_bytes: int, distance: Callable | None) -> dict[str, float]:
    """Figures of one crop: ours, then JPEG's and WebP's within as many bytes."""
    row = {}
    for prefix, codec in CODECS.items():
        other = back if codec is None else coded(crop, codec, most_bytes=most_bytes).pixels
        row |= {f"{prefix}psnr": min(psnr_db(crop, other), 100.0), f"{prefix}ssim": ssim(crop, other)}
        if distance:
            row[f"{prefix}perceptual"] = distance(crop, other)
    return row


def open_pack(path: Path, split: str | None) -> Iterator[np.ndarray]:
    """Pictures (H, W, 3) uint8 of a split, of all, or, when none is named, those that are not of ``train``."""
    with zipfile.ZipFile(path) as pack:
        for line in read_index(path):
            own = line.get("split", "val")
            if split == "all" or (own != "train" if split is None else own == split):
                yield np.asarray(open_picture(pack, line["file"]).convert("RGB"))


def feature_distance(teachers: Path) -> Callable[[np.ndarray, np.ndarray], float]:
    """Distance in MobileNetV2's features at strides 2 to 16: a network that no loss of ours has seen.

    As in the perceptual loss, features have unit length at each position; squared differences are averaged over
    positions and added over depths.
    """
    spec = importlib.util.spec_from_file_location("teachers_load", teachers / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    measure = FeatureDistance(module.mobilenet(), mean=HALVES, std=HALVES)

    @torch.no_grad()
    def distance(pixels: np.ndarray, other: np.ndarray) -> float:
        pair = (torch.from_numpy(one.copy()).permute(2, 0, 1)[None].float() / 255 for one in (pixels, other))
        return float(measure(*pair))

    return distance
