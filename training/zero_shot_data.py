"""What the zero-shot training draws from: precomputed picture features and the texts that go with them."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from pipelines.zero_shot.labels import fill
from pipelines.zero_shot.templates import TEMPLATES
from training.packs import DRAWING_PACKS, PHOTO_PACKS, SHARP_PACKS, Row, coco_id, held_out_coco_ids, rows_of
from training.words import Concept

# Sentences beyond the shipped ensemble, so that a visitor's own template is nothing new.
MORE_TEMPLATES = {
    "en": (
        "{}",
        "a {}",
        "the {}",
        "a photo of {}",
        "a photo of many {}",
        "a photo of one {}",
        "a blurry photo of a {}",
        "a bright photo of a {}",
        "a dark photo of a {}",
        "a cropped photo of the {}",
        "there is a {} in the picture",
        "this is a {}",
        "an image of a {}",
        "{} in the scene",
        "a good photo of a {}",
    ),
    "zh": (
        "{}",
        "一个{}",
        "{}的照片",
        "一张有{}的照片",
        "一张模糊的{}的照片",
        "一张明亮的{}的照片",
        "一张昏暗的{}的照片",
        "图中有一个{}",
        "图片里是{}",
        "这张照片拍的是{}",
        "许多{}的照片",
        "{}的图片",
        "场景中的{}",
        "一张很好的{}照片",
        "{}图",
    ),
}


# Only the two views of 224 px: on sharp photographs a probe trained on views of 160 px was 7 points worse, 128 px 23.
VIEWS = 2


@dataclass(frozen=True, eq=False)
class Pictures:
    """Features (N, V, 1280) float16 of N pictures in V views, their concept's number (N,), -1 without one."""

    features: torch.Tensor
    concept: torch.Tensor
    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: str) -> "Pictures":
        """The same on another device."""
        return replace(self, features=self.features.to(device), concept=self.concept.to(device))

    def draw(self, chosen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A random view of each chosen picture: (B, 1280) float32. Draws are made on the CPU on every device."""
        views = torch.randint(self.features.shape[1], (len(chosen),), generator=generator)
        device = self.features.device
        return self.features[chosen.to(device), views.to(device)].float()


def load_pictures(data: Path, features: Path, packs: tuple[str, ...], *, keep, concepts: list[Concept]) -> Pictures:
    """Load the rows of some packs for which ``keep(row)`` holds."""
    number = {concept.en[0]: index for index, concept in enumerate(concepts)}
    columns, rows = [], []
    for pack in packs:
        if not (features / f"{pack}.safetensors").exists():
            print(f"{pack} is left out: training.features has not computed it")
            continue
        lines = rows_of(data / f"{pack}.zip")
        chosen = [index for index, row in enumerate(lines) if keep(row)]
        columns.append(load_file(features / f"{pack}.safetensors")["features"][chosen, :VIEWS])
        rows += [lines[index] for index in chosen]
    numbers = [number.get(row.names["en"][0], -1) if row.names["en"] else -1 for row in rows]
    return Pictures(torch.cat(columns), torch.tensor(numbers), tuple(rows))


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All that is drawn from, by kind; concepts are numbered within their kind."""

    concepts: dict[str, list[Concept]]
    photos: Pictures
    drawings: Pictures
    captioned: Pictures
    sharp: Pictures
    words: list[str]

    def to(self, device: str) -> "TrainingData":
        """The same with features on another device."""
        kinds = ("photos", "drawings", "captioned", "sharp")
        return replace(self, **{kind: getattr(self, kind).to(device) for kind in kinds})


def proxy_ids(data: Path) -> set[str]:
    """COCO pictures of the masks packs that no photo pack trains on: kept out of everything, for the sharp test."""
    trained = {
        coco_id(row.source) for pack in PHOTO_PACKS for row in rows_of(data / f"{pack}.zip") if row.split == "train"
    }
    shown = {coco_id(row.file) for pack in ("masks_objects", "masks_people") for row in rows_of(data / f"{pack}.zip")}
    return shown - trained - {None}


def load_training(data: Path, features: Path, concepts: dict[str, list[Concept]], words: list[str]) -> TrainingData:
    """Load everything that may be trained on."""
    held_out = held_out_coco_ids(data) | proxy_ids(data)

    def allowed(row: Row) -> bool:
        return row.split == "train" and (coco_id(row.source) or coco_id(row.file)) not in held_out

    def load(packs: tuple[str, ...], keep, kind: str) -> Pictures:
        return load_pictures(data, features, packs, keep=keep, concepts=concepts[kind])

    return TrainingData(
        concepts=concepts,
        photos=load(PHOTO_PACKS, lambda row: allowed(row) and bool(row.names["en"]), "photo"),
        drawings=load(DRAWING_PACKS, allowed, "drawing"),
        captioned=load(("photos_coco_captions",), lambda row: allowed(row) and bool(row.captions["en"]), "photo"),
        sharp=load(SHARP_PACKS, allowed, "photo"),
        words=words,
    )


def sentence(name: str, language: str, generator: torch.Generator) -> str:
    """The name in a random template, bare in two of five cases."""
    if torch.rand((), generator=generator) < 0.4:
        return name
    templates = TEMPLATES[language] + MORE_TEMPLATES[language]
    return fill(pick(templates, generator), name)


def pick(values, generator: torch.Generator):
    """One of several values."""
    return values[int(torch.randint(len(values), (), generator=generator))]


def name_of(concept: Concept, language: str, generator: torch.Generator) -> str:
    """The label in six of ten cases, else any name."""
    names = concept.names(language)
    return names[0] if torch.rand((), generator=generator) < 0.6 else pick(names, generator)
