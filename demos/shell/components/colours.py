"""The app's two colour maps, made in OKLab so that equal steps of a value look equally large.

OKLab: B. Ottosson, "A perceptual color space for image processing" (2020). The tables stand in colours.json, which
the scripts read too; `python -m demos.shell.components.colours` writes it anew.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np

TABLE = Path(__file__).parent / "colours.json"
SIZE = 256
_FINE = 4096  # points of a curve before it is cut into equal steps

# OKLab -> cube roots of cone responses -> linear sRGB (Ottosson 2020)
_TO_CONES = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def sequential() -> np.ndarray:
    """(256, 3) uint8 from dark indigo over red to pale yellow: lightness only rises, in equal steps of OKLab."""
    t = np.linspace(0, 1, _FINE)
    lightness = 0.16 + 0.80 * t
    chroma = 0.02 + 0.17 * np.sin(np.pi * t) ** 0.8
    return _even_steps(_in_gamut(lightness, chroma, hue_degrees=280 + 185 * t), SIZE)


def diverging() -> np.ndarray:
    """(256, 3) uint8 from blue over near-white to red; colours equally far from the middle are equally light."""
    half = SIZE // 2
    blue, red = (_arm(hue_degrees, half) for hue_degrees in (255, 35))
    return np.concatenate([blue[::-1], red])


def okpath(lightness: np.ndarray, chroma: np.ndarray, hue_degrees: np.ndarray) -> np.ndarray:
    """(N, 3) of OKLab from OKLCh."""
    hue = np.deg2rad(hue_degrees)
    return np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)


def oklab_to_linear(lab: np.ndarray) -> np.ndarray:
    """Linear sRGB (N, 3); outside 0..1 where a screen cannot show the colour."""
    return (lab @ _TO_CONES.T) ** 3 @ _TO_RGB.T


def rgb_to_oklab(rgb: np.ndarray) -> np.ndarray:
    """OKLab (N, 3) of sRGB bytes: the way back, by which tables are judged."""
    signal = rgb / 255.0
    linear = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ np.linalg.inv(_TO_RGB).T) @ np.linalg.inv(_TO_CONES).T


def _arm(hue_degrees: float, count: int) -> np.ndarray:
    """One side of the diverging map, from the pale middle outwards."""
    t = np.linspace(0, 1, count)
    lightness = 0.95 - 0.48 * t
    return _bytes(_in_gamut(lightness, 0.005 + 0.17 * t, hue_degrees=np.full(count, hue_degrees)))


def _in_gamut(lightness: np.ndarray, chroma: np.ndarray, *, hue_degrees: np.ndarray) -> np.ndarray:
    """OKLab of the curve, its chroma lowered (by halving intervals) where sRGB does not reach as far."""
    low, high = np.zeros_like(chroma), chroma.copy()
    for _ in range(24):
        middle = (low + high) / 2
        linear = oklab_to_linear(okpath(lightness, middle, hue_degrees))
        inside = ((linear >= 0) & (linear <= 1)).all(axis=-1)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return okpath(lightness, low, hue_degrees)


def _even_steps(lab: np.ndarray, count: int) -> np.ndarray:
    """The curve at `count` places that lie equally far apart along it, as bytes."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(lab, axis=0), axis=-1))])
    places = np.linspace(0, length[-1], count)
    return _bytes(np.stack([np.interp(places, length, axis) for axis in lab.T], axis=-1))


def _bytes(lab: np.ndarray) -> np.ndarray:
    linear = oklab_to_linear(lab).clip(0, 1)
    signal = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * signal).astype(np.uint8)


def tables() -> dict[str, str]:
    """{"sequential", "diverging"}: 256 colours each, six hexadecimal digits a colour, joined."""
    return {"sequential": sequential().tobytes().hex(), "diverging": diverging().tobytes().hex()}


@cache
def stored() -> dict[str, str]:
    """The tables as they stand in colours.json."""
    return json.loads(TABLE.read_text("utf-8"))


if __name__ == "__main__":
    TABLE.write_text(json.dumps(tables(), indent=2) + "\n", "utf-8")
