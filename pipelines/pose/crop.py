"""A square crop round a person, and the way back: every position keeps its place through scale, turn and mirror."""

from dataclasses import dataclass

import cv2
import numpy as np

GROUND = (127, 127, 127)  # zero for the network
MARGIN = 1.25  # side of the crop over the longer side of the box


@dataclass(frozen=True)
class Crop:
    """A square of the picture. x, y: its middle in pixels; side: in pixels; turn: radians, counter-clockwise as seen;
    mirrored: left and right exchanged in the crop.
    """

    x: float
    y: float
    side: float
    turn: float = 0.0
    mirrored: bool = False

    def matrix(self, size: int) -> np.ndarray:
        """(2, 3) map from pixels of the picture to pixels of a crop of ``size``; pixel middles are whole numbers."""
        scale = size / self.side
        cos, sin = scale * np.cos(self.turn), scale * np.sin(self.turn)
        turn = np.array([[cos, sin], [-sin, cos]])
        if self.mirrored:
            turn = np.diag([-1.0, 1.0]) @ turn
        middle = np.full(2, (size - 1) / 2)
        return np.column_stack([turn, middle - turn @ (self.x, self.y)])


def crop_of_box(box: tuple[float, float, float, float], *, margin: float = MARGIN) -> Crop:
    """The upright square round a box (left, top, width, height)."""
    left, top, width, height = box
    return Crop(left + (width - 1) / 2, top + (height - 1) / 2, max(width, height) * margin)


def cut(pixels: np.ndarray, crop: Crop, size: int) -> np.ndarray:
    """(H, W, 3) uint8 to (size, size, 3) uint8; grey beyond the picture; smoothed first where it shrinks."""
    matrix = crop.matrix(size)
    shrink = crop.side / size
    if shrink > 1.5:
        pixels = cv2.blur(pixels, (2 * round(shrink / 2) + 1,) * 2)  # an even window would move the picture
    return cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=GROUND)


def to_crop(points: np.ndarray, crop: Crop) -> np.ndarray:
    """Pixels of the picture (..., 2) to -0.5..0.5 over the crop."""
    return points @ crop.matrix(1)[:, :2].T + crop.matrix(1)[:, 2]


def to_picture(points: np.ndarray, crop: Crop) -> np.ndarray:
    """-0.5..0.5 over the crop (..., 2) to pixels of the picture."""
    matrix = crop.matrix(1)
    return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
