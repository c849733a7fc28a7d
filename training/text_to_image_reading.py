"""Names read back from pictures by the bundled CLIP, beside what it reads from the real drawings."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file

from pipelines.zero_shot.classify import encode_labels, encode_picture
from pipelines.zero_shot.models import ZeroShotModel
from pipelines.zero_shot.templates import TEMPLATES
from training.drawings import Drawing, drawing_of, load_pixels, on_white
from training.evaluate_zero_shot import interval, mean, ranks
from training.packs import DRAWING_PACKS, read_index
from training.report import to_bytes
from training.text_to_image_sheet import Prompt

CACHE = Path("runs/text_to_image")


def all_drawings(data: Path) -> list[Drawing]:
    """Every line of every drawing pack that lies in the folder, whatever its split."""
    packs = [pack for pack in DRAWING_PACKS if (data / f"{pack}.zip").exists()]
    return [drawing_of(pack, line) for pack in packs for line in read_index(data / f"{pack}.zip")]


class Reader:
    """A CLIP with a list of names, encoded with the shipped templates, from which it reads.

    The features of ``names`` are kept in ``cache``: 26,000 texts take a minute. ``more`` are names beside them.
    """

    def __init__(
        self, clip: ZeroShotModel, names: Sequence[str], language: str, *, more: Sequence[str] = (), cache: Path = CACHE
    ):
        self.clip, self.language = clip, language
        self.names = tuple(dict.fromkeys((*names, *more)))
        more = self.names[len(names) :]
        self.place = {name: place for place, name in enumerate(self.names)}
        self.texts = kept_features(clip, names, language, cache / f"names_{language}.safetensors")  # (L, D)
        if more:
            self.texts = np.concatenate([self.texts, encode_labels(clip, more, templates=TEMPLATES[language]).features])

    def cosines(self, pictures: torch.Tensor) -> np.ndarray:
        """(N, 3, H, W) floats in 0..1 to (N, L)."""
        features = [encode_picture(self.clip, pixels).feature for pixels in to_bytes(pictures)]
        return np.stack(features) @ self.texts.T

    def ranks(self, pictures: torch.Tensor, names: Sequence[str]) -> np.ndarray:
        """Place of each picture's true name among all, 0 is the first: (N,)."""
        return ranks(self.cosines(pictures), np.array([self.place[name] for name in names]))


def kept_features(clip: ZeroShotModel, names: Sequence[str], language: str, file: Path) -> np.ndarray:
    """Features (L, D) float32 of the names, from the file if it was made of the same names, templates and weights."""
    digest = hashlib.sha256("\n".join((*TEMPLATES[language], *names)).encode())
    for value in clip.module.state_dict().values():
        digest.update(value.detach().float().cpu().numpy().tobytes())
    key = digest.hexdigest()
    if file.exists():
        with safe_open(file, "numpy") as saved:
            if saved.metadata()["key"] == key:
                return saved.get_tensor("features")
    features = encode_labels(clip, tuple(names), templates=TEMPLATES[language]).features
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({"features": features}, file, metadata={"key": key})
    return features


@dataclass(frozen=True, eq=False)
class Readings:
    """Where the true name stood: in each line's picture (N,), and in all real drawings of its name and style."""

    prompts: Sequence[Prompt]
    drawn: np.ndarray
    real: list[np.ndarray]

    def hits(self, among: int) -> np.ndarray:
        """Whether the name was among the first ``among``: (N,) of 0 and 1."""
        return (self.drawn < among).astype(float)

    def ceiling(self, among: int) -> np.ndarray:
        """The share of a line's real drawings whose name was among the first ``among``: (N,)."""
        return np.array([(places < among).mean() for places in self.real])

    def part(self, chosen: Sequence[bool]) -> "Readings":
        """Some of the lines."""
        places = np.flatnonzero(chosen)
        return Readings([self.prompts[place] for place in places], self.drawn[places], [self.real[p] for p in places])

    def figures(self) -> dict:
        """``n, top1, top5, ceiling_top1, ceiling_top5``."""
        shares = {f"top{among}": mean(self.hits(among)) for among in (1, 5)}
        return {
            "n": len(self.drawn),
            **shares,
            **{f"ceiling_top{among}": mean(self.ceiling(among)) for among in (1, 5)},
        }

    def intervals(self) -> dict:
        """95 % intervals of top-1, top-5, and of top-5 as a share of its ceiling, lines resampled."""
        hits, ceiling = self.hits(5), self.ceiling(5)
        found = {f"top{among}_95": interval(self.hits(among)) for among in (1, 5)}
        if not ceiling.any():
            return found
        share = round(float(hits.mean() / ceiling.mean()), 4)
        return found | {"top5_of_ceiling": share, "top5_of_ceiling_95": ratio_interval(hits, ceiling)}

    def by(self, field: str) -> dict[str, dict]:
        """Figures of the lines of each value of ``kind``, ``group`` or ``style``."""
        values = [getattr(prompt, field) for prompt in self.prompts]
        return {value: self.part([one == value for one in values]).figures() for value in sorted(set(values)) if value}


def ratio_interval(values: np.ndarray, others: np.ndarray, *, resamples: int = 1000) -> list[float]:
    """95 % interval of mean(values) / mean(others), pairs resampled; resamples whose second mean is 0 are left out."""
    generator = np.random.default_rng(0)
    chosen = generator.integers(len(values), size=(resamples, len(values)))
    above, below = values[chosen].mean(axis=1), others[chosen].mean(axis=1)
    ratios = above[below > 0] / below[below > 0]
    return [round(float(value), 4) for value in np.percentile(ratios, (2.5, 97.5))]


def read_real(
    reader: Reader, data: Path, drawings: Sequence[Drawing], prompts: Sequence[Prompt]
) -> dict[tuple[str, str], np.ndarray]:
    """Ranks of the names in all real drawings of each line's name and style, by (English name, style)."""
    wanted = {(prompt.name, prompt.style): prompt.names[reader.language] for prompt in prompts}
    places: dict[tuple[str, str], list[int]] = {}
    for place, drawing in enumerate(drawings):
        if (drawing.names["en"], drawing.style) in wanted:
            places.setdefault((drawing.names["en"], drawing.style), []).append(place)
    return {
        pair: reader.ranks(on_white(load_pixels(data, [drawings[place] for place in some])), [wanted[pair]] * len(some))
        for pair, some in places.items()
    }


def names_of(drawings: Sequence[Drawing], language: str) -> list[str]:
    """All names in alphabetical order, each once."""
    return sorted({drawing.names[language] for drawing in drawings})
