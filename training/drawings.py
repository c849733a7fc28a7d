"""The drawing packs in memory: what each picture shows, in which style, and its pixels with their alpha channel."""

import importlib.util
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.packs import DRAWING_PACKS, open_picture, read_index

SIDE_PX = 128


@dataclass(frozen=True)
class Drawing:
    """One line of a drawing pack; ``names`` and ``tags`` by language."""

    pack: str
    file: str
    split: str
    names: dict[str, str]
    tags: dict[str, tuple[str, ...]]
    style: str
    group: str
    family: str
    variant: bool


def drawing_of(pack: str, line: dict) -> Drawing:
    """Read an index line. A line without a split is not trained on."""
    return Drawing(
        pack=pack,
        file=line["file"],
        split=line.get("split", "val"),
        names={"en": line["name"], "zh": line["name_zh"]},
        tags={"en": tuple(line.get("tags", ())), "zh": tuple(line.get("tags_zh", ()))},
        style=line["style"],
        group=line["group"],
        family=line["family"],
        variant=line.get("variant", False),
    )


def load_drawings(data: Path, split: str, *, packs: Sequence[str] = DRAWING_PACKS) -> list[Drawing]:
    """The drawings of one split: ``train``, ``val`` or ``heldout_pair``, in the order of the packs."""
    if split not in ("train", "val", "heldout_pair"):
        raise ValueError(f"split must be train, val or heldout_pair, got {split!r}")
    drawings = [drawing_of(pack, line) for pack in packs for line in read_index(data / f"{pack}.zip")]
    return [drawing for drawing in drawings if drawing.split == split]


def load_styles(data: Path) -> dict[str, dict[str, str]]:
    """Phrase of each style in each language, such as ``{"fluent": {"en": "3D emoji", ...}}``."""
    return json.loads((data / "drawings_styles.json").read_text(encoding="utf-8"))


def load_pixels(data: Path, drawings: Sequence[Drawing]) -> torch.Tensor:
    """Decode drawings once: (N, 4, 128, 128) uint8, RGBA, 64 KiB each.

    Raises:
        ValueError: a drawing is not 128 x 128 px after tiles of 32 px were enlarged.
    """
    pixels = np.empty((len(drawings), 4, SIDE_PX, SIDE_PX), dtype=np.uint8)
    places: dict[str, list[int]] = {}
    for place, drawing in enumerate(drawings):
        places.setdefault(drawing.pack, []).append(place)
    for name, wanted in places.items():
        with zipfile.ZipFile(data / f"{name}.zip") as pack:
            for place in wanted:
                picture = open_picture(pack, drawings[place].file)
                if picture.size != (SIDE_PX, SIDE_PX):
                    raise ValueError(f"{name}: {drawings[place].file} is {picture.size}, expected {SIDE_PX} px square")
                pixels[place] = np.asarray(picture.convert("RGBA")).transpose(2, 0, 1)
    return torch.from_numpy(pixels)


def on_ground(rgba: torch.Tensor, ground: torch.Tensor) -> torch.Tensor:
    """Lay drawings on plain grounds.

    Args:
        rgba: (B, 4, H, W) uint8, colours not multiplied by alpha.
        ground: (B, 3) float, 0..1.

    Returns:
        (B, 3, H, W) float32, 0..1.
    """
    values = rgba.float() / 255
    alpha = values[:, 3:]
    return alpha * values[:, :3] + (1 - alpha) * ground[:, :, None, None]


def on_white(rgba: torch.Tensor) -> torch.Tensor:
    """Lay drawings on white: (B, 4, H, W) uint8 to (B, 3, H, W) float32, 0..1."""
    return on_ground(rgba, torch.ones(len(rgba), 3, device=rgba.device))


def load_perceptual(teachers: Path) -> nn.Module:
    """``Perceptual`` of the teachers' own ``load.py``: two (N, 3, H, W) pictures in 0..1 give N distances."""
    spec = importlib.util.spec_from_file_location("teachers_load", teachers / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Perceptual()
