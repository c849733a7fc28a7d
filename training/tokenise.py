"""Trains the bundled tokenisers: f8, 1,024 codes; a VQ-VAE with the L2 loss, and from it a VQGAN (arXiv 2012.09841).

    python -m training.tokenise --data FOLDER --teachers FOLDER --model vqvae --minutes 60 --resume
    python -m training.tokenise --data FOLDER --teachers FOLDER --model vqgan --minutes 60 --resume

A diffusers ``VQModel`` that sees patches of pixels. First an autoencoder without codes, then k-means places the codes,
then they follow running means. Small crops first, larger ones late. The VQGAN starts from the weights of the first
run; it adds perceptual distances and, after a tenth of the run, a patch discriminator.
On a GPU: ``--crops 64 --large-crops 32 --workers 8``. Writes ``runs/tokenise/MODEL``: checkpoint, curve, sheet
(pictures above their reconstructions), run.json and ``model``, the folder that the app loads.
"""

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from pipelines.tokenise.models import latents_of, pictures_of
from training.ahead import Ahead
from training.loop import Trainer
from training.packs import DRAWING_PACKS, PHOTO_PACKS, SHARP_PACKS
from training.perceptual import load_distances
from training.runner import add_fields, add_run_options, begin, loop_of, of_options, train
from training.tokenise_data import Crops, load_drawn, load_pictures
from training.tokenise_model import Student, VQConfig, hinge
from training.tokenise_validation import Validation, save_model

OUT = Path("runs/tokenise")
SHIFT_PX = 8  # the most that the perceptual network's view is moved by, less one
START_CROPS = 128  # of the k-means start: 64 vectors each at 64 px


@dataclass(frozen=True)
class StepConfig:
    """Losses and crops. Times are shares of the run."""

    crops: int = 8
    crop_px: int = 64
    large_crops: int = 4
    large_px: int = 128
    large_from: float = 0.7
    codes_from: float = 0.05
    restarts_until: float = 0.8
    commitment: float = 0.25
    perceptual: float = 0.0
    adversarial: float = 0.0  # the most that the adaptive weight may reach
    adversarial_from: float = 0.33
    encoder_from: float = 0.0  # before it, encoder and codes stay as they are: only the decoder learns
    bfloat16: bool = False


class Steps:
    """The loss of one step. crops(first, count, size): gives a batch. clock(): step, and progress of the run, 0..1."""

    def __init__(
        self,
        config: StepConfig,
        crops: Callable[[int, int, int], torch.Tensor],
        perceptual: nn.Module | None,
        clock: Callable[[], tuple[int, float]],
        *,
        device: str,
    ):
        self.config, self.crops, self.perceptual, self.clock, self.device = config, crops, perceptual, clock, device

    def __call__(self, model: Student, generator: torch.Generator) -> dict[str, torch.Tensor]:
        config, (step, progress) = self.config, self.clock()
        large = progress >= config.large_from
        count, size = (config.large_crops, config.large_px) if large else (config.crops, config.crop_px)
        pictures = self._pictures(step * max(config.crops, config.large_crops), count, size)
        if not model.started and progress >= config.codes_from:
            with torch.no_grad():
                model.start(latents_of(model.vq, self._sample(step)), generator)
        settled = model.started and progress < config.encoder_from
        with torch.autocast(self.device, torch.bfloat16) if config.bfloat16 else nullcontext():
            with torch.set_grad_enabled(not settled):
                latents = latents_of(model.vq, pictures)
            quantised = model.quantise(latents) if model.started else None
            decoded = pictures_of(model.vq, quantised.straight if quantised else latents).float()
        parts = {"l2": functional.mse_loss(decoded, pictures) * 4}  # of values in -1..1
        if quantised and not settled:
            model.follow(quantised, generator, restart=progress < config.restarts_until)
            parts["commitment"] = config.commitment * functional.mse_loss(quantised.latents, quantised.codes.detach())
            if not model.config.ema:
                parts["codebook"] = functional.mse_loss(quantised.codes, quantised.latents.detach())
        if self.perceptual is not None:
            parts["perceptual"] = config.perceptual * self.perceptual(*shifted(decoded, pictures, generator)).mean()
        if model.discriminator is not None and progress >= config.adversarial_from:
            parts |= self._adversarial(model, decoded, pictures, parts["l2"] + parts.get("perceptual", 0))
        return parts

    def _pictures(self, first: int, count: int, size: int) -> torch.Tensor:
        return self.crops(first, count, size).to(self.device).float() / 255

    def _sample(self, step: int) -> torch.Tensor:
        """Crops for the k-means start, besides the order of the run."""
        crops = getattr(self.crops, "make", self.crops)
        sample = crops((step + 1) * 10**6, START_CROPS, self.config.crop_px)
        return sample.to(self.device).float() / 255

    def _adversarial(
        self, model: Student, decoded: torch.Tensor, pictures: torch.Tensor, nearness: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Hinge losses of both players in one step: the decoder sees the discriminator's weights as constants.

        The weight balances the gradients at the last layer (2012.09841, equation 7), up to ``adversarial``.
        """
        judge = model.discriminator
        constants = {name: value.detach() for name, value in judge.named_parameters()}
        fooled = -functional_call(judge, constants, (decoded,)).mean()
        last = model.vq.decoder.conv_out.weight
        wanted = torch.autograd.grad(nearness, last, retain_graph=True)[0].norm()
        given = torch.autograd.grad(fooled, last, retain_graph=True)[0].norm()
        weight = (wanted / (given + 1e-4)).clamp(0, 1) * self.config.adversarial
        return {"fool": weight * fooled, "judge": hinge(judge(pictures), judge(decoded.detach()))}


def shifted(decoded: torch.Tensor, pictures: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Both without the same few rows and columns at two edges.

    The perceptual network's strides and our cells are multiples of one another: always seen from the same corner, it
    would be blind to the same pixels of every cell, and the decoder would fill them with a grid.
    """
    top, left = torch.randint(SHIFT_PX, (2,), generator=generator).tolist()
    return decoded[..., top:, left:], pictures[..., top:, left:]


@dataclass(frozen=True, eq=False)
class Run:
    """All parts of a run, ready to start."""

    trainer: Trainer
    steps: Steps
    validation: Validation


def create(options: argparse.Namespace) -> Run:
    """Load the pictures and build model, losses and loop; go on from the checkpoint if that is asked."""
    torch.manual_seed(options.seed)
    kinds = {
        "photo": load_pictures(options.data, options.photos, "train", every=options.every),
        "sharp": load_pictures(options.data, options.sharp, "train", every=options.every),
        "drawing": load_drawn(options.data, options.drawings, "train", every=options.every),
    }
    ahead = Ahead(Crops(kinds, seed=options.seed).batch, workers=options.workers)
    student = Student(of_options(VQConfig, options))
    if options.start:
        load_start(student, options.start)
    loop = loop_of(options, weight_decay=0.01, betas=(0.9, 0.99), log_steps=50)
    trainer = begin(loop, student.to(options.device), resume=options.resume)
    perceptual = load_distances(options.teachers).to(options.device) if options.perceptual else None
    clock = lambda: (trainer.state.step, trainer.progress())  # noqa: E731
    steps = Steps(of_options(StepConfig, options), ahead, perceptual, clock, device=options.device)
    val = load_pictures(options.data, options.sharp, "val")
    return Run(trainer, steps, Validation(val, options.out, most=options.val_pictures))


def load_start(student: Student, run: Path) -> None:
    """Begin from the average of another run of the same shape; a discriminator begins anew."""
    saved = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)["average"]
    own = student.state_dict()
    new = {name: value for name, value in own.items() if name.startswith("discriminator")}
    student.load_state_dict({name: saved[name] for name in own if name not in new} | new)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    run = create(options)
    average = run.trainer.average

    def finish() -> dict:
        sizes = save_model(average.vq, options.out / "model")
        return sizes | replace_pictures(run.validation, options).figures(average, codecs=True)

    settings = {"model": average.config, "steps": run.steps.config}
    train(run.trainer, run.steps, run.validation, settings=settings, finish=finish)


def replace_pictures(validation: Validation, options: argparse.Namespace) -> Validation:
    """The validation of the end: more pictures."""
    return replace(validation, most=4 * options.val_pictures)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line; ``--model vqgan`` sets what its losses need, unless it is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_run_options(parser, out=None, minutes=60, rate=None, evaluate_minutes=5.0)
    parser.add_argument("--teachers", type=Path, required=True, help="folder with load.py and the SqueezeNet weights")
    parser.add_argument("--model", default="vqvae", choices=("vqvae", "vqgan"))
    for name, packs in (("photos", PHOTO_PACKS), ("sharp", SHARP_PACKS), ("drawings", DRAWING_PACKS)):
        parser.add_argument(f"--{name}", nargs="*", default=packs, choices=packs, metavar="PACK")
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture of the packs")
    parser.add_argument("--start", type=Path, help="run to begin from; the VQGAN begins from runs/tokenise/vqvae")
    parser.add_argument("--workers", type=int, default=0, help="processes that make crops; a GPU wants some")
    parser.add_argument("--val-pictures", type=int, default=24, help="while it trains; four times as many at the end")
    parser.add_argument("--widths", type=int, nargs="+", default=VQConfig.widths)
    add_fields(parser, VQConfig, StepConfig, without=("widths",))
    known = parser.parse_known_args(arguments)[0]
    if known.model == "vqgan":
        losses = {
            "perceptual": 0.06,
            "adversarial": 0.3,
            "adversarial_from": 0.1,
            "discriminator": 32,
            "codes_from": 0.0,
        }
        parser.set_defaults(rate=5e-4, start=OUT / "vqvae", **losses)
    else:
        parser.set_defaults(rate=2e-3)
    options = parser.parse_args(arguments)
    options.widths, options.out = tuple(options.widths), options.out or OUT / options.model
    return options


if __name__ == "__main__":
    main()
