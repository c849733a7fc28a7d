"""The contact sheet of fixed prompts with fixed noise, by which a text-to-image training is judged."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline
from torch import nn
from transformers import PreTrainedTokenizerBase

from training.drawings import Drawing, load_pixels, on_white
from training.report import to_bytes, write_sheet
from training.text_to_image_model import Painter, create_pipeline

STEPS = 20
GUIDANCE_SCALE = 4.0
BATCH = 16
COLUMNS = 8


@dataclass(frozen=True)
class Prompt:
    """One line of a prompts file: the words in each language, and which drawing they name.

    names: by language. kind: ``seen``, ``composition`` or whatever the file says; kind and group may be empty.
    """

    number: int
    words: dict[str, str]
    names: dict[str, str]
    style: str
    kind: str = ""
    group: str = ""

    @property
    def name(self) -> str:
        """The English name."""
        return self.names["en"]


def load_prompts(path: Path) -> list[Prompt]:
    """Read lines with ``id, prompt, prompt_zh, name, style`` and, where they have them, ``name_zh, kind, group``."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [
        Prompt(
            line["id"],
            {"en": line["prompt"], "zh": line["prompt_zh"]},
            {"en": line["name"], "zh": line.get("name_zh", line["name"])},
            line["style"],
            line.get("kind", ""),
            line.get("group", ""),
        )
        for line in lines
    ]


@torch.inference_mode()
def draw_prompts(
    pipeline: StableDiffusionPipeline,
    prompts: Sequence[Prompt],
    language: str,
    *,
    steps: int = STEPS,
    guidance_scale: float = GUIDANCE_SCALE,
) -> torch.Tensor:
    """Draw with the pipeline's own scheduler, noise seeded by the prompts' numbers: (N, 3, H, W) float32, 0..1."""
    config = pipeline.unet.config
    shape = (config.in_channels, config.sample_size, config.sample_size)
    drawn = []
    for start in range(0, len(prompts), BATCH):
        part = prompts[start : start + BATCH]
        noise = [torch.randn(shape, generator=torch.Generator().manual_seed(prompt.number)) for prompt in part]
        drawn.append(
            pipeline(
                [prompt.words[language] for prompt in part],
                latents=torch.stack(noise).to(pipeline.device, pipeline.unet.dtype),
                num_inference_steps=steps,
                guidance_scale=guidance_scale,
                output_type="pt",
            )
            .images.float()
            .cpu()
        )
    return torch.cat(drawn)


class Sheet:
    """Draws the prompts with the pipeline itself: DDIM, 20 steps, guidance 4, noise seeded by the prompt's number."""

    def __init__(
        self,
        prompts: Sequence[Prompt],
        vae: AutoencoderTiny,
        tokenizer: PreTrainedTokenizerBase,
        *,
        folder: Path,
        data: Path,
        drawings: Sequence[Drawing],
        perceptual: nn.Module | None,
    ):
        self.prompts, self.vae, self.tokenizer, self.folder = prompts, vae, tokenizer, folder
        self.perceptual = perceptual
        self.real = real_drawings(prompts, drawings, data) if perceptual is not None else {}

    def __call__(self, painter: Painter, language: str) -> dict[str, float]:
        """Write ``sheet_LANGUAGE.png``; with teachers return the mean distance to real drawings of name and style."""
        pictures = self.draw(painter, language)
        titles = [prompt.words["en"] for prompt in self.prompts]  # the default font knows no Chinese
        columns = min(COLUMNS, len(pictures))
        write_sheet(self.folder / f"sheet_{language}.png", list(to_bytes(pictures)), columns=columns, titles=titles)
        if not self.real:
            return {}
        places = list(self.real)
        real = torch.stack([self.real[place] for place in places]).to(self.vae.device)
        with torch.no_grad():
            distance = self.perceptual(pictures[places].to(self.vae.device), real)
        return {f"distance_{language}": distance.mean().item()}

    def draw(self, painter: Painter, language: str) -> torch.Tensor:
        """The pictures: (N, 3, H, W) float32, 0..1."""
        return draw_prompts(create_pipeline(painter, self.vae, self.tokenizer), self.prompts, language)


def real_drawings(prompts: Sequence[Prompt], drawings: Sequence[Drawing], data: Path) -> dict[int, torch.Tensor]:
    """The first drawing on white of each prompt's name and style, (3, 128, 128) in 0..1, by the prompt's place."""
    first = {(drawing.names["en"], drawing.style): drawing for drawing in reversed(drawings)}
    found = {
        place: first[prompt.name, prompt.style]
        for place, prompt in enumerate(prompts)
        if (prompt.name, prompt.style) in first
    }
    if not found:
        return {}
    pictures = on_white(load_pixels(data, list(found.values())))
    return dict(zip(found, pictures, strict=True))
