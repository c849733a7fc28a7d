"""Trains the text-to-image model: a CLIP text encoder and a UNet on the latents of named drawings.

    python -m training.text_to_image_autoencoder --data FOLDER --teachers FOLDER     # first
    python -m training.text_to_image --data FOLDER --teachers FOLDER --device auto --minutes 180 --resume

v-prediction with zero terminal SNR, min-SNR weights (arXiv 2303.09556), captions dropped at times for guidance.
``heldout_pair`` and ``val`` drawings are never trained on. Writes ``runs/text_to_image/painter``: checkpoint, curve,
sheets of the fixed prompts with fixed noise, run.json and ``pipeline``, a folder for
``StableDiffusionPipeline.from_pretrained`` in float16 with no file over 9 MB.
"""

import argparse
import copy
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from transformers import PreTrainedTokenizerBase

from training.drawings import load_drawings, load_perceptual, load_styles
from training.loop import Trainer
from training.packs import DRAWING_PACKS
from training.runner import add_run_options, begin, loop_of, train
from training.text_to_image_data import ByName, CaptionConfig, Captions, Examples, WeightConfig, load_examples
from training.text_to_image_made import Made, asked_compositions, draw_pairs, draw_recoloured, load_made
from training.text_to_image_model import (
    Painter,
    ShapeConfig,
    create_pipeline,
    create_scheduler,
    create_text_encoder,
    create_unet,
    load_tokenizer,
    save_pipeline,
    start_from_tower,
)
from training.text_to_image_sheet import Sheet, load_prompts

OUT = Path("runs/text_to_image/painter")
VAE = Path("runs/text_to_image/autoencoder/vae")
TOKENIZER = Path("assets/models/zero_shot/tokenizer")
MEASURED = 256  # drawings of each kind whose loss is measured


@dataclass(frozen=True)
class Config:
    """Losses and batches. ``batches``: (share of the run from which it holds, latents in a batch)."""

    batches: tuple[tuple[float, int], ...] = ((0.0, 16), (0.6, 32), (0.85, 64))
    snr_limit: float = 5.0
    least_weight: float = 0.1
    noisy: float = 0.0  # share of timesteps drawn from the noisy half, where words decide on shapes
    made: float = 0.1  # share of pairs and of drawings in another colour
    bfloat16: bool = False


def batch_at(progress: float, batches: tuple[tuple[float, int], ...]) -> int:
    """Size of a batch at a progress of 0..1."""
    return [size for start, size in batches if progress >= start][-1]


def add_noise(latents: torch.Tensor, noise: torch.Tensor, alpha_bar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy latents and the v to predict (arXiv 2202.00512): z = a x + s e, v = a e - s x.

    latents, noise: (B, C, h, w); alpha_bar: (B,), with a^2 = alpha_bar and s^2 = 1 - alpha_bar.
    """
    alpha, sigma = alpha_bar.sqrt().view(-1, 1, 1, 1), (1 - alpha_bar).sqrt().view(-1, 1, 1, 1)
    return alpha * latents + sigma * noise, alpha * noise - sigma * latents


def lean_to_noise(shares: torch.Tensor, noisy: float) -> torch.Tensor:
    """Map even draws in 0..1 so that the share ``noisy`` of them comes from 0.5..1 alone, the rest from all of 0..1."""
    low = (1 - noisy) / 2  # probability of 0..0.5
    return torch.where(shares < low, shares / (1 - noisy), 0.5 + (shares - low) / (1 + noisy))


def min_snr_weight(alpha_bar: torch.Tensor, *, limit: float, least: float) -> torch.Tensor:
    """min(SNR, limit) / (SNR + 1), the weight of the squared error of v (arXiv 2303.09556, section 3.4).

    SNR = alpha_bar / (1 - alpha_bar), so that SNR + 1 = 1 / (1 - alpha_bar). Unlike the paper's it never falls under
    ``least``: at pure noise, where words alone decide what is drawn, it would be zero.
    """
    return torch.minimum(alpha_bar, limit * (1 - alpha_bar)).clamp_min(least)


class Words:
    """Captions as token ids, padded to the model's length as the pipeline does."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, device: str):
        self.tokenizer, self.device = tokenizer, device

    def __call__(self, captions: list[str]) -> torch.Tensor:
        """(B, 32) int64."""
        length = self.tokenizer.model_max_length
        ids = self.tokenizer(captions, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return ids.input_ids.to(self.device)


class Steps:
    """The loss of one step; ``progress`` says how far the run is, 0..1. All draws are made on the CPU."""

    def __init__(
        self,
        config: Config,
        examples: Examples,
        made: tuple[list[Made], torch.Tensor],
        by_name: ByName,
        captions: Captions,
        words: Words,
        progress: Callable[[], float],
    ):
        self.config, self.examples, self.by_name, self.captions = config, examples, by_name, captions
        self.words, self.progress = words, progress
        self.made, latents = made
        self.latents = torch.cat([examples.latents, latents]).to(words.device)
        self.alpha_bar = create_scheduler().alphas_cumprod.to(words.device)

    def __call__(self, model: Painter, generator: torch.Generator) -> dict[str, torch.Tensor]:
        count = batch_at(self.progress(), self.config.batches)
        chosen = self.draw(count, generator)
        captions = [self.caption(place, generator) for place in chosen]
        # One timestep in each of `count` equally likely parts of the schedule: less noise in the loss than free draws.
        shares = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        shares = lean_to_noise(shares, self.config.noisy)
        noise = torch.randn(count, *self.latents.shape[1:], generator=generator)
        return {"v": self.loss(model, chosen, captions, shares, noise)}

    def draw(self, count: int, generator: torch.Generator) -> list[int]:
        """Places of latents: those of drawings come first, those of made pictures after them."""
        chosen = self.by_name.draw(count, generator)
        if not self.made:
            return chosen
        swapped = (torch.rand(count, generator=generator) < self.config.made).tolist()
        places = torch.randint(len(self.made), (count,), generator=generator).tolist()
        return [
            len(self.examples) + place if swap else drawing
            for drawing, place, swap in zip(chosen, places, swapped, strict=True)
        ]

    def caption(self, place: int, generator: torch.Generator) -> str:
        """A caption of what lies at the place."""
        if place >= len(self.examples):
            return self.made[place - len(self.examples)].caption(self.captions, generator)
        return self.captions.draw(self.examples.drawings[place], self.examples.colours[place], generator)

    def loss(
        self, model: Painter, chosen: list[int], captions: list[str], shares: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """Weighted mean of the squared error of v; ``shares`` (B,) in 0..1 are timesteps over their number."""
        device = self.latents.device
        timesteps = (shares * len(self.alpha_bar)).long().clamp_max(len(self.alpha_bar) - 1).to(device)
        alpha_bar = self.alpha_bar[timesteps]
        noisy, velocity = add_noise(self.latents[chosen], noise.to(device), alpha_bar)
        with torch.autocast(device.type, torch.bfloat16) if self.config.bfloat16 else nullcontext():
            predicted = model(noisy, timesteps, self.words(captions))
        error = (predicted.float() - velocity).square().mean(dim=(1, 2, 3))
        weight = min_snr_weight(alpha_bar, limit=self.config.snr_limit, least=self.config.least_weight)
        return (weight * error).mean()


class Measured:
    """Loss on fixed drawings with fixed captions, noise and timesteps, so that evaluations compare."""

    def __init__(self, steps: Steps, examples: Examples):
        generator = torch.Generator().manual_seed(1)
        count = min(MEASURED, len(examples))
        self.chosen = torch.randperm(len(examples), generator=generator)[:count].tolist()
        self.steps = copy.copy(steps)
        self.steps.latents = examples.latents.to(steps.latents.device)
        whole = Captions(
            replace(steps.captions.config, drop=0.0, style=1.0, colour=0.0, tag=0.0), steps.captions.styles
        )
        self.captions = [whole.draw(examples.drawings[place], None, generator) for place in self.chosen]
        self.shares = (torch.randperm(count, generator=generator) + 0.5) / count
        self.noise = torch.randn(count, *examples.latents.shape[1:], generator=generator)

    @torch.no_grad()
    def __call__(self, model: Painter, *, batch: int = 32) -> float:
        total = 0.0
        for start in range(0, len(self.chosen), batch):
            part = slice(start, start + batch)
            loss = self.steps.loss(model, self.chosen[part], self.captions[part], self.shares[part], self.noise[part])
            total += loss.item() * len(self.chosen[part])
        return total / len(self.chosen)


class Evaluation:
    """Losses on trained and on held-out drawings, and the sheet of fixed prompts."""

    def __init__(self, steps: Steps, held_out: Examples, sheet: Sheet):
        self.seen, self.sheet = Measured(steps, steps.examples), sheet
        self.held_out = Measured(steps, held_out) if len(held_out) else None

    def __call__(self, model: Painter, languages: tuple[str, ...] = ("en",)) -> dict[str, float]:
        model.eval()
        figures = {"seen": self.seen(model)}
        if self.held_out is not None:
            figures["held_out"] = self.held_out(model)
        for language in languages:
            figures |= self.sheet(model, language)
        return figures


@dataclass(frozen=True, eq=False)
class Run:
    """All parts of a run, ready to start."""

    configs: dict[str, object]
    trainer: Trainer
    steps: Steps
    evaluation: Evaluation
    vae: AutoencoderTiny
    tokenizer: PreTrainedTokenizerBase


def create(options: argparse.Namespace) -> Run:
    """Load drawings and models and build the loop; go on from the checkpoint if that is asked."""
    torch.manual_seed(options.seed)
    device = options.device
    shape = shape_of(options)
    config = Config(
        batches_from(options.batch, grow=not options.even_batch),
        least_weight=options.least_weight,
        noisy=options.noisy,
        bfloat16=options.bfloat16,
    )
    captions, weights = CaptionConfig(style=options.style), WeightConfig()
    loop = loop_of(options, weight_decay=0.01, betas=(0.9, 0.99), log_steps=50)
    vae = AutoencoderTiny.from_pretrained(options.autoencoder).to(device).eval().requires_grad_(False)
    trained, held_out = (
        load_examples(
            vae,
            options.data,
            load_drawings(options.data, split, packs=options.packs),
            options.out / f"latents_{split}.safetensors",
        )
        for split in ("train", "heldout_pair")
    )
    made = make_pictures(options, trained, vae)
    tokenizer = load_tokenizer(options.tokenizer)
    text_encoder = create_text_encoder(shape, tokenizer)
    if options.start is not None:
        start_from_tower(text_encoder, options.start)
    unet = create_unet(shape, latent_channels=vae.config.latent_channels, latent_px=trained.latents.shape[-1])
    model = Painter(text_encoder, unet).to(device)
    trainer = begin(loop, model, resume=options.resume)
    writer = Captions(captions, load_styles(options.data))
    by_name = ByName(trained.drawings, weights)
    steps = Steps(config, trained, made, by_name, writer, Words(tokenizer, device), trainer.progress)
    sheet = make_sheet(options, vae, tokenizer)
    configs = {"shape": shape, "training": config, "captions": captions, "weights": weights}
    return Run(configs, trainer, steps, Evaluation(steps, held_out, sheet), vae, tokenizer)


def make_pictures(
    options: argparse.Namespace, trained: Examples, vae: AutoencoderTiny
) -> tuple[list[Made], torch.Tensor]:
    """Pairs and drawings in another colour with their latents; none that the sheet asks for."""
    avoided = asked_compositions(prompts_of(options))
    made = draw_pairs(trained.drawings, options.pairs, avoided=avoided)
    made += draw_recoloured(trained, options.recoloured, avoided=avoided)
    if not made:
        return [], torch.empty(0, *trained.latents.shape[1:])
    return load_made(vae, options.data, made, options.out / "latents_made.safetensors")


def prompts_of(options: argparse.Namespace) -> Path:
    """The file of the sheet's prompts."""
    return options.prompts or options.data / "prompts64.jsonl"


def make_sheet(options: argparse.Namespace, vae: AutoencoderTiny, tokenizer: PreTrainedTokenizerBase) -> Sheet:
    """The fixed prompts; with teachers also the distance to the real drawings of those names and styles."""
    prompts = load_prompts(prompts_of(options))[: options.sheet]
    perceptual = load_perceptual(options.teachers).to(options.device) if options.teachers else None
    drawings = load_drawings(options.data, "train", packs=options.packs)
    return Sheet(
        prompts, vae, tokenizer, folder=options.out, data=options.data, drawings=drawings, perceptual=perceptual
    )


def shape_of(options: argparse.Namespace) -> ShapeConfig:
    """Widths as the command line says."""
    return ShapeConfig(
        channels=tuple(options.channels),
        attention=tuple(options.attention),
        layers_per_block=options.layers,
        text_width=options.text_width,
        text_layers=options.text_layers,
        text_heads=options.text_heads,
    )


def batches_from(first: int, *, grow: bool = True) -> tuple[tuple[float, int], ...]:
    """The growing batches of ``Config``, starting with another size; or one size throughout."""
    usual = Config.batches if grow else Config.batches[:1]
    return tuple((start, first * size // usual[0][1]) for start, size in usual)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    run = create(options)
    average = run.trainer.average

    def finish() -> dict:
        pipeline = create_pipeline(average, run.vae, run.tokenizer)
        parts = average.named_children()
        return {
            "drawings": len(run.steps.examples),
            "made": len(run.steps.made),
            "parameters": {name: sum(p.numel() for p in part.parameters()) for name, part in parts},
            "pipeline_bytes": save_pipeline(pipeline, options.out / "pipeline"),
            **run.evaluation(average, ("en", "zh")),
        }

    train(run.trainer, run.steps, run.evaluation, settings=run.configs, finish=finish)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = {"optimiser": "adamw", "average": 0.9995, "threads": 2, "evaluate_minutes": 15.0}
    add_run_options(parser, out=OUT, minutes=180, rate=8e-4, **usual)
    parser.add_argument("--teachers", type=Path, help="folder with load.py: measures the distance to real drawings")
    parser.add_argument("--autoencoder", type=Path, default=VAE, help="what training.text_to_image_autoencoder wrote")
    parser.add_argument("--tokenizer", type=Path, default=TOKENIZER)
    parser.add_argument("--start", type=Path, help="a bundled CLIP's folder: its text tower is the first text encoder")
    parser.add_argument("--packs", nargs="+", default=DRAWING_PACKS, choices=DRAWING_PACKS, metavar="PACK")
    parser.add_argument("--prompts", type=Path, help="lines of the sheet; prompts64.jsonl of --data without it")
    parser.add_argument("--sheet", type=int, default=64, help="prompts drawn in an evaluation")
    parser.add_argument("--batch", type=int, default=16, help="at the start; grows to four times as much")
    parser.add_argument(
        "--least-weight", type=float, default=Config.least_weight, help="of the loss, at pure noise: decides on shapes"
    )
    parser.add_argument("--noisy", type=float, default=Config.noisy, help="more draws from the noisy half, 0 to 0.9")
    parser.add_argument("--even-batch", action="store_true", help="do not let the batch grow")
    parser.add_argument("--style", type=float, default=CaptionConfig.style, help="share of captions with a style")
    parser.add_argument("--pairs", type=int, default=3000, help="pictures of two drawings side by side")
    parser.add_argument("--recoloured", type=int, default=3000, help="drawings in another colour")
    parser.add_argument("--channels", type=int, nargs="+", default=ShapeConfig.channels)
    parser.add_argument("--attention", type=int, nargs="*", default=ShapeConfig.attention, help="levels, 0 the finest")
    parser.add_argument("--layers", type=int, default=ShapeConfig.layers_per_block)
    parser.add_argument("--text-width", type=int, default=ShapeConfig.text_width)
    parser.add_argument("--text-layers", type=int, default=ShapeConfig.text_layers)
    parser.add_argument("--text-heads", type=int, default=ShapeConfig.text_heads)
    parser.add_argument("--bfloat16", action="store_true", help="measure ten steps of each first")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
