"""Pictures with masks in memory, and training scenes cut from them: plain crops and composites with exact masks."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from training.drawings import load_drawings, load_pixels
from training.packs import SHARP_PACKS, coco_id, held_out_coco_ids, read_index

# How often a source is drawn: scenes and salient objects most, cells and heads little.
SOURCE_WEIGHTS = {
    "coco": 0.34,
    "ecssd": 0.30,
    "pennfudan": 0.06,
    "ccp": 0.14,
    "fasseg": 0.06,
    "ade20k": 0.04,
    "dsb2018": 0.06,
}
DRAWN_GROUPS = ("animals", "nature", "food", "travel", "activities", "objects", "smileys", "people")


@dataclass(frozen=True, eq=False)
class Annotated:
    """A picture (H, W, 3) uint8 RGB with its objects: compressed run lengths, and for each the index of its whole."""

    pixels: np.ndarray
    counts: tuple[dict, ...]
    part_of: tuple[int | None, ...]
    areas: np.ndarray
    source: str

    def mask(self, index: int) -> np.ndarray:
        """(H, W) uint8, 0 or 1."""
        return coco_mask.decode(self.counts[index])

    def chain(self, index: int, x: int, y: int) -> list[int]:
        """Objects that a click at x, y on object ``index`` may mean as well: its wholes, and its parts below it."""
        found, whole = [], self.part_of[index]
        while whole is not None:
            found.append(whole)
            whole = self.part_of[whole]
        parts = [part for part, whole in enumerate(self.part_of) if whole == index]
        return found + [part for part in parts if self.mask(part)[y, x]]


def annotated_of(line: dict, content: bytes) -> Annotated:
    """Decode one picture of a masks pack."""
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    counts = tuple({**one["rle"], "counts": one["rle"]["counts"].encode()} for one in line["objects"])
    return Annotated(
        pixels,
        counts,
        tuple(one.get("part_of") for one in line["objects"]),
        coco_mask.area(list(counts)).astype(np.float64),
        line.get("source") or "",
    )


def load_annotated(data: Path, split: str, *, packs: tuple[str, ...] = SHARP_PACKS) -> list[Annotated]:
    """All pictures of a split that have objects. A COCO picture that any pack holds out is trained on in none."""
    held = held_out_coco_ids(data) if split == "train" else set()
    pictures = []
    for name in packs:
        with zipfile.ZipFile(data / f"{name}.zip") as pack:
            for line in read_index(data / f"{name}.zip"):
                if line["split"] != split or not line["objects"] or coco_id(line["file"]) in held:
                    continue
                pictures.append(annotated_of(line, pack.read(line["file"])))
    return pictures


def load_cut_outs(data: Path, *, most: int, packs: tuple[str, ...]) -> np.ndarray:
    """Drawings with alpha to paste: (N, 128, 128, 4) uint8. Flags, symbols and variants are left out."""
    drawings = [
        one
        for one in load_drawings(data, "train", packs=packs)
        if one.group in DRAWN_GROUPS and not one.variant and not (one.pack == "pixel_tiles" and one.group == "nature")
    ]
    step = max(1, -(-len(drawings) // most))
    pixels = load_pixels(data, drawings[::step]).permute(0, 2, 3, 1).contiguous().numpy()
    share = (pixels[..., 3] > 127).mean(axis=(1, 2))
    return pixels[(share > 0.03) & (share < 0.9)]


def source_probabilities(pictures: list[Annotated]) -> np.ndarray:
    """Probability of each picture: sources by their weights, pictures of one source alike."""
    weights = np.array([SOURCE_WEIGHTS.get(one.source, 0.05) for one in pictures])
    _, inverse, counts = np.unique([one.source for one in pictures], return_inverse=True, return_counts=True)
    weights = weights / counts[inverse]
    return weights / weights.sum()


def framing(height: int, width: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """A (2, 3) map from picture to frame, half of the time SAM's own (longer side fills the frame, at the top left).

    Otherwise scaled by 0.6 to 2, a random part that fills the frame as far as the picture reaches; mirrored half of
    the time.
    """
    fit = size / max(height, width)
    scale = fit if rng.random() < 0.5 else fit * np.exp(rng.uniform(np.log(0.6), np.log(2.0)))
    left = rng.uniform(0, max(width * scale - size, 0))
    top = rng.uniform(0, max(height * scale - size, 0))
    middle = (scale - 1) / 2  # pixels are squares: the middle of the first one lies at 0, its edge at -1/2
    if rng.random() < 0.5:  # x becomes width - 1 - x first
        return np.array([[-scale, 0, (width - 1) * scale + middle - left], [0, scale, middle - top]])
    return np.array([[scale, 0, middle - left], [0, scale, middle - top]])


def warp(pixels: np.ndarray, matrix: np.ndarray, size: int, *, ground: tuple[int, int, int]) -> np.ndarray:
    """Bring a picture into the frame: (size, size, 3) uint8; averaged where it shrinks by more than a third."""
    scale = abs(matrix[1, 1])
    if scale < 0.67:
        pixels = cv2.blur(pixels, (2 * round(0.5 / scale) + 1,) * 2)  # an even window would move the picture
    return cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=ground)


def warp_mask(mask: np.ndarray, matrix: np.ndarray, cells: int) -> np.ndarray:
    """Bring a mask (H, W) uint8 into a frame that is half as fine as the matrix says: (cells, cells) bool."""
    halved = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]]) @ np.vstack([matrix, (0, 0, 1)])
    return cv2.warpAffine(mask * np.uint8(255), halved, (cells, cells), flags=cv2.INTER_LINEAR) > 127


def recolour(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast, saturation and gamma a little: (H, W, 3) uint8."""
    values = pixels.astype(np.float32) / 255
    values = values ** np.float32(np.exp(rng.normal(0, 0.15)))
    grey = values.mean(axis=2, keepdims=True)
    values = grey + (values - grey) * np.float32(rng.uniform(0.6, 1.4))
    values = (values - 0.5) * np.float32(rng.uniform(0.8, 1.2)) + 0.5 + np.float32(rng.normal(0, 0.05))
    values = values * rng.normal(1, 0.04, 3).astype(np.float32)
    return (values.clip(0, 1) * 255).astype(np.uint8)
