"""Trains the autoencoder of the text-to-image model: 128 px pictures to 16 x 16 x 4 latents and back.

    python -m training.text_to_image_autoencoder --data FOLDER --teachers FOLDER --device auto --minutes 60 --resume

A diffusers ``AutoencoderTiny`` without normalisation: many steps on few crops, 64 px first and whole drawings late,
L1 + 0.5 L2, late also a perceptual distance. Grounds are random, half of them white. A little noise on the latents and
a pull of each channel to mean 0 and deviation 1 take the place of a KL term. Goal: 28 dB on the val drawings on white.
Writes ``runs/text_to_image/autoencoder``: checkpoint, curve, sheet (drawing above its reconstruction), run.json and
``vae``, a folder for ``AutoencoderTiny.from_pretrained`` whose ``scaling_factor`` brings latents to unit variance.

With ``--decoder-only`` the encoder of ``--start`` stays as it is, and with it all latents: a painter that was trained
on them takes the new decoder (``training.text_to_image_decoder``).
"""

import argparse
import copy
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderTiny
from torch import nn
from torch.nn import functional

from training.drawings import SIDE_PX, load_drawings, load_perceptual, load_pixels, on_ground, on_white
from training.loop import Trainer
from training.packs import DRAWING_PACKS
from training.report import to_bytes, write_sheet
from training.runner import add_run_options, begin, loop_of, train

OUT = Path("runs/text_to_image/autoencoder")
SHEET_PICTURES = 32
SHEET_COLUMNS = 16


@dataclass(frozen=True)
class Config:
    """Shape and losses. Times are shares of the run."""

    width: int = 48
    blocks: tuple[int, ...] = (0, 1, 2, 3)  # of the encoder, full resolution first; the decoder has them reversed
    latent_channels: int = 4
    crops: int = 6
    crop_px: int = 64
    whole_from: float = 0.85
    whole_crops: int = 6
    perceptual: float = 0.5
    perceptual_from: float = 0.6
    squared: float = 0.5
    white: float = 0.5
    latent_noise: float = 0.05  # of the latents' own deviation, which starts near 0.01
    latent_moments: float = 0.01
    decoder_only: bool = False
    bfloat16: bool = False


def create_autoencoder(config: Config) -> AutoencoderTiny:
    """An untrained autoencoder; every level halves the picture, so four of them give f8."""
    channels = (config.width,) * len(config.blocks)
    return AutoencoderTiny(
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        num_encoder_blocks=config.blocks,
        num_decoder_blocks=tuple(reversed(config.blocks)),
        latent_channels=config.latent_channels,
    )


def draw_crops(
    pixels: torch.Tensor, generator: torch.Generator, *, count: int, size: int, white: float
) -> torch.Tensor:
    """Random crops, half of them mirrored, on white or on any colour: (count, 3, size, size) float32, 0..1.

    Draws are made on the CPU, so that a run is the same wherever ``pixels`` (N, 4, 128, 128) lie.
    """
    chosen = torch.randint(len(pixels), (count,), generator=generator).tolist()
    corners = torch.randint(pixels.shape[-1] - size + 1, (count, 2), generator=generator).tolist()
    mirrored = torch.rand(count, generator=generator) < 0.5
    ground = torch.rand(count, 3, generator=generator)
    ground[torch.rand(count, generator=generator) < white] = 1.0
    crops = [
        pixels[number, :, y : y + size, x : x + size].flip(-1 if mirror else ())
        for number, (y, x), mirror in zip(chosen, corners, mirrored.tolist(), strict=True)
    ]
    return on_ground(torch.stack(crops), ground.to(pixels.device))


def moments_penalty(latents: torch.Tensor) -> torch.Tensor:
    """Mean over channels of mean^2 + (deviation - 1)^2: (B, C, h, w) to a number.

    Diffusion starts from noise of mean 0 and deviation 1 a channel, but the pipeline knows one scale for all.
    """
    channels = latents.transpose(0, 1).flatten(1)
    return (channels.mean(dim=1).square() + (channels.std(dim=1) - 1).square()).mean()


class Steps:
    """The loss of one step; ``progress`` says how far the run is, 0..1."""

    def __init__(self, config: Config, pixels: torch.Tensor, perceptual: nn.Module, progress: Callable[[], float]):
        self.config, self.pixels, self.perceptual, self.progress = config, pixels, perceptual, progress

    def __call__(self, model: AutoencoderTiny, generator: torch.Generator) -> dict[str, torch.Tensor]:
        config, progress = self.config, self.progress()
        whole = progress >= config.whole_from
        size, count = (SIDE_PX, config.whole_crops) if whole else (config.crop_px, config.crops)
        pictures = draw_crops(self.pixels, generator, count=count, size=size, white=config.white)
        device = pictures.device.type
        with torch.autocast(device, torch.bfloat16) if config.bfloat16 else nullcontext():
            latents = model.encode(pictures * 2 - 1).latents
            noise = torch.randn(latents.shape, generator=generator).to(latents.device)
            spread = config.latent_noise * latents.detach().std()
            decoded = model.decode(latents + spread * noise).sample
        error = decoded.float() - (pictures * 2 - 1)
        parts = {
            "l1": error.abs().mean(),
            "l2": config.squared * error.square().mean(),
            "moments": config.latent_moments * moments_penalty(latents.float()),
        }
        if progress >= config.perceptual_from:
            distance = self.perceptual(decoded.float() / 2 + 0.5, pictures)
            return parts | {"perceptual": config.perceptual * distance.mean()}
        return parts | {"perceptual": torch.zeros_like(error.mean())}


@torch.no_grad()
def reconstruct(model: AutoencoderTiny, pictures: torch.Tensor, *, batch: int = 16) -> torch.Tensor:
    """Encode and decode (N, 3, H, W) pictures in 0..1; the result is clamped to 0..1 and rounded to bytes."""
    decoded = [model.decode(model.encode(part * 2 - 1).latents).sample / 2 + 0.5 for part in pictures.split(batch)]
    return torch.cat(decoded).clamp(0, 1).mul(255).round() / 255


def psnr_db(pictures: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio of each pair of (N, 3, H, W) pictures in 0..1: (N,), in dB, at most 100."""
    error = functional.mse_loss(pictures, others, reduction="none").mean(dim=(1, 2, 3))
    return -10 * error.clamp_min(1e-10).log10()


@torch.no_grad()
def latent_statistics(model: AutoencoderTiny, pictures: torch.Tensor, *, batch: int = 16) -> dict[str, list[float]]:
    """Mean and standard deviation of the latents: of each channel, then of all values together (last)."""
    latents = torch.cat([model.encode(part * 2 - 1).latents for part in pictures.split(batch)])
    channels = latents.transpose(0, 1).flatten(1)
    return {
        "mean": [*channels.mean(dim=1).tolist(), latents.mean().item()],
        "std": [*channels.std(dim=1).tolist(), latents.std().item()],
    }


class Validation:
    """PSNR on val drawings on white; writes a sheet, each drawing above its reconstruction."""

    def __init__(self, pixels: torch.Tensor, folder: Path):
        self.pictures, self.folder = on_white(pixels), folder

    def __call__(self, model: AutoencoderTiny) -> dict[str, float]:
        model.eval()
        decoded = reconstruct(model, self.pictures)
        self.write_sheet(decoded)
        return {"psnr_db": psnr_db(self.pictures, decoded).mean().item()}

    def write_sheet(self, decoded: torch.Tensor) -> None:
        """Rows of drawings, each row above the row of their reconstructions."""
        count = min(SHEET_PICTURES, len(decoded))
        columns = min(SHEET_COLUMNS, count)
        count -= count % columns  # only whole rows, or pairs would not stand below one another
        shown = torch.linspace(0, len(decoded) - 1, count).long().to(decoded.device)
        real, ours = to_bytes(self.pictures[shown]), to_bytes(decoded[shown])
        rows = []
        for start in range(0, count, columns):
            rows += [*real[start : start + columns], *ours[start : start + columns]]
        write_sheet(self.folder / "sheet.png", rows, columns=columns)


def save_vae(model: AutoencoderTiny, scaling_factor: float, folder: Path) -> None:
    """Write the folder that diffusers loads; ``scaling_factor`` is one over the latents' standard deviation."""
    model = copy.deepcopy(model).cpu()
    model.register_to_config(scaling_factor=scaling_factor)
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)


def evenly(values: torch.Tensor, count: int) -> torch.Tensor:
    """At most ``count`` values at even distances."""
    return values[torch.linspace(0, len(values) - 1, min(count, len(values))).long()]


@dataclass(frozen=True, eq=False)
class Run:
    """All parts of a run, ready to start."""

    config: Config
    trainer: Trainer
    steps: Steps
    validation: Validation
    full_validation: Validation
    sample: torch.Tensor  # training drawings on white, for the statistics of the latents


def create(options: argparse.Namespace) -> Run:
    """Load the pictures and build model, losses and loop; go on from the checkpoint if that is asked."""
    torch.manual_seed(options.seed)
    blocks = tuple(options.blocks)
    config = Config(
        width=options.width,
        blocks=blocks,
        latent_channels=options.latent_channels,
        crops=options.crops,
        whole_crops=options.whole_crops,
        perceptual=options.perceptual,
        decoder_only=options.decoder_only,
        bfloat16=options.bfloat16,
    )
    pixels = load_pixels(options.data, load_drawings(options.data, "train", packs=options.packs)).to(options.device)
    val = load_pixels(options.data, load_drawings(options.data, "val", packs=options.packs)).to(options.device)
    model = create_autoencoder(config).to(options.device)
    model.encoder.requires_grad_(not options.decoder_only)
    loop = loop_of(options, weight_decay=0.01, betas=(0.9, 0.99), log_steps=50)
    trainer = begin(loop, model, resume=options.resume)
    if options.start is not None and trainer.state.step == 0:
        start_from(trainer, options.start)
    perceptual = load_perceptual(options.teachers).to(options.device)
    return Run(
        config,
        trainer,
        Steps(config, pixels, perceptual, trainer.progress),
        Validation(evenly(val, options.val_pictures), options.out),
        Validation(val, options.out),
        on_white(evenly(pixels, options.val_pictures)),
    )


def start_from(trainer: Trainer, folder: Path) -> None:
    """Begin with the weights of an autoencoder of the same shape, in a folder that diffusers loads."""
    weights = AutoencoderTiny.from_pretrained(folder).state_dict()
    for model in (trainer.model, trainer.average):
        model.load_state_dict(weights)


def scale_of(options: argparse.Namespace, statistics: dict[str, list[float]]) -> float:
    """What brings latents to unit variance; where the encoder stays, what it was."""
    if options.decoder_only:
        return AutoencoderTiny.load_config(options.start)["scaling_factor"]
    return 1 / statistics["std"][-1]


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    run = create(options)
    average = run.trainer.average

    def finish() -> dict:
        statistics = latent_statistics(average, run.sample)
        save_vae(average, scale_of(options, statistics), options.out / "vae")
        return {
            "parameters": sum(parameter.numel() for parameter in average.parameters()),
            "val_pictures": len(run.full_validation.pictures),
            **run.full_validation(average),
            "latents": statistics,
        }

    train(run.trainer, run.steps, run.validation, settings={"model": run.config}, finish=finish)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_run_options(parser, out=OUT, minutes=60, rate=2e-3, evaluate_minutes=5.0)
    parser.add_argument("--teachers", type=Path, required=True, help="folder with load.py and the SqueezeNet weights")
    parser.add_argument("--packs", nargs="+", default=DRAWING_PACKS, choices=DRAWING_PACKS, metavar="PACK")
    parser.add_argument("--start", type=Path, help="a folder of AutoencoderTiny: its weights are the first ones")
    parser.add_argument("--decoder-only", action="store_true", help="leave the encoder of --start as it is")
    parser.add_argument("--width", type=int, default=Config.width)
    parser.add_argument("--blocks", type=int, nargs="+", default=Config.blocks)
    parser.add_argument("--latent-channels", type=int, default=Config.latent_channels)
    parser.add_argument("--crops", type=int, default=Config.crops, help="of 64 px in a batch; more on a GPU")
    parser.add_argument("--whole-crops", type=int, default=Config.whole_crops, help="of 128 px in a batch, late")
    parser.add_argument("--perceptual", type=float, default=Config.perceptual)
    parser.add_argument("--bfloat16", action="store_true", help="measure ten steps of each first")
    parser.add_argument("--val-pictures", type=int, default=96, help="while it trains; all of them at the end")
    options = parser.parse_args(arguments)
    if options.decoder_only and options.start is None:
        parser.error("--decoder-only needs --start")
    return options


if __name__ == "__main__":
    main()
