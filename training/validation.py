"""Figures of a zero-shot student on precomputed features, while it trains: never on anything it trains on."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from pipelines.zero_shot.templates import TEMPLATES
from training.packs import DRAWING_PACKS, PHOTO_PACKS
from training.words import LANGUAGES, Concept
from training.zero_shot_data import Pictures, load_pictures
from training.zero_shot_model import Encoder, Student


def ranks(cosines: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Place of the true name, 0 is the first: cosines (B, T), truth (B,) -> (B,) int64."""
    return (cosines > cosines.gather(1, truth[:, None])).sum(dim=1)


def top(places: torch.Tensor, count: int) -> float:
    """Share of pictures whose true name is among the first ``count``."""
    return (places < count).float().mean().item()


@dataclass(frozen=True, eq=False)
class Validation:
    """Pictures that no training sees: photographs, sharp cut-outs, drawings in a style held out for their name."""

    photos: Pictures
    sharp: Pictures
    emoji: Pictures
    concepts: dict[str, list[Concept]]
    encoder: Encoder

    def to(self, device: str) -> "Validation":
        """The same with features on another device."""
        return replace(self, **{kind: getattr(self, kind).to(device) for kind in ("photos", "sharp", "emoji")})

    @torch.no_grad()
    def __call__(self, student: Student) -> dict[str, float]:
        """top-1 and top-5 among all names of the kind, by language."""
        figures = {}
        for language in LANGUAGES:
            names = [concept.names(language)[0] for concept in self.concepts["photo"]]
            texts = self.encoder.ensemble(student, names, TEMPLATES[language][:2])
            for title, pictures in (("val", self.photos), ("sharp", self.sharp)):
                images = student.encode_image(pictures.features[:, 0].float())
                places = ranks(images @ texts.T, pictures.concept)
                figures |= {f"{title}_{language}_top1": top(places, 1), f"{title}_{language}_top5": top(places, 5)}
            figures |= self._emoji(student, language)
        return figures

    def _emoji(self, student: Student, language: str) -> dict[str, float]:
        names = [concept.names(language)[0] for concept in self.concepts["drawing"]]
        texts = self.encoder.ensemble(student, names, ("{}",))
        images = student.encode_image(self.emoji.features[:, 0].float())
        places = ranks(images @ texts.T, self.emoji.concept)
        return {f"emoji_{language}_r1": top(places, 1), f"emoji_{language}_r5": top(places, 5)}


def load_validation(data: Path, features: Path, concepts: dict[str, list[Concept]], encoder: Encoder) -> Validation:
    """Load the held-out pictures."""
    number = {concept.en[0] for concept in concepts["photo"]}

    def named(row) -> bool:
        return bool(row.names["en"]) and row.names["en"][0] in number

    return Validation(
        photos=load_pictures(
            data, features, PHOTO_PACKS, keep=lambda row: row.split == "val" and named(row), concepts=concepts["photo"]
        ),
        sharp=load_pictures(features.parent, features, ("sharp_proxy",), keep=named, concepts=concepts["photo"]),
        emoji=load_pictures(
            data, features, DRAWING_PACKS, keep=lambda row: row.split == "heldout_pair", concepts=concepts["drawing"]
        ),
        concepts=concepts,
        encoder=encoder,
    )
