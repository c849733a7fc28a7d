"""Pictures that no pack has, for combining words: two drawings of one style side by side, a drawing in another colour.

What the prompts of the sheet ask for as a ``composition`` is never made, so that those lines stay a test.
"""

import itertools
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from matplotlib.colors import hsv_to_rgb, rgb_to_hsv
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn.functional import avg_pool2d

from training.drawings import SIDE_PX, Drawing, load_pixels, on_white
from training.text_to_image_data import (
    CHUNK,
    COLOUR_NAMES,
    Captions,
    Examples,
    colour_of,
    key_of,
    says_colour,
    with_article,
)

THINGS = ("animals", "nature", "food", "travel", "activities", "objects", "smileys")
TEXTURES = ("nature", "travel")  # of the pixel tiles: they fill the whole tile
TARGETS = {"red": 0, "orange": 28, "yellow": 50, "green": 115, "blue": 215, "purple": 275, "pink": 325}  # hue, degrees
WITHOUT_HUE = ("white", "grey")
NEAR_DEGREES = 45
MOST_WORDS = 3
CHINESE_COLOUR = re.compile("^(红|橙|黄|绿|蓝|紫|粉|棕|褐|黑|白|灰)红?色?的?")


@dataclass(frozen=True)
class Made:
    """Two drawings, left and right, or one drawing in the colour ``colour`` (it was ``was``)."""

    parts: tuple[Drawing, ...]
    colour: str | None = None
    was: str | None = None

    def caption(self, captions: Captions, generator: torch.Generator) -> str:
        """``a blue apple, 3D emoji`` or ``猫和球，扁平表情``; parts come and go as in any caption."""
        config = captions.config
        drop, chinese, style, article, form = torch.rand(5, generator=generator).tolist()
        if drop < config.drop:
            return ""
        language = "zh" if chinese < config.chinese else "en"
        if self.colour is None:
            names = [part.names[language] for part in self.parts]
        else:
            name = name_without_colour(self.parts[0])[language]
            names = [name_with_colour(name, self.colour, language, form=form)]
        if language == "en" and article < config.article:
            names = [with_article(name) for name in names]
        text = ("和" if language == "zh" else " and ").join(names)
        if style < config.style:
            text += ("，" if language == "zh" else ", ") + captions.styles[self.parts[0].style][language]
        return text


def name_with_colour(name: str, colour: str, language: str, *, form: float) -> str:
    """``blue apple``; in Chinese 蓝色的苹果, 蓝色苹果 or 蓝苹果, as ``form`` in 0..1 says."""
    if language == "en":
        return f"{colour} {name}"
    chinese = COLOUR_NAMES[colour]
    return f"{(chinese + '的', chinese, chinese.removesuffix('色'))[int(3 * form)]}{name}"


def name_without_colour(drawing: Drawing) -> dict[str, str] | None:
    """The names without their colour; None where it is not the first of several words."""
    if not says_colour(drawing):
        return drawing.names
    first, _, english = drawing.names["en"].partition(" ")
    chinese = CHINESE_COLOUR.sub("", drawing.names["zh"])
    plain = first in COLOUR_NAMES and english and not english.startswith("and ")
    return {"en": english, "zh": chinese} if plain and chinese not in ("", drawing.names["zh"]) else None


def is_thing(drawing: Drawing) -> bool:
    """Whether it is one plain thing with a short name."""
    name = drawing.names["en"]
    texture = drawing.style == "pixel" and drawing.group in TEXTURES
    short = len(name.split()) <= MOST_WORDS and "," not in name
    return drawing.group in THINGS and not texture and not drawing.variant and short


def asked_compositions(prompts: Path) -> set[frozenset[str]]:
    """The combinations that the prompts test: {"blue", "apple"}, {"panda", "koala"}."""
    if not prompts.exists():
        return set()
    lines = [json.loads(line) for line in prompts.read_text(encoding="utf-8").splitlines() if line.strip()]
    asked = [line["name"].replace("golden", "yellow") for line in lines if line.get("kind") == "composition"]
    return {frozenset(name.split(" and ") if " and " in name else name.split()) for name in asked}


def words_of(drawing: Drawing) -> set[str]:
    """What the drawing may be called: its name, the words of its name, its English tags."""
    name = drawing.names["en"].lower()
    return {name, *name.split(), *drawing.tags["en"]}


def draw_pairs(drawings: Sequence[Drawing], count: int, *, avoided: set[frozenset[str]]) -> list[Made]:
    """``count`` pairs of different things of one style, every name equally often on the left."""
    generator = torch.Generator().manual_seed(0)
    by_style: dict[str, list[Drawing]] = {}
    by_name: dict[str, list[Drawing]] = {}
    for drawing in filter(is_thing, drawings):
        by_style.setdefault(drawing.style, []).append(drawing)
        by_name.setdefault(drawing.names["en"], []).append(drawing)
    left_names, made = list(by_name.values()), []
    if all(len({one.names["en"] for one in drawn}) < 2 for drawn in by_style.values()):
        return []
    while len(made) < count:
        name, picture, other = torch.rand(3, generator=generator).tolist()
        left = _at(_at(left_names, name), picture)
        right = _at(by_style[left.style], other)
        asked = any(
            one & words_of(left) and one & words_of(right) and one <= words_of(left) | words_of(right)
            for one in avoided
        )
        if left.names["en"] != right.names["en"] and not asked:
            made.append(Made((left, right)))
    return made


def _at(values: Sequence, share: float):
    return values[int(share * len(values))]


def draw_recoloured(examples: Examples, count: int, *, avoided: set[frozenset[str]]) -> list[Made]:
    """At most ``count`` drawings of one main colour, each name equally often, each picture once in a new colour."""
    generator = torch.Generator().manual_seed(1)
    by_name: dict[str, list[Made]] = {}
    for drawing, was in zip(examples.drawings, examples.colours, strict=True):
        if was in (None, "black") or not is_thing(drawing) or name_without_colour(drawing) is None:
            continue
        for colour in TARGETS:
            asked = any(colour in one and one <= words_of(drawing) | {colour} for one in avoided)
            if colour != was and not asked:
                by_name.setdefault(drawing.names["en"], []).append(Made((drawing,), colour, was))
    mixed = [[made[place] for place in torch.randperm(len(made), generator=generator)] for made in by_name.values()]
    rounds = itertools.chain.from_iterable(itertools.zip_longest(*mixed))  # each name once, then each a second time
    return [made for made in rounds if made is not None][:count]


def recolour(rgba: torch.Tensor, *, was: str, colour: str) -> torch.Tensor:
    """Turn the hue of what has the colour ``was``, with its shades: (4, H, W) uint8 to the same.

    White and grey have no hue to turn: they get the new one.
    """
    hsv = rgb_to_hsv(rgba[:3].permute(1, 2, 0).numpy() / 255)  # (H, W, 3), 0..1
    hue, saturation, value = np.moveaxis(hsv, -1, 0)
    target = TARGETS[colour] / 360
    if was in WITHOUT_HUE:
        chosen = (saturation < 0.2) & (value > 0.25)
        new = np.stack([np.full_like(hue, target), np.full_like(hue, 0.65), value], axis=-1)
    else:
        middle = {**TARGETS, "brown": 25}[was] / 360
        away = (hue - middle + 0.5) % 1 - 0.5
        chosen = (np.abs(away) < NEAR_DEGREES / 360) & (saturation > 0.1)
        lift = 1.4 if was == "brown" else 1.0  # brown is a dark orange
        pale = 0.55 if colour == "pink" else 1.0
        new = np.stack([(target + 0.3 * away) % 1, saturation * lift * pale, value * lift], axis=-1)
    rgb = hsv_to_rgb(np.where(chosen[..., None], new.clip(0, 1), hsv))
    changed = torch.from_numpy((rgb * 255).round().astype(np.uint8)).permute(2, 0, 1)
    return torch.cat([changed, rgba[3:]])


def side_by_side(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Two pictures at half their size in the middle of white: (B, 3, 128, 128) and the same to the same, 0..1."""
    quarter, half = SIDE_PX // 4, SIDE_PX // 2
    canvas = torch.ones_like(left)
    canvas[..., quarter : quarter + half, :half] = avg_pool2d(left, 2)
    canvas[..., quarter : quarter + half, half:] = avg_pool2d(right, 2)
    return canvas


def pictures_of(data: Path, made: Sequence[Made]) -> tuple[torch.Tensor, list[bool]]:
    """Draw them on white, (N, 3, 128, 128) float32, 0..1, and say of each whether it shows the colour it should."""
    pixels = iter(load_pixels(data, [part for one in made for part in one.parts]))
    drawn, right = [], []
    for one in made:
        if one.colour is None:
            drawn.append(side_by_side(*(on_white(next(pixels)[None]) for _ in one.parts)))
            right.append(True)
        else:
            changed = recolour(next(pixels), was=one.was, colour=one.colour)
            drawn.append(on_white(changed[None]))
            right.append(colour_of(changed) == one.colour)
    return torch.cat(drawn), right


@torch.no_grad()
def load_made(vae: AutoencoderTiny, data: Path, made: Sequence[Made], cache: Path) -> tuple[list[Made], torch.Tensor]:
    """Those that came out right and their latents (N, C, h, w) float32 of unit variance.

    They are kept in ``cache`` together with what they were made of.
    """
    key = key_of(vae, _lines(made))
    if cache.exists():
        with safe_open(cache, "pt") as file:
            if file.metadata()["key"] == key:
                kept = file.get_tensor("kept").tolist()
                return [made[place] for place in kept], file.get_tensor("latents")
    latents, right = [], []
    for start in range(0, len(made), CHUNK):
        pictures, shown = pictures_of(data, made[start : start + CHUNK])
        latents.append(vae.encode(pictures.to(vae.device) * 2 - 1).latents.cpu() * vae.config.scaling_factor)
        right += shown
    kept = torch.tensor(right).nonzero().flatten()
    found = {"latents": torch.cat(latents)[kept].contiguous(), "kept": kept}
    cache.parent.mkdir(parents=True, exist_ok=True)
    save_file(found, cache, metadata={"key": key})
    return [made[place] for place in kept.tolist()], found["latents"]


def _lines(made: Sequence[Made]) -> Iterable[str]:
    return (f"{[f'{part.pack}/{part.file}' for part in one.parts]} {one.was} {one.colour}" for one in made)
