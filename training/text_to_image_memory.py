"""How much of what a text-to-image model draws is memory: the distance of pictures to their nearest training drawing.

The measure is held against real drawings that were never trained on: a picture that lies nearer to a training drawing
than all but a twentieth of the ``val`` drawings do is counted as a near copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d

from training.drawings import SIDE_PX, Drawing, load_pixels, on_white

SMALL_PX = 32
CANDIDATES = 8
NEAR = 0.05
CHUNK = 64


@dataclass(frozen=True, eq=False)
class Nearest:
    """Of each picture (N,): distance to its nearest training drawing, and which one that is."""

    distance: np.ndarray
    place: np.ndarray

    def figures(self, threshold: float) -> dict:
        """Median distance and share of near copies."""
        near = (self.distance <= threshold).mean()
        return {
            "n": len(self.distance),
            "median": round(float(np.median(self.distance)), 4),
            "near_copies": round(float(near), 4),
        }


def threshold_of(real: Nearest) -> float:
    """The distance below which a twentieth of real drawings lie that were never trained on."""
    return float(np.quantile(real.distance, NEAR))


def shrink(pictures: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, H) to rows of 32 x 32 px, (N, 3072)."""
    return avg_pool2d(pictures, pictures.shape[-1] // SMALL_PX).flatten(1)


class TrainingDrawings:
    """Finds the nearest of the training drawings on white.

    Eight candidates by the root mean square difference at 32 px; among them the nearest by the perceptual distance
    of the teachers, or, without one, the first.
    """

    def __init__(self, data: Path, drawings: Sequence[Drawing], perceptual: nn.Module | None):
        self.data, self.drawings, self.perceptual = data, drawings, perceptual
        parts = [
            shrink(on_white(load_pixels(data, drawings[start : start + CHUNK])))
            for start in range(0, len(drawings), CHUNK)
        ]
        self.small = torch.cat(parts)

    @torch.inference_mode()
    def nearest(self, pictures: torch.Tensor) -> Nearest:
        """Of (N, 3, 128, 128) pictures in 0..1."""
        distances = torch.cdist(shrink(pictures), self.small) / self.small.shape[1] ** 0.5  # (N, M)
        values, places = distances.topk(min(CANDIDATES, len(self.drawings)), largest=False)
        if self.perceptual is None:
            return Nearest(values[:, 0].numpy(), places[:, 0].numpy())
        found = [self._by_perception(picture, some) for picture, some in zip(pictures, places.tolist(), strict=True)]
        distance, place = zip(*found, strict=True)
        return Nearest(np.array(distance), np.array(place))

    def _by_perception(self, picture: torch.Tensor, places: list[int]) -> tuple[float, int]:
        candidates = on_white(load_pixels(self.data, [self.drawings[place] for place in places]))
        distances = self.perceptual(picture.expand(len(places), 3, SIDE_PX, SIDE_PX), candidates)
        best = int(distances.argmin())
        return distances[best].item(), places[best]

    def whose(self, nearest: Nearest, pairs: Sequence[tuple[str, str]]) -> dict:
        """How often the nearest drawing is of the picture's own name and style, of its name in another style."""
        found = [(self.drawings[place].names["en"], self.drawings[place].style) for place in nearest.place]
        same = [one == pair for one, pair in zip(found, pairs, strict=True)]
        named = [one[0] == pair[0] and one[1] != pair[1] for one, pair in zip(found, pairs, strict=True)]
        return {
            "of_name_and_style": round(float(np.mean(same)), 4),
            "of_name_in_another_style": round(float(np.mean(named)), 4),
        }
