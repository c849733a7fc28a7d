"""People with their joints in memory, and training crops of them: turned, scaled, mirrored, covered in part."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from pipelines.pose.crop import Crop, crop_of_box, cut, to_crop
from pipelines.pose.joints import JOINTS, MIRRORED
from training.packs import coco_id, held_out_coco_ids, read_index
from training.segment_data import recolour

POSE_PACKS = ("pose_lspet", "pose_coco")
MOST_TURN = {"lspet": np.pi, "coco": np.pi / 4}  # gymnasts are seen from all sides


@dataclass(frozen=True, eq=False)
class Person:
    """pixels (H, W, 3) uint8; joints (14, 2) pixels; seen (14,): 0 missing, 1 hidden, 2 visible; box x, y, w, h."""

    pixels: np.ndarray
    joints: np.ndarray
    seen: np.ndarray
    box: tuple[float, float, float, float]
    source: str


def person_of(line: dict, content: bytes) -> Person:
    """Decode one line of a pose pack; joints that LSP does not have are left out."""
    rows = np.array([line["joints"].get(name, (0, 0, 0)) for name in JOINTS], dtype=np.float64)
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    return Person(pixels, rows[:, :2], rows[:, 2].astype(np.int64), tuple(line["box"]), line.get("source") or "")


def load_people(data: Path, split: str, *, packs: Sequence[str] = POSE_PACKS) -> list[Person]:
    """All people of a split. A COCO picture that any pack holds out is trained on in none."""
    held = held_out_coco_ids(data) if split == "train" else set()
    people = []
    for name in packs:
        with zipfile.ZipFile(data / f"{name}.zip") as pack:
            for line in read_index(data / f"{name}.zip"):
                if line["split"] == split and coco_id(line["file"]) not in held:
                    people.append(person_of(line, pack.read(line["file"])))
    return people


@dataclass(frozen=True, eq=False)
class Batch:
    """Crops side by side. pictures (B, 3, S, S) uint8; joints (B, 14, 2) float32, -0.5..0.5; weights (B, 14): 0 where a
    joint is missing or out of the crop.
    """

    pictures: torch.Tensor
    joints: torch.Tensor
    weights: torch.Tensor

    def to(self, device: str) -> "Batch":
        """The same on another device."""
        return Batch(*(value.to(device, non_blocking=True) for value in vars(self).values()))


def mirror_joints(values: np.ndarray) -> np.ndarray:
    """Exchange left and right: (14, ...)."""
    return values[list(MIRRORED)]


def upright(person: Person, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The crop of an evaluation: pixels (size, size, 3), joints (14, 2) in -0.5..0.5, seen (14,)."""
    crop = crop_of_box(person.box)
    return cut(person.pixels, crop, size), to_crop(person.joints, crop), person.seen


class People:
    """Makes crop number ``index`` of a run; the same number gives the same crop."""

    def __init__(self, people: Sequence[Person], *, coco_share: float, seed: int):
        self.people, self.seed = people, seed
        coco = np.array([person.source == "coco" for person in people])
        shares = np.where(coco, coco_share / max(coco.sum(), 1), (1 - coco_share) / max((~coco).sum(), 1))
        self.probabilities = shares / shares.sum()

    def crop(self, index: int, size: int) -> tuple[np.ndarray, ...]:
        """Arrays of one crop, in the order of ``Batch``."""
        rng = np.random.default_rng((self.seed, index))
        person = self.people[rng.choice(len(self.people), p=self.probabilities)]
        crop = vary(crop_of_box(person.box), MOST_TURN.get(person.source, np.pi / 6), rng)
        pixels = cover(cut(recolour(person.pixels, rng), crop, size), rng)
        joints, weights = to_crop(person.joints, crop), (person.seen > 0).astype(np.float32)
        if crop.mirrored:
            joints, weights = mirror_joints(joints), mirror_joints(weights)
        inside = (np.abs(joints) < 0.5).all(axis=1)
        return pixels.transpose(2, 0, 1), joints.astype(np.float32), weights * inside

    def batch(self, first: int, count: int, size: int) -> Batch:
        """Crops ``first`` to ``first + count - 1``."""
        arrays = zip(*(self.crop(index, size) for index in range(first, first + count)), strict=True)
        return Batch(*(torch.from_numpy(np.stack(values)) for values in arrays))


def vary(crop: Crop, most_turn: float, rng: np.random.Generator) -> Crop:
    """Turn (four times in five), scale by 0.7 to 1.3, move by up to a tenth, mirror half of the time."""
    turn = rng.uniform(-most_turn, most_turn) if rng.random() < 0.8 else 0.0
    side = crop.side / rng.uniform(0.7, 1.3)
    move = rng.uniform(-0.1, 0.1, 2) * side
    return Crop(crop.x + move[0], crop.y + move[1], side, turn, bool(rng.random() < 0.5))


def cover(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half of the time lay one or two patches over the crop: of one colour, of noise, or of the crop itself."""
    if rng.random() < 0.5:
        return pixels
    pixels, size = pixels.copy(), len(pixels)
    for _ in range(rng.integers(1, 3)):
        height, width = (rng.uniform(0.08, 0.3, 2) * size).astype(int)
        top, left = rng.integers(size - height), rng.integers(size - width)
        kind = rng.integers(3)
        if kind == 0:
            patch = np.broadcast_to(rng.integers(0, 256, 3), (height, width, 3))
        elif kind == 1:
            patch = cv2.resize(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), (int(width), int(height)))
        else:
            other_top, other_left = rng.integers(size - height), rng.integers(size - width)
            patch = pixels[other_top : other_top + height, other_left : other_left + width].copy()
        pixels[top : top + height, left : left + width] = patch
    return pixels
