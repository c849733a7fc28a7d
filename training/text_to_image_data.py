"""What the text-to-image training draws from: latents of drawings, drawn by name and then by style, and captions."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from safetensors import safe_open
from safetensors.torch import save_file

from training.drawings import Drawing, load_pixels, on_white

LANGUAGES = ("en", "zh")
CHUNK = 32  # drawings decoded and encoded at a time

# (name, lowest hue in degrees) of saturated colours; red closes the circle.
HUES = (("red", 0), ("orange", 18), ("yellow", 43), ("green", 70), ("blue", 170), ("purple", 255), ("pink", 295))
RED_AGAIN = 345
COLOUR_NAMES = {
    "red": "红色",
    "orange": "橙色",
    "yellow": "黄色",
    "green": "绿色",
    "blue": "蓝色",
    "purple": "紫色",
    "pink": "粉色",
    "brown": "棕色",
    "black": "黑色",
    "white": "白色",
    "grey": "灰色",
}


@dataclass(frozen=True)
class CaptionConfig:
    """How often a caption has each of its parts; ``drop``: no words at all, for guidance."""

    drop: float = 0.12
    style: float = 0.7
    article: float = 0.5
    tag: float = 0.1
    colour: float = 0.15
    chinese: float = 0.5


@dataclass(frozen=True)
class WeightConfig:
    """Weights of names when they are drawn: people in many variants outnumber things."""

    groups: Mapping[str, float] = field(default_factory=lambda: {"people": 0.3, "flags": 0.15, "symbols": 0.6})
    variant: float = 0.3


def colour_of(rgba: torch.Tensor) -> str | None:
    """The colour of more than half of a drawing's opaque pixels, or None: (4, H, W) uint8 to a key of COLOUR_NAMES."""
    red, green, blue, alpha = (rgba[:, ::4, ::4].float() / 255).flatten(1)
    inside = alpha > 0.5
    if not inside.any():
        return None
    rgb = torch.stack([red, green, blue])[:, inside]
    high, low = rgb.max(dim=0).values, rgb.min(dim=0).values
    names = [_colour_name(*values) for values in torch.stack([*rgb, high, low], dim=1).tolist()]
    common = max(set(names), key=names.count)
    return common if names.count(common) > len(names) / 2 else None


def _colour_name(red: float, green: float, blue: float, high: float, low: float) -> str:
    spread = high - low
    if high < 0.2:
        return "black"
    if spread < 0.12:
        return "white" if high > 0.85 else "grey"
    if high == red:
        hue = 60 * ((green - blue) / spread % 6)
    elif high == green:
        hue = 60 * ((blue - red) / spread + 2)
    else:
        hue = 60 * ((red - green) / spread + 4)
    if hue >= RED_AGAIN:
        return "red"
    name = next(name for name, lowest in reversed(HUES) if hue >= lowest)
    return "brown" if name in ("red", "orange") and high < 0.65 and spread < 0.5 else name


def with_article(name: str) -> str:
    """``apple`` becomes ``an apple``."""
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


@dataclass(frozen=True, eq=False)
class Captions:
    """Writes captions: ``red apple, 3D emoji`` or ``红苹果，立体表情``, with parts that come and go."""

    config: CaptionConfig
    styles: dict[str, dict[str, str]]

    def draw(self, drawing: Drawing, colour: str | None, generator: torch.Generator) -> str:
        """A caption of one drawing; empty with probability ``drop``."""
        config = self.config
        drop, chinese, style, article, tag, tint, which = torch.rand(7, generator=generator).tolist()
        if drop < config.drop:
            return ""
        language = "zh" if chinese < config.chinese else "en"
        name = drawing.names[language]
        if tint < config.colour and colour is not None and not says_colour(drawing):
            name = f"{COLOUR_NAMES[colour]}的{name}" if language == "zh" else f"{colour} {name}"
        if language == "en" and article < config.article:
            name = with_article(name)
        parts = [name]
        tags = drawing.tags[language]
        if tag < config.tag and tags:
            parts.append(tags[int(which * len(tags))])
        if style < config.style:
            parts.append(self.styles[drawing.style][language])
        return ("，" if language == "zh" else ", ").join(parts)


def says_colour(drawing: Drawing) -> bool:
    """Whether the name holds a colour already."""
    return any(word in COLOUR_NAMES for word in drawing.names["en"].lower().split())


class ByName:
    """Draws places of drawings: a name by weight, then one of its styles, then one of its pictures."""

    def __init__(self, drawings: Sequence[Drawing], config: WeightConfig):
        places: dict[str, dict[str, list[int]]] = {}
        weights: dict[str, float] = {}
        for place, drawing in enumerate(drawings):
            name = drawing.names["en"].casefold()
            places.setdefault(name, {}).setdefault(drawing.style, []).append(place)
            weight = config.groups.get(drawing.group, 1.0) * (config.variant if drawing.variant else 1.0)
            weights[name] = max(weight, weights.get(name, 0.0))
        self.places = [list(styles.values()) for styles in places.values()]
        self.weights = torch.tensor(list(weights.values()))

    def draw(self, count: int, generator: torch.Generator) -> list[int]:
        """Places of ``count`` drawings, with replacement."""
        names = torch.multinomial(self.weights, count, replacement=True, generator=generator).tolist()
        shares = torch.rand(count, 2, generator=generator).tolist()
        chosen = []
        for name, (style_share, picture_share) in zip(names, shares, strict=True):
            styles = self.places[name]
            pictures = styles[int(style_share * len(styles))]
            chosen.append(pictures[int(picture_share * len(pictures))])
        return chosen


@dataclass(frozen=True, eq=False)
class Examples:
    """Drawings of one split with their latents (N, C, h, w) float32 of unit variance, and main colours."""

    drawings: tuple[Drawing, ...]
    latents: torch.Tensor
    colours: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.drawings)


@torch.no_grad()
def encode(vae: AutoencoderTiny, data: Path, drawings: Sequence[Drawing]) -> Examples:
    """Encode drawings on white, scaled by the autoencoder's ``scaling_factor``."""
    latents, colours = [], []
    for start in range(0, len(drawings), CHUNK):
        pixels = load_pixels(data, drawings[start : start + CHUNK])
        colours += [colour_of(one) for one in pixels]
        pictures = on_white(pixels).to(vae.device) * 2 - 1
        latents.append((vae.encode(pictures).latents * vae.config.scaling_factor).cpu())
    return Examples(tuple(drawings), torch.cat(latents), tuple(colours))


def load_examples(vae: AutoencoderTiny, data: Path, drawings: Sequence[Drawing], cache: Path) -> Examples:
    """``encode``, but once: the result is kept in ``cache`` together with what it was made of."""
    key = key_of(vae, (f"{drawing.pack}/{drawing.file}" for drawing in drawings))
    if cache.exists():
        with safe_open(cache, "pt") as file:
            saved = file.metadata()
            if saved["key"] == key:
                return Examples(tuple(drawings), file.get_tensor("latents"), tuple(json.loads(saved["colours"])))
    examples = encode(vae, data, drawings)
    cache.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"key": key, "colours": json.dumps(examples.colours)}
    save_file({"latents": examples.latents.contiguous()}, cache, metadata=metadata)
    return examples


def key_of(vae: AutoencoderTiny, lines: Iterable[str]) -> str:
    """SHA-256 over the autoencoder's weights and the list of what is encoded."""
    digest = hashlib.sha256(repr(vae.config.scaling_factor).encode())
    for value in vae.state_dict().values():
        digest.update(value.cpu().contiguous().numpy().tobytes())
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()
