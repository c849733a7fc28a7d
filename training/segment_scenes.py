"""Training scenes of the SAM: a picture or a composite in its frame, prompts, and every mask that a prompt may mean."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from pipelines.segment.clicks import box_of, deepest
from training.segment_data import Annotated, framing, recolour, source_probabilities, warp, warp_mask

GROUND = (124, 116, 104)  # the mean that normalising brings to zero: SAM's padding
MEANT = 3  # masks that one prompt may mean: the chosen one first
FULL_SIZE = 256  # prompts are in pixels of this frame, whatever the picture's size
LEAST_CELLS = 12
MOST_PASTED = 6


@dataclass(frozen=True, eq=False)
class Batch:
    """Scenes side by side. pictures (B, 3, S, S) uint8; clicks (B, P, 2) and boxes (B, P, 4) float32, full-size pixels;
    targets (B, P, 3, S/2, S/2) uint8: the chosen mask, then others that one click may mean; meant (B, P, 3) bool.
    """

    pictures: torch.Tensor
    clicks: torch.Tensor
    boxes: torch.Tensor
    targets: torch.Tensor
    meant: torch.Tensor

    def to(self, device: str) -> "Batch":
        """The same on another device."""
        return Batch(*(value.to(device, non_blocking=True) for value in vars(self).values()))


@dataclass(frozen=True, eq=False)
class Thing:
    """An object of a scene: its mask (C, C) bool when asked, and what a click at a cell on it may mean besides."""

    mask: Callable[[], np.ndarray]
    others: Callable[[int, int], list[Callable[[], np.ndarray]]]
    weight: float


class Scenes:
    """Makes scene number ``index`` of a run; the same number gives the same scene."""

    def __init__(
        self, pictures: Sequence[Annotated], cut_outs: np.ndarray, *, prompts: int, composite: float, seed: int
    ):
        self.pictures, self.cut_outs = pictures, cut_outs
        self.prompts, self.composite, self.seed = prompts, composite, seed
        self.probabilities = source_probabilities(list(pictures))

    def scene(self, index: int, size: int) -> tuple[np.ndarray, ...]:
        """Arrays of one scene, in the order of ``Batch``."""
        rng = np.random.default_rng((self.seed, index))
        while True:  # a crop may hold no object that is large enough
            picture = self.pictures[rng.choice(len(self.pictures), p=self.probabilities)]
            matrix = framing(*picture.pixels.shape[:2], size, rng)
            pixels = warp(recolour(picture.pixels, rng), matrix, size, ground=GROUND)
            things = own_things(picture, matrix, size // 2)
            if rng.random() < self.composite:
                pixels, things = self._paste(pixels, things, size, rng)
            prompted = draw_prompts(things, self.prompts, size // 2, rng)
            if prompted is not None:
                return pixels.transpose(2, 0, 1), *prompted

    def batch(self, first: int, count: int, size: int) -> Batch:
        """Scenes ``first`` to ``first + count - 1``."""
        arrays = zip(*(self.scene(index, size) for index in range(first, first + count)), strict=True)
        return Batch(*(torch.from_numpy(np.stack(values)) for values in arrays))

    def _paste(self, pixels: np.ndarray, things: list[Thing], size: int, rng: np.random.Generator):
        """Lay one to six cut-outs over the frame; what they cover is taken from the things below them."""
        layers = []
        for _ in range(rng.integers(1, MOST_PASTED + 1)):
            layer = place(self._cut_out(rng), size, rng)
            pixels = blend(pixels, layer, rng)
            layers.append(cv2.resize(layer[..., 3], (size // 2,) * 2, interpolation=cv2.INTER_AREA) > 127)
        if rng.random() < 0.3:
            pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.2))
        visible, above = [], np.zeros_like(layers[0])
        for layer in reversed(layers):
            visible.append(layer & ~above)
            above = above | layer
        pasted = [
            Thing(lambda mask=mask: mask, lambda x, y: [], max(1.0, float(mask.sum())) ** 0.3) for mask in visible
        ]
        return pixels, pasted + [behind(thing, above) for thing in things]

    def _cut_out(self, rng: np.random.Generator) -> np.ndarray:
        """A drawing, or a whole object of a photograph: (h, w, 4) uint8."""
        if len(self.cut_outs) and rng.random() < 0.6:
            return self.cut_outs[rng.integers(len(self.cut_outs))]
        while True:
            picture = self.pictures[rng.choice(len(self.pictures), p=self.probabilities)]
            index = int(rng.integers(len(picture.areas)))
            if picture.areas[index] > 1500 and picture.areas[index] < 0.7 * picture.pixels[..., 0].size:
                mask = picture.mask(index)
                left, top, right, bottom = box_of(mask > 0).astype(int)
                cut = np.s_[top : bottom + 1, left : right + 1]
                return np.dstack([picture.pixels[cut], mask[cut] * np.uint8(255)])


def own_things(picture: Annotated, matrix: np.ndarray, cells: int) -> list[Thing]:
    """The annotated objects of a picture in the frame, larger ones a little more often."""
    back = np.linalg.inv(np.vstack([matrix, (0, 0, 1)]))
    height, width = picture.pixels.shape[:2]

    def mask_of(index: int) -> Callable[[], np.ndarray]:
        return lambda: warp_mask(picture.mask(index), matrix, cells)

    def others_of(index: int):
        def others(x: int, y: int) -> list[Callable[[], np.ndarray]]:
            source_x, source_y, _ = back @ (2 * x + 0.5, 2 * y + 0.5, 1)
            inside = min(max(round(source_x), 0), width - 1), min(max(round(source_y), 0), height - 1)
            return [mask_of(other) for other in picture.chain(index, *inside)]

        return others

    return [
        Thing(mask_of(index), others_of(index), float(area**0.3)) for index, area in enumerate(picture.areas.tolist())
    ]


def behind(thing: Thing, above: np.ndarray) -> Thing:
    """The thing without what lies above it."""
    return Thing(
        lambda: thing.mask() & ~above,
        lambda x, y: [lambda other=other: other() & ~above for other in thing.others(x, y)],
        thing.weight,
    )


def draw_prompts(
    things: list[Thing], count: int, cells: int, rng: np.random.Generator
) -> tuple[np.ndarray, ...] | None:
    """Clicks, boxes, targets and which of them are meant, of ``count`` prompts; None if nothing is large enough."""
    weights = np.array([thing.weight for thing in things])
    order = rng.choice(len(things), size=min(len(things), 2 * count), replace=False, p=weights / weights.sum())
    found = []
    for place_of in order:
        mask = things[place_of].mask()
        if mask.sum() >= LEAST_CELLS:
            found.append((things[place_of], mask))
        if len(found) == count:
            break
    if not found:
        return None
    prompts = [draw_prompt(*found[number % len(found)], cells, rng) for number in range(count)]
    return tuple(np.stack(values) for values in zip(*prompts, strict=True))


def draw_prompt(thing: Thing, mask: np.ndarray, cells: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """One object: a click on it (half of them in its middle, half anywhere), its box with noise, its masks."""
    if rng.random() < 0.5:
        x, y, _ = deepest(mask)
    else:
        ys, xs = mask.nonzero()
        chosen = rng.integers(len(xs))
        x, y = int(xs[chosen]), int(ys[chosen])
    targets = np.zeros((MEANT, cells, cells), dtype=np.uint8)
    targets[0], used = mask, 1
    for other in thing.others(x, y)[: MEANT - 1]:
        targets[used] = other()
        used += bool(targets[used][y, x])
    step = FULL_SIZE / cells
    click = (np.array([x, y]) + 0.5) * step - 0.5
    left, top, right, bottom = box_of(mask)
    box = np.array([left * step, top * step, (right + 1) * step - 1, (bottom + 1) * step - 1])
    width, height = box[2] - box[0], box[3] - box[1]
    noise = rng.normal(0, 0.05, 4) * (width, height, width, height) * (rng.random() < 0.7)
    box = box + noise.clip(-10, 10)
    return click.astype(np.float32), box.astype(np.float32), targets, np.arange(MEANT) < used


def place(cut_out: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Turn, mirror, scale and move a cut-out (h, w, 4) in the frame: (size, size, 4) uint8."""
    height, width = cut_out.shape[:2]
    scale = size * np.exp(rng.uniform(np.log(0.12), np.log(0.75))) / max(height, width)
    angle = rng.normal(0, 0.3)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    turn = scale * np.array([[np.cos(angle) * flip, -np.sin(angle)], [np.sin(angle) * flip, np.cos(angle)]])
    middle = rng.uniform(0.05, 0.95, 2) * size
    offset = middle - turn @ ((width - 1) / 2, (height - 1) / 2)
    colour = recolour(np.ascontiguousarray(cut_out[..., :3]), rng)
    matrix = np.column_stack([turn, offset])
    if scale < 0.67:
        colour = cv2.blur(colour, (2 * round(0.5 / scale) + 1,) * 2)
    layer = np.dstack([colour, cut_out[..., 3]])
    return cv2.warpAffine(layer, matrix, (size, size), flags=cv2.INTER_LINEAR)


def blend(pixels: np.ndarray, layer: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay a layer (S, S, 4) over a picture (S, S, 3): at times with a shadow, a soft edge, colours brought nearer."""
    alpha = layer[..., 3:].astype(np.float32) / 255
    colour, below = layer[..., :3].astype(np.float32), pixels.astype(np.float32)
    share = alpha.mean()
    if share > 0 and rng.random() < 0.5:
        own = (colour * alpha).mean(axis=(0, 1)) / share
        colour = colour + rng.uniform(0, 0.7) * (below.mean(axis=(0, 1)) - own)
    if rng.random() < 0.4:
        shift = np.float32([[1, 0, rng.normal(0, 6)], [0, 1, rng.uniform(0, 10)]])
        shadow = cv2.warpAffine(alpha, shift, alpha.shape[:2])
        below = below * (1 - rng.uniform(0.2, 0.6) * cv2.GaussianBlur(shadow, (0, 0), rng.uniform(1, 6)))[..., None]
    if rng.random() < 0.5:
        alpha = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(0.4, 1.0))[..., None]
    return (alpha * colour + (1 - alpha) * below).clip(0, 255).astype(np.uint8)
