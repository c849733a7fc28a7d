"""Crops of every kind of picture in memory, for the training of the tokenisers."""

import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from training.drawings import load_drawings, load_pixels
from training.packs import coco_id, held_out_coco_ids, open_picture, read_index

SHARES = {"photo": 0.25, "sharp": 0.6, "drawing": 0.15}


def load_pictures(data: Path, packs: Iterable[str], split: str, *, every: int = 1) -> list[np.ndarray]:
    """Decode photographs once: (H, W, 3) uint8 each. A COCO picture that any pack holds out is trained on in none."""
    held = held_out_coco_ids(data) if split == "train" else set()
    pictures = []
    for name in packs:
        lines = [line for line in read_index(data / f"{name}.zip") if line.get("split", "val") == split]
        with zipfile.ZipFile(data / f"{name}.zip") as pack:
            for line in lines[::every]:
                if (coco_id(str(line.get("source") or "")) or coco_id(line["file"])) not in held:
                    pictures.append(np.asarray(open_picture(pack, line["file"]).convert("RGB")))
    return pictures


def load_drawn(data: Path, packs: Sequence[str], split: str, *, every: int = 1) -> np.ndarray:
    """Drawings with their alpha channel: (N, 128, 128, 4) uint8."""
    drawings = load_drawings(data, split, packs=packs)[::every]
    return load_pixels(data, drawings).permute(0, 2, 3, 1).contiguous().numpy()


class Crops:
    """Makes crop number ``index`` of a run; the same number gives the same crop.

    Kinds are drawn by ``SHARES``; a kind none of whose pictures is as large as the crop is left out.
    """

    def __init__(self, kinds: dict[str, Sequence[np.ndarray]], *, seed: int):
        self.kinds, self.seed = {name: list(pictures) for name, pictures in kinds.items() if len(pictures)}, seed
        self._of_size: dict[int, dict[str, list[np.ndarray]]] = {}

    def large_enough(self, size: int) -> dict[str, list[np.ndarray]]:
        """The pictures whose sides are both at least ``size``, by kind."""
        if size not in self._of_size:
            kinds = {name: [p for p in many if min(p.shape[:2]) >= size] for name, many in self.kinds.items()}
            self._of_size[size] = {name: many for name, many in kinds.items() if many}
        return self._of_size[size]

    def crop(self, index: int, size: int) -> np.ndarray:
        """(size, size, 3) uint8, mirrored half of the time; drawings on white, or on a random colour."""
        rng = np.random.default_rng((self.seed, index))
        kinds = self.large_enough(size)
        shares = np.array([SHARES[name] for name in kinds])
        pictures = kinds[list(kinds)[rng.choice(len(shares), p=shares / shares.sum())]]
        picture = pictures[rng.integers(len(pictures))]
        top, left = (int(rng.integers(side - size + 1)) for side in picture.shape[:2])
        cut = picture[top : top + size, left : left + size]
        if cut.shape[2] == 4:
            ground = np.full(3, 255.0) if rng.random() < 0.5 else rng.uniform(0, 255, 3)
            alpha = cut[..., 3:] / 255
            cut = (alpha * cut[..., :3] + (1 - alpha) * ground).round().astype(np.uint8)
        return np.ascontiguousarray(cut[:, ::-1] if rng.random() < 0.5 else cut)

    def batch(self, first: int, count: int, size: int) -> torch.Tensor:
        """Crops ``first`` to ``first + count - 1``: (count, 3, size, size) uint8."""
        crops = np.stack([self.crop(index, size) for index in range(first, first + count)])
        return torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()


def centre(picture: np.ndarray, most: int, *, cell: int = 8) -> np.ndarray:
    """The middle of a picture, sides multiples of ``cell`` and at most ``most``."""
    height, width = (min(side, most) // cell * cell for side in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return np.ascontiguousarray(picture[top : top + height, left : left + width])
