"""Builds two test sets of pictures that are in no training pack, in the form of the masks packs.

    python -m training.segment_outside [--stamps FOLDER]

``outside_photos.zip``: the app's example photographs with outlines traced by hand (``segment_outside.json``; those of
coins by a threshold that was looked at). They are few, and most of their objects have clear edges: a check, no survey.
``outside_composites.zip`` needs FOLDER, ``usr/share/tuxpaint/stamps`` of the Debian package tuxpaint-stamps-default
2022.06.04: photographs with alpha of animals, food, plants, tools and vehicles, pasted as they are on the examples.
Their masks are exact, but their edges are those of a paste. Neither is shipped.
"""

import argparse
import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

EXAMPLES = Path("assets/examples")
OUTLINES = Path(__file__).with_name("segment_outside.json")
OUT = Path("runs/segment")
GROUNDS = ("cat", "bee", "raccoon", "coffee", "bridge", "rocket", "astronaut", "photographer")
LONGEST = 480  # px, of a composite
COMPOSITES = 24
PASTED = 3
LEAST_COLOURS = 2000  # drawings have fewer
FINE = 4
KINDS = ("animals", "food", "household", "plants", "vehicles", "clothes", "hobbies", "sports")

Line = tuple[dict, bytes]


def filled(outline: dict, height: int, width: int) -> np.ndarray:
    """The pixels that an outline encloses by more than half: (H, W) bool."""
    if "ellipse" in outline:
        x, y, a, b, degrees = outline["ellipse"]
        turn = np.linspace(0, 2 * np.pi, 180, endpoint=False)
        angle = np.radians(degrees)
        axes = np.array([[np.cos(angle) * a, -np.sin(angle) * b], [np.sin(angle) * a, np.cos(angle) * b]])
        corners = np.stack([np.cos(turn), np.sin(turn)], axis=1) @ axes.T + (x, y)
    else:
        corners = np.array(outline["corners"], dtype=np.float64)
    fine = np.zeros((height * FINE, width * FINE), np.uint8)
    cv2.fillPoly(fine, [np.round((corners + 0.5) * FINE - 0.5).astype(np.int32)], 255)
    return cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA) > 127


def line_of(name: str, pixels: np.ndarray, objects: list[dict], *, source: str) -> Line:
    """An index line and the picture's file. objects: label, mask (H, W) bool and part_of."""
    rows = []
    for one in objects:
        rle = coco_mask.encode(np.asfortranarray(one["mask"].astype(np.uint8)))
        box, area = coco_mask.toBbox(rle).astype(int).tolist(), int(coco_mask.area(rle))
        rle = {"size": list(rle["size"]), "counts": rle["counts"].decode()}
        rows.append({"label": one["label"], "rle": rle, "box": box, "area": area, "part_of": one["part_of"]})
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "WEBP", quality=90)
    index = {"file": f"images/{name}.webp", "source": source, "split": "val", "objects": rows}
    return index | {"width": pixels.shape[1], "height": pixels.shape[0]}, content.getvalue()


def photographs() -> Iterable[Line]:
    """The examples with traced outlines."""
    for file, outlines in json.loads(OUTLINES.read_text(encoding="utf-8")).items():
        pixels = np.asarray(Image.open(EXAMPLES / file).convert("RGB"))
        objects = [
            {"label": one["name"], "mask": filled(one, *pixels.shape[:2]), "part_of": one.get("part_of")}
            for one in outlines
        ]
        yield line_of(Path(file).stem, pixels, objects, source="outside_photos")


def photographic_stamps(folder: Path) -> list[Path]:
    """Stamps with alpha that are photographs: so many colours that nobody drew them."""
    found = []
    for path in sorted(path for kind in KINDS for path in (folder / kind).rglob("*.png")):
        with Image.open(path) as picture:
            if picture.mode != "RGBA" or max(picture.size) < 100 or "cartoon" in path.parts:
                continue
            pixels = np.asarray(picture)
        solid = pixels[pixels[..., 3] > 127]
        if 0.1 < len(solid) / pixels[..., 3].size < 0.95 and len(np.unique(solid, axis=0)) >= LEAST_COLOURS:
            found.append(path)
    return found


def fitted(picture: Image.Image, longest: int) -> Image.Image:
    """The picture with a longer side of so many pixels."""
    scale = longest / max(picture.size)
    return picture.resize([max(1, round(side * scale)) for side in picture.size], Image.Resampling.LANCZOS)


def composite(number: int, stamps: list[Path]) -> Line:
    """Three stamps on an example; what one covers of another is no part of that other's mask."""
    rng = np.random.default_rng(number)
    ground = fitted(Image.open(EXAMPLES / f"{GROUNDS[number % len(GROUNDS)]}.jpg").convert("RGB"), LONGEST)
    masks: list[np.ndarray] = []
    for place in range(PASTED):
        stamp = fitted(
            Image.open(stamps[(number * PASTED + place) % len(stamps)]), round(rng.uniform(0.25, 0.6) * LONGEST)
        )
        corner = [
            round(rng.uniform(-0.1, 1.1 - part / whole) * whole)
            for part, whole in zip(stamp.size, ground.size, strict=True)
        ]
        layer = Image.new("RGBA", ground.size)
        layer.paste(stamp, corner)
        ground.paste(layer, mask=layer.getchannel("A"))
        mask = np.asarray(layer.getchannel("A")) > 127
        masks = [*(below & ~mask for below in masks), mask]
    objects = [{"label": None, "mask": mask, "part_of": None} for mask in masks if mask.sum() >= 400]
    return line_of(f"{number:02}", np.asarray(ground), objects, source="outside_composites")


def write_pack(path: Path, lines: Iterable[Line]) -> None:
    """A masks pack."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as pack:
        index = []
        for line, content in lines:
            pack.writestr(line["file"], content)
            index.append(json.dumps(line, ensure_ascii=False))
        pack.writestr("index.jsonl", "\n".join(index) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stamps", type=Path, help="folder of the stamps; without it no composites")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    write_pack(options.out / "outside_photos.zip", photographs())
    if options.stamps:
        stamps = photographic_stamps(options.stamps)
        order = np.random.default_rng(0).permutation(len(stamps))
        chosen = [stamps[place] for place in order]
        write_pack(options.out / "outside_composites.zip", (composite(number, chosen) for number in range(COMPOSITES)))
        print(f"{len(stamps)} stamps")


if __name__ == "__main__":
    main()
