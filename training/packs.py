"""Reads the training packs: zips with an ``index.jsonl`` and pictures, as ``training/README.md`` describes them."""

import io
import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

PHOTO_PACKS = (
    "photos_tiny",
    "photos_caltech101",
    "photos_caltech256",
    "photos_clothing",
    "photos_grocery",
    "photos_flowers",
    "photos_coco_objects",
    "photos_coco_captions",
)
DRAWING_PACKS = (
    "emoji_noto",
    "emoji_twemoji",
    "emoji_openmoji",
    "emoji_fluent",
    "emoji_fluentflat",
    "emoji_fx",
    "pixel_tiles",
    "clipart_openclipart",
)
SHARP_PACKS = ("masks_objects", "masks_people", "masks_parts", "masks_scenes")
COCO_ID = re.compile(r"(?:^|[/_])(\d{12})(?=[._])")


@dataclass(frozen=True)
class Row:
    """One picture of a pack: ``names`` and ``captions`` by language, the first name is the label."""

    file: str
    split: str
    names: dict[str, tuple[str, ...]]
    captions: dict[str, tuple[str, ...]]
    group: str
    source: str


def read_index(path: Path) -> list[dict]:
    """Return the lines of a pack's index."""
    with zipfile.ZipFile(path) as pack:
        return [json.loads(line) for line in pack.read("index.jsonl").decode("utf-8").splitlines() if line.strip()]


def row_of(line: dict) -> Row:
    """Bring an index line of any pack to one form."""
    name_en = line.get("label") or line.get("name")
    name_zh = line.get("label_zh") or line.get("name_zh")
    return Row(
        file=line["file"],
        split=line.get("split", "val"),
        names={
            "en": (name_en, *line.get("synonyms", ())) if name_en else (),
            "zh": (name_zh, *line.get("synonyms_zh", ())) if name_zh else (),
        },
        captions={
            "en": _sentences(line.get("captions"), line.get("caption")),
            "zh": _sentences(line.get("captions_zh"), line.get("caption_zh")),
        },
        group=line.get("group") or "photo",
        source=str(line.get("source") or line.get("src") or ""),
    )


def _sentences(many: list[str] | None, one: str | None) -> tuple[str, ...]:
    return tuple(many) if many else ((one,) if one else ())


def rows_of(path: Path) -> list[Row]:
    """Return all rows of a pack, in the order of its index."""
    return [row_of(line) for line in read_index(path)]


def open_picture(pack: zipfile.ZipFile, file: str) -> Image.Image:
    """Open one picture as RGB, or RGBA when it has an alpha channel; pixel tiles are enlarged by nearest neighbour."""
    picture = Image.open(io.BytesIO(pack.read(file)))
    transparent = picture.mode in ("RGBA", "LA") or "transparency" in picture.info
    picture = picture.convert("RGBA" if transparent else "RGB")
    if max(picture.size) <= 32:
        picture = picture.resize((picture.width * 4, picture.height * 4), Image.Resampling.NEAREST)
    return picture


def coco_id(text: str) -> str | None:
    """Return the 12-digit COCO picture number inside a file name or source path, or None."""
    found = COCO_ID.search(text)
    return found.group(1) if found else None


def held_out_coco_ids(data: Path) -> set[str]:
    """COCO pictures that any pack holds out; no pack may train on them."""
    ids = set()
    for path in sorted(data.glob("*.zip")):
        for line in read_index(path):
            if line.get("split", "train") != "train":
                ids.add(coco_id(str(line.get("source") or "")) or coco_id(line["file"]))
    return ids - {None}
