"""Measures both tokenisers for their cards: distances beside JPEG and WebP at as many bytes, use of codes, time.

    python -m training.measure_tokenise --data FOLDER --perceptual FOLDER

On centre crops of 256 px of pictures that are at least so large: val of the masks packs, and the app's example
photographs, which are in no pack. ``--perceptual`` is the teachers' folder: its MobileNetV2 was in no loss. Writes
``runs/tokenise/figures.json`` and ``examples.png``: a row a photograph: itself, VQGAN, twin, JPEG, WebP.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import VQModel
from PIL import Image

from pipelines.runtime.device import CPU
from pipelines.runtime.manifest import sha256_of
from pipelines.tokenise.compare import coded
from pipelines.tokenise.models import WEIGHTS, TokeniseModel, load_folder
from pipelines.tokenise.tokens import packed_bytes
from training.evaluate_tokenise import SIDE, feature_distance, open_pack, row_of
from training.intervals import estimate
from training.packs import SHARP_PACKS
from training.report import write_sheet
from training.tokenise_data import centre
from training.tokenise_validation import there_and_back

RUNS = Path("runs/tokenise")
MODELS = ("vqgan", "vqvae")
EXAMPLES = Path("assets/examples")
PHOTOGRAPHS = ("cat", "bee", "raccoon", "coffee", "citrus", "bridge", "rocket", "astronaut", "photographer", "coins")


def large_crops(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The centre of each picture that is large enough."""
    return [centre(picture, SIDE) for picture in pictures if min(picture.shape[:2]) >= SIDE]


def examples() -> list[np.ndarray]:
    """The app's photographs: (256, 256, 3) uint8 each."""
    pictures = [np.asarray(Image.open(EXAMPLES / f"{name}.jpg").convert("RGB")) for name in PHOTOGRAPHS]
    return large_crops(pictures)


def distances(model: TokeniseModel, crops: Sequence[np.ndarray], distance: Callable | None) -> dict:
    """Means with intervals of PSNR, SSIM and the distance of features, ours and the codecs'."""
    rows = []
    for crop in crops:
        back, indices = there_and_back(model.module, crop)
        size = packed_bytes(indices.size, model.codes)
        rows.append({"bytes": float(size), **row_of(crop, back, most_bytes=size, distance=distance)})
    values = np.array([list(row.values()) for row in rows])
    found = estimate(values, np.arange(len(rows)))
    columns = {name: {part: means[place] for part, means in found.items()} for place, name in enumerate(rows[0])}
    return {"n": len(rows), **columns}


def usage(model: TokeniseModel, pictures: Sequence[np.ndarray]) -> dict:
    """How many codes some pictures use, and the perplexity of their shares, which depends on the sample."""
    counts = np.zeros(model.codes)
    for picture in pictures:
        _, indices = there_and_back(model.module, centre(picture, SIDE))
        counts += np.bincount(indices.flatten(), minlength=model.codes)
    shares = counts[counts > 0] / counts.sum()
    return {
        "pictures": len(pictures),
        "tokens": int(counts.sum()),
        "codes": model.codes,
        "used": int((counts > 0).sum()),
        "perplexity": round(float(np.exp(-(shares * np.log(shares)).sum())), 1),
    }


def time_figures(vq: VQModel, crop: np.ndarray, *, repeats: int = 9) -> dict:
    """Milliseconds of a crop of 256 px there and back, median and least, by number of threads."""
    usual, by_threads = torch.get_num_threads(), {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        spent = []
        for _ in range(repeats + 1):
            begun = time.perf_counter()
            there_and_back(vq, crop)
            spent.append(1000 * (time.perf_counter() - begun))
        by_threads[str(threads)] = {
            "median_ms": round(float(np.median(spent[1:])), 1),
            "least_ms": round(min(spent), 1),
        }
    torch.set_num_threads(usual)
    return {"load": round(os.getloadavg()[0], 1), "by_threads": by_threads}


def draw_examples(models: Sequence[TokeniseModel], crops: Sequence[np.ndarray], path: Path) -> None:
    """Each crop, then what comes back from every model, from JPEG and from WebP."""
    tiles = []
    for crop in crops:
        size = packed_bytes((SIDE // models[0].cell) ** 2, models[0].codes)
        tiles += [crop, *(there_and_back(model.module, crop)[0] for model in models)]
        tiles += [coded(crop, codec, most_bytes=size).pixels for codec in ("JPEG", "WEBP")]
    write_sheet(path, tiles, columns=len(tiles) // len(crops))


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    models = {
        name: load_folder(name, options.runs / name / "model", placement=CPU)
        for name in MODELS
        if (options.runs / name / "model").exists()
    }
    distance = feature_distance(options.perceptual) if options.perceptual else None
    val = [picture for name in options.packs for picture in open_pack(options.data / f"{name}.zip", "val")]
    sets = {"outside": examples(), "val": large_crops(val)}
    some = [picture for name in options.packs for picture in open_pack(options.data / f"{name}.zip", "all")]
    some = some[:: max(1, len(some) // options.used)][: options.used]
    figures = {}
    for name, model in models.items():
        figures[name] = {
            "weights": sha256_of(options.runs / name / "model" / WEIGHTS),
            "parameters": sum(parameter.numel() for parameter in model.module.parameters()),
            "sets": {title: distances(model, crops, distance) for title, crops in sets.items() if crops},
            "usage": usage(model, some),
            "time": time_figures(model.module, sets["outside"][0]),
        }
    draw_examples(list(models.values()), sets["outside"], options.runs / "examples.png")
    (options.runs / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the packs")
    parser.add_argument("--packs", nargs="+", default=SHARP_PACKS, choices=SHARP_PACKS, metavar="PACK")
    parser.add_argument("--perceptual", type=Path, help="the teachers' folder: adds a distance of MobileNetV2 features")
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder with vqgan and vqvae; either may be missing")
    parser.add_argument("--used", type=int, default=500, help="pictures over which codes are counted")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
