"""What a visitor may ask for, checked before a model works: limits, defaults, and the seed of each picture."""

import math
import secrets
import unicodedata
from dataclasses import dataclass, field, replace
from numbers import Real

from pipelines.runtime.errors import Note, UserError
from pipelines.text_to_image import samplers
from pipelines.text_to_image.models import TextToImageModel

MOST_CHARACTERS = 2_000
LEAST_STEPS, MOST_STEPS = 1, 100
LEAST_GUIDANCE, MOST_GUIDANCE = 0.0, 30.0
LEAST_BATCH, MOST_BATCH = 1, 4
LEAST_PX = 64
SIDE_MULTIPLE = 8
DRAW_SEED = -1  # stands for: draw one
SEEDS = 2**64
DRAWN_SEEDS = 2**32  # short enough to be read out, and exact wherever it is shown


@dataclass(frozen=True)
class Settings:
    """All that decides a picture, together with the model.

    guidance_scale: w in eps_uncond + w (eps_cond - eps_uncond); at most 1 is without guidance. eta: 0 is DDIM, 1 as
    random as DDPM; only the sampler "ddim" reads it. width, height: pixels. seed: of the first picture; picture i
    has (seed + i) mod 2^64. strength: of image to image, share of the steps that are run, in (0, 1].
    """

    prompt: str
    negative_prompt: str = ""
    steps: int = 20
    guidance_scale: float = 4.0
    sampler: str = "ddim"
    eta: float = 0.0
    width: int = 128
    height: int = 128
    batch: int = 1
    seed: int = 0
    strength: float = 1.0

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seed of each picture of the batch."""
        return tuple((self.seed + number) % SEEDS for number in range(self.batch))


@dataclass(frozen=True)
class Checked:
    """Settings within the limits, and what was changed or should be known."""

    settings: Settings
    notes: tuple[Note, ...] = field(default=())


def check(settings: Settings, model: TextToImageModel) -> Checked:
    """Check settings for a model.

    Sides go up to the next multiple of 8 (note ``errors.note_size_rounded``). Seed -1 draws one below 2^32 (note
    ``errors.note_seed_drawn``).

    Raises:
        UserError: ``errors.prompt_not_text``, ``errors.prompt_long``, ``errors.setting_<name>`` (what is no number,
            NaN, a fraction where a whole number belongs, or outside its range), and those of ``samplers.check``.
    """
    steps = whole(settings.steps, "steps", LEAST_STEPS, MOST_STEPS)
    checked = replace(
        settings,
        prompt=text(settings.prompt),
        negative_prompt=text(settings.negative_prompt),
        steps=steps,
        guidance_scale=number(settings.guidance_scale, "guidance_scale", LEAST_GUIDANCE, MOST_GUIDANCE),
        eta=number(settings.eta, "eta", 0.0, 1.0),
        batch=whole(settings.batch, "batch", LEAST_BATCH, MOST_BATCH),
        width=_side(settings.width, "width", model),
        height=_side(settings.height, "height", model),
        seed=whole(settings.seed, "seed", DRAW_SEED, SEEDS - 1),
        strength=number(settings.strength, "strength", 0.0, 1.0),
    )
    notes = list(samplers.check(checked.sampler, model, steps=steps))
    if (checked.width, checked.height) != (settings.width, settings.height):
        notes.append(Note("errors.note_size_rounded", {"width": checked.width, "height": checked.height}))
    if checked.seed == DRAW_SEED:
        checked = replace(checked, seed=secrets.randbelow(DRAWN_SEEDS))
        notes.append(Note("errors.note_seed_drawn", {"seed": checked.seed}))
    return Checked(checked, tuple(notes))


def text(value: object) -> str:
    """A prompt safe for tokenizers: control characters and lone surrogates become spaces, so that offsets stay.

    Its length is checked first: 10 MB cost nothing.

    Raises:
        UserError: ``errors.prompt_not_text``; ``errors.prompt_long`` above 2,000 characters.
    """
    if not isinstance(value, str):
        raise UserError("errors.prompt_not_text")
    if len(value) > MOST_CHARACTERS:
        raise UserError("errors.prompt_long", length=len(value), most=MOST_CHARACTERS)
    return "".join(" " if unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in value)


def is_guided(settings: Settings, model: TextToImageModel) -> bool:
    """Whether the UNet is also asked without the prompt. A consistency model takes the scale as an input instead."""
    return settings.guidance_scale > 1 and model.pipeline.unet.config.time_cond_proj_dim is None


def number(value: object, name: str, least: float, most: float) -> float:
    """A finite number within its range.

    Raises:
        UserError: ``errors.setting_<name>`` with what was given and the range.
    """
    if not _is_number(value) or not least <= value <= most:
        raise UserError(f"errors.setting_{name}", value=_shown(value), least=f"{least:g}", most=f"{most:g}")
    return float(value) + 0.0  # minus zero becomes zero


def whole(value: object, name: str, least: int, most: int) -> int:
    """A whole number within its range; 20.0 counts as 20.

    Raises:
        UserError: ``errors.setting_<name>`` with what was given and the range.
    """
    if not _is_number(value) or not least <= value <= most or value != int(value):
        raise UserError(f"errors.setting_{name}", value=_shown(value), least=least, most=most)
    return int(value)


def _side(value: object, name: str, model: TextToImageModel) -> int:
    """A side in pixels, at the next multiple of 8."""
    side = whole(value, name, LEAST_PX, model.max_px)
    return -(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE


def _is_number(value: object) -> bool:
    """A finite real number, of any size; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _shown(value: object) -> str:
    """What was given, short enough for a sentence."""
    try:
        return str(value)[:20] if isinstance(value, str | int | float) else "?"
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "?"
