"""Names read back from what a text-to-image model draws for a list of prompts."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from pipelines.runtime.context import Runtime
from pipelines.text_to_image.models import TextToImageModel, wrap
from pipelines.zero_shot.models import ZeroShotModel
from pipelines.zero_shot.templates import TEMPLATES
from training.report import to_bytes, write_sheet
from training.text_to_image_reading import Reader, Readings, all_drawings, names_of, read_real
from training.text_to_image_sheet import COLUMNS, STEPS, Prompt, draw_prompts, load_prompts


@dataclass(frozen=True, eq=False)
class Pair:
    """The model that draws and the CLIP that reads."""

    painter: TextToImageModel
    clip: ZeroShotModel

    @property
    def id(self) -> str:
        """The name of the model that is measured."""
        return self.painter.id


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of this topic."""
    parser.add_argument("--prompts", type=Path, required=True, help="lines with id, prompt, prompt_zh, name, style")
    parser.add_argument("--data", type=Path, required=True, help="folder of the drawing packs: all names, the ceiling")
    parser.add_argument("--language", choices=sorted(TEMPLATES), default="en", help="language of prompts and names")
    parser.add_argument("--pipeline", type=Path, help="a diffusers folder in place of a model of the catalogue")
    parser.add_argument("--guidance-scale", type=float, help="another one than the model's own")
    parser.add_argument("--sheet", type=Path, help="write the pictures as a contact sheet into this file")


def load(runtime: Runtime, options: argparse.Namespace) -> Pair:
    """The model and the bundled CLIP."""
    clip = runtime.load(runtime.choose("zero_shot").entry.id)
    if options.pipeline is None:
        return Pair(runtime.load(options.model or runtime.choose("text_to_image").entry.id), clip)
    dtype = runtime.placement.torch_dtype
    pipeline = StableDiffusionPipeline.from_pretrained(options.pipeline, dtype=dtype, use_safetensors=True)
    return Pair(wrap(options.pipeline.name, pipeline, runtime.placement), clip)


def draw(
    model: TextToImageModel, prompts: list[Prompt], language: str, *, guidance_scale: float | None = None
) -> torch.Tensor:
    """20 DDIM steps (few-step models: their own number), guidance as shipped: (N, 3, H, W) float32, 0..1."""
    pipeline = model.pipeline
    if not isinstance(pipeline.scheduler, DDIMScheduler):
        pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    steps = model.default_steps if model.few_step else STEPS
    scale = model.default_guidance if guidance_scale is None else guidance_scale
    return draw_prompts(pipeline, prompts, language, steps=steps, guidance_scale=scale)


def evaluate(pair: Pair, options: argparse.Namespace) -> dict:
    """Top-1 and top-5 over all names of the packs, and their ceiling: what is read from the real drawings.

    Both are of the lines whose name and style the packs hold. The other lines are counted apart, without a ceiling,
    each with its own name added to the list.
    """
    prompts = load_prompts(options.prompts)
    if not prompts:
        raise SystemExit(f"{options.prompts.name} has no line")
    pictures = draw(pair.painter, prompts, options.language, guidance_scale=options.guidance_scale)
    if options.sheet:
        titles = [prompt.words["en"] for prompt in prompts]  # the default font knows no Chinese
        write_sheet(options.sheet, list(to_bytes(pictures)), columns=min(COLUMNS, len(prompts)), titles=titles)
    drawings = all_drawings(options.data)
    asked = [prompt.names[options.language] for prompt in prompts]
    reader = Reader(pair.clip, names_of(drawings, options.language), options.language, more=asked)
    real = read_real(reader, options.data, drawings, prompts)
    return report(read(reader, prompts, pictures, real)) | {
        "language": options.language,
        "lines": len(prompts),
        "names": len(reader.names),
        "guidance_scale": pair.painter.default_guidance if options.guidance_scale is None else options.guidance_scale,
    }


def read(reader: Reader, prompts: list[Prompt], pictures: torch.Tensor, real: dict) -> Readings:
    """Read the name of every line in its picture; a line without a real drawing has an empty ceiling."""
    drawn = reader.ranks(pictures, [prompt.names[reader.language] for prompt in prompts])
    return Readings(prompts, drawn, [real.get((prompt.name, prompt.style), drawn[:0]) for prompt in prompts])


def report(readings: Readings) -> dict:
    """The figures of lines with a real drawing, in parts too, and of those without."""
    found = [len(places) > 0 for places in readings.real]
    counted, others = readings.part(found), readings.part([not one for one in found])
    figures = {"n": 0}
    if any(found):
        figures = counted.figures() | counted.intervals()
        figures |= {f"by_{field}": counted.by(field) for field in ("kind", "group", "style")}
    if not all(found):
        figures["without_drawing"] = {"n": len(others.drawn), "top1": share(others, 1), "top5": share(others, 5)}
    return figures


def share(readings: Readings, among: int) -> float:
    """Share of lines whose name was among the first ``among``."""
    return round(float(readings.hits(among).mean()), 4)
