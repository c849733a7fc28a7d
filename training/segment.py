"""Trains the bundled SAM: a small Segment Anything of 256 px (arXiv 2304.02643).

    python -m training.segment --data FOLDER --device auto --minutes 180 --resume

Half of the scenes are pictures of the masks packs, half composites with drawings and cut-outs pasted on them. Small
pictures first, full size late; clicks and boxes, then corrective clicks with the mask before. At the start the
embedding also learns features of an ImageNet network (EfficientNet-Lite0, never shipped). On a GPU:
``--batch 32 --workers 14 --bfloat16 --small-until 0.3``.
Writes ``runs/segment/sam``: checkpoint, curve, sheet (picture and truth, one click, five clicks, box), run.json and
``model``, the folder that the app loads.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from segment_anything import SamPredictor
from segment_anything.modeling import Sam

from pipelines.runtime.device import CPU
from pipelines.segment.clicks import Click, box_of, first_click
from pipelines.segment.models import SamConfig, load_folder, write_config
from training.ahead import Ahead
from training.evaluate_segment import best, chosen_objects, click_masks, figures_of, measure
from training.loop import Trainer
from training.packs import DRAWING_PACKS, SHARP_PACKS
from training.report import write_sheet
from training.runner import add_fields, add_run_options, begin, loop_of, of_options, save_half, train
from training.segment_data import Annotated, load_annotated, load_cut_outs
from training.segment_model import Student, Teacher
from training.segment_scenes import Scenes
from training.segment_steps import StepConfig, Steps

OUT = Path("runs/segment/sam")
SHEET_SIDE = 128
SHEET_OBJECTS = 32
MARK = np.array([230, 60, 20])


class Validation:
    """The protocol of ``training.evaluate segment`` on fixed objects of val pictures; writes a sheet."""

    def __init__(self, pictures: list[Annotated], folder: Path, *, most: int, objects: int = 1, grabcut: bool = False):
        step = max(1, -(-len(pictures) // most)) if most else 1
        self.pictures, self.folder, self.objects, self.grabcut = pictures[::step], folder, objects, grabcut

    def __call__(self, student: Student) -> dict[str, float]:
        """Means over the objects, those that fit into a curve."""
        return {name: value for name, value in self.figures(student).items() if not isinstance(value, list)}

    def figures(self, student: Student) -> dict:
        """All figures, with intervals; writes the sheet."""
        predictor, measured, shown = SamPredictor(student.sam.eval()), [], []
        for number, picture in enumerate(self.pictures):
            predictor.set_image(picture.pixels)
            for index in chosen_objects(picture, self.objects, seed=number):
                truth = picture.mask(index) > 0
                pixels = picture.pixels if self.grabcut else None
                measured.append(measure(predictor, truth, clicks=5, pixels=pixels))
                if len(shown) < 4 * SHEET_OBJECTS:
                    shown += draw_object(predictor, picture.pixels, truth)
        write_sheet(self.folder / "sheet.png", shown, columns=16)
        return figures_of(measured)


def draw_object(predictor: SamPredictor, pixels: np.ndarray, truth: np.ndarray) -> list[np.ndarray]:
    """Four tiles (S, S, 3): the truth, and the masks after one click, five clicks, and with a box."""
    masks = [mask for mask, _ in click_masks(predictor, truth, 5)]
    boxed = best(predictor, truth, box=box_of(truth))[0]
    return draw_tiles(pixels, [truth, masks[0], masks[-1], boxed], first_click(truth))


def draw_tiles(pixels: np.ndarray, masks: Sequence[np.ndarray], click: Click) -> list[np.ndarray]:
    """A tile (S, S, 3) uint8 for each mask (H, W) bool of a picture (H, W, 3), the second one with the click."""
    scale = SHEET_SIDE / max(pixels.shape[:2])
    tiles = []
    for mask in masks:
        tinted = np.where(mask[..., None], 0.45 * pixels + 0.55 * MARK, pixels).astype(np.uint8)
        small = cv2.resize(tinted, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:SHEET_SIDE, :SHEET_SIDE]
        tile = np.full((SHEET_SIDE, SHEET_SIDE, 3), 255, np.uint8)
        tile[: small.shape[0], : small.shape[1]] = small
        tiles.append(tile)
    cv2.circle(tiles[1], (round(click.x * scale), round(click.y * scale)), 3, (255, 255, 0), -1)
    return tiles


def save_model(sam: Sam, config: SamConfig, folder: Path) -> None:
    """Write config and fp16 weights as the app loads them."""
    write_config(config, folder)
    save_half(sam, folder / "model.safetensors")


@dataclass(frozen=True, eq=False)
class Run:
    """All parts of a run, ready to start."""

    config: SamConfig
    trainer: Trainer
    steps: Steps
    validation: Validation
    full_validation: Validation


def create(options: argparse.Namespace) -> Run:
    """Load the pictures and build model, losses and loop; go on from the checkpoint if that is asked."""
    torch.manual_seed(options.seed)
    config, step_config = of_options(SamConfig, options), of_options(StepConfig, options)
    pictures = load_annotated(options.data, "train", packs=options.packs)
    val = load_annotated(options.data, "val", packs=options.packs)
    cut_outs = load_cut_outs(options.data, most=options.drawings, packs=options.drawing_packs)
    scenes = Scenes(pictures, cut_outs, prompts=options.prompts, composite=options.composite, seed=options.seed)
    ahead = Ahead(scenes.batch, workers=options.workers)
    trainer = begin(loop_of(options), Student(config).to(options.device), resume=options.resume)
    steps = Steps(
        step_config,
        ahead,
        Teacher().to(options.device),
        lambda: (trainer.state.step, trainer.progress()),
        device=options.device,
    )
    return Run(
        config,
        trainer,
        steps,
        Validation(val, options.out, most=options.val_pictures),
        Validation(val, options.out, most=4 * options.val_pictures, objects=4, grabcut=True),
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(0)  # scenes come from processes of their own, or from one thread
    run = create(options)

    def finish() -> dict:
        save_model(run.trainer.average.sam, run.config, options.out / "model")
        student = Student(run.config)
        student.sam = load_folder("run", options.out / "model", placement=CPU).module  # what ships is what is measured
        return {
            "parameters": sum(parameter.numel() for parameter in student.sam.parameters()),
            "bytes": (options.out / "model/model.safetensors").stat().st_size,
            **run.full_validation.figures(student),
        }

    settings = {"model": run.config, "steps": run.steps.config}
    train(run.trainer, run.steps, run.validation, settings=settings, finish=finish)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_run_options(parser, out=OUT, minutes=180, rate=5e-3)
    parser.add_argument("--teachers", type=Path, help="not needed: the teacher comes with a package")
    parser.add_argument("--packs", nargs="+", default=SHARP_PACKS, choices=SHARP_PACKS, metavar="PACK")
    parser.add_argument("--drawing-packs", nargs="*", default=DRAWING_PACKS, choices=DRAWING_PACKS, metavar="PACK")
    parser.add_argument("--drawings", type=int, default=5000, help="at most so many of them, 64 KiB each")
    parser.add_argument("--workers", type=int, default=0, help="processes that make scenes; a GPU wants one a core")
    for name in ("width", "depth", "heads", "out_channels", "decoder_mlp"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(SamConfig, name))
    add_fields(parser, StepConfig)
    parser.add_argument("--val-pictures", type=int, default=64, help="while it trains; four times as many at the end")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
