"""Lays cut-outs of three examples on a meadow: a picture whose masks are known to the pixel.

    python assets/examples/compose.py --grass FILE

FILE is ``skimage/data/grass.png`` of scikit-image 0.26 (linolafett, CC0). Writes ``breakfast.jpg`` and
``breakfast_masks.png``: 0 is the meadow, each further value a region; ``examples.toml`` says which regions make up an
object. Outlines against the meadow are exact, since the cut-outs end there; the parts of the cup were traced by hand.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

FOLDER = Path(__file__).parent
SIZE = (768, 576)
FINE = 4  # masks are drawn so many times finer, then averaged: soft edges
SAUCER, CUP, COFFEE, SPOON, RIND, FLESH, BUTTERFLY = range(1, 8)
TRACED = {  # corners in coffee.jpg, in the order in which one lies over the other
    SAUCER: """77,214 81,179 97,148 118,118 150,89 180,70 223,49 286,42 357,62 417,109 440,129 459,154 472,185 479,223
        473,262 455,296 429,327 393,356 339,380 286,387 237,381 192,364 150,334 115,299 92,263 81,232""",
    SPOON: """397,71 408,67 420,68 425,77 422,92 415,117 407,147 393,201 385,237 397,250 406,268 405,286 396,306 379,321
        357,326 339,316 328,300 327,277 335,259 353,246 371,237 377,214 393,179 402,147 408,121 407,96""",
    CUP: """173,103 179,71 201,45 237,25 286,18 330,25 371,47 395,74 407,98 408,120 397,170 379,214 357,241 342,250
        328,271 313,282 290,286 263,282 250,290 239,301 225,309 210,306 197,295 197,277 210,257 220,243 209,232
        190,196 178,161 173,112""",
    COFFEE: """204,143 214,123 232,105 259,97 290,95 321,100 348,117 364,138 370,161 357,176 330,190 304,193 268,190
        237,179 219,163""",
}

ORANGE_MIDDLE = np.array([109.0, 108.5])  # in the cut of citrus.jpg
ORANGE_RADII = {RIND: 100.0, FLESH: 80.0}


def smooth(corners: str) -> np.ndarray:
    """A closed Catmull-Rom curve through corners: (N, 2) float64."""
    points = np.array([pair.split(",") for pair in corners.split()], dtype=np.float64)
    before, after, further = np.roll(points, 1, 0), np.roll(points, -1, 0), np.roll(points, -2, 0)
    t = np.linspace(0, 1, 8, endpoint=False)[:, None, None]
    parts = 2 * points + (after - before) * t + (2 * before - 5 * points + 4 * after - further) * t**2
    curve = (parts + (3 * points - before - 3 * after + further) * t**3) / 2
    return curve.transpose(1, 0, 2).reshape(-1, 2)


def filled(curve: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Coverage of each pixel by what a curve encloses: (H, W) float32, 0..1."""
    fine = np.zeros((shape[0] * FINE, shape[1] * FINE), np.uint8)
    cv2.fillPoly(fine, [np.round((curve + 0.5) * FINE - 0.5).astype(np.int32)], 255)
    return cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def coffee() -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Pixels (H, W, 3) of the coffee, and coverage of saucer, spoon, cup and coffee."""
    pixels = cv2.imread(str(FOLDER / "coffee.jpg"))
    return pixels, {region: filled(smooth(corners), pixels.shape[:2]) for region, corners in TRACED.items()}


def orange() -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Pixels of one slice, and coverage of the slice and of its flesh, which are round."""
    pixels = cv2.imread(str(FOLDER / "citrus.jpg"))[276:494, 306:524]
    turn = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return pixels, {region: filled(ORANGE_MIDDLE + r * circle, pixels.shape[:2]) for region, r in ORANGE_RADII.items()}


def butterfly() -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Pixels and coverage of the drawing: its outline is black, so what is grey at its edge is black in part."""
    pixels = cv2.imread(str(FOLDER / "butterfly.png"))
    outside = np.zeros((pixels.shape[0] + 2, pixels.shape[1] + 2), np.uint8)
    cv2.floodFill(pixels.copy(), outside, (0, 0), 0, (3,) * 3, (250,) * 3, 4 | cv2.FLOODFILL_MASK_ONLY | (1 << 8))
    outside = outside[1:-1, 1:-1] > 0
    coverage = np.where(outside, 1 - pixels.min(axis=2) / 255, 1).astype(np.float32)
    return np.where(outside[..., None], 0, pixels).astype(np.uint8), {BUTTERFLY: coverage}


def meadow(grass: Path) -> np.ndarray:
    """The grey picture of grass, made green: (H, W, 3) float32."""
    grey = cv2.imread(str(grass), cv2.IMREAD_GRAYSCALE)
    width, height = SIZE
    cut = grey[: round(grey.shape[1] * height / width)]
    light = cv2.resize(cut, SIZE, interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., None] / 255
    return 255 * np.clip(light ** np.float32([1.9, 1.0, 1.35]) * np.float32([0.8, 0.95, 0.8]), 0, 1)


def moved(values: np.ndarray, place: tuple[float, float, float, float]) -> np.ndarray:
    """Bring a cut-out into the frame: scale, degrees, and where its middle comes to lie."""
    scale, degrees, x, y = place
    middle = (values.shape[1] - 1) / 2, (values.shape[0] - 1) / 2
    matrix = cv2.getRotationMatrix2D(middle, degrees, scale)
    matrix[:, 2] += (x - middle[0], y - middle[1])
    return cv2.warpAffine(values, matrix, SIZE, flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def compose(grass: Path) -> tuple[np.ndarray, np.ndarray]:
    """The picture (H, W, 3) uint8 and its regions (H, W) uint8."""
    picture, regions = meadow(grass), np.zeros(SIZE[::-1], np.uint8)
    for cut_out, place in PLACES:
        pixels, coverage = cut_out()
        parts = {region: moved(alpha, place).clip(0, 1) for region, alpha in coverage.items()}
        whole = np.maximum.reduce(list(parts.values()))
        shadow = cv2.GaussianBlur(np.roll(whole, (9, 6), axis=(0, 1)), (0, 0), 7)
        picture *= 1 - 0.55 * (shadow * (1 - whole))[..., None]
        picture += whole[..., None] * (moved(pixels, place).astype(np.float32) - picture)
        for region, alpha in parts.items():
            regions[alpha >= 0.5] = region
    return picture.clip(0, 255).round().astype(np.uint8), regions


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grass", type=Path, required=True)
    picture, regions = compose(parser.parse_args().grass)
    cv2.imwrite(str(FOLDER / "breakfast.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    cv2.imwrite(str(FOLDER / "breakfast_masks.png"), regions)


PLACES = ((coffee, (1.02, 0, 255, 262)), (orange, (0.9, 20, 560, 420)), (butterfly, (0.42, 25, 610, 150)))

if __name__ == "__main__":
    main()
