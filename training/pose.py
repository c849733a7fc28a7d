"""Trains the bundled pose network: one trunk, four heads on the same crops (arXiv 2107.11291).

    python -m training.pose --data FOLDER --device auto --minutes 120 --resume

EfficientNet-Lite0 with its ImageNet weights, fine-tuned by all heads at once: heat map, soft-argmax, regression by L1,
regression with residual log-likelihood; besides, two small heat-map heads for other map sizes. Labels of gymnasts are
noisy: distances are L1, and the largest few per cent of a batch's losses are left out.
On a GPU: ``--batch 128 --workers 14 --bfloat16``. Writes ``runs/pose/lucida``: checkpoint, curve, sheet (truth, then
each head), run.json and ``model``, the folder that the app loads.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from pipelines.pose.models import PoseConfig, PoseNet, load_folder, write_config
from pipelines.runtime.device import CPU
from pipelines.zero_shot.trunk import load_trunk_state
from training.ahead import Ahead
from training.evaluate_pose import HEADS, figures_of, predict
from training.loop import Trainer
from training.pose_data import POSE_PACKS, People, Person, load_people, upright
from training.pose_steps import StepConfig, Steps
from training.report import write_sheet
from training.runner import add_fields, add_run_options, begin, loop_of, of_options, save_half, train

OUT = Path("runs/pose/lucida")
SHEET_PEOPLE = 12
SHEET_PX = 160
BONES = ((0, 1), (1, 2), (2, 8), (3, 4), (4, 5), (3, 9), (6, 7), (7, 8), (9, 10), (10, 11), (8, 9), (2, 3), (12, 13))
RIGHT, LEFT, MIDDLE = (255, 140, 0), (0, 160, 255), (60, 200, 60)


def load_trunk(net: PoseNet) -> None:
    """Put the ImageNet weights into the trunk, all but the layers after its last stage."""
    state = load_trunk_state()
    wanted = net.trunk.state_dict()
    net.trunk.load_state_dict({name: state[name] for name in wanted})


class Validation:
    """PCK of the heads on val people; writes a sheet."""

    def __init__(self, people: Sequence[Person], folder: Path):
        self.people, self.folder = people, folder

    def __call__(self, net: PoseNet) -> dict[str, float]:
        """Figures of the curve."""
        figures = self.figures(net)
        pck = {f"pck_{name}": value for name, value in figures["pck"].items()}
        return pck | {"sigma_spearman": figures["sigma_spearman"]}

    def figures(self, net: PoseNet) -> dict:
        """All figures, as ``training.evaluate pose`` prints them."""
        self.write_sheet(net)
        return figures_of(net, self.people)

    def write_sheet(self, net: PoseNet) -> None:
        """A row a person: the labels, then the four heads."""
        chosen = self.people[:: max(1, len(self.people) // SHEET_PEOPLE)][:SHEET_PEOPLE]
        pixels, truth, seen = (np.stack(v) for v in zip(*(upright(p, net.config.crop) for p in chosen), strict=True))
        predicted, _ = predict(net, pixels)
        tiles = []
        for number in range(len(chosen)):
            tiles.append(draw(pixels[number], truth[number], seen[number] > 0))
            tiles += [draw(pixels[number], predicted[name][number], np.ones(14, bool)) for name in HEADS]
        write_sheet(self.folder / "sheet.png", tiles, columns=10, titles=["labels", *HEADS] * len(chosen))


def draw(pixels: np.ndarray, joints: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """A skeleton (14, 2) in -0.5..0.5 on its crop: (160, 160, 3) uint8."""
    tile = cv2.resize(pixels, (SHEET_PX, SHEET_PX), interpolation=cv2.INTER_AREA)
    places = ((joints + 0.5) * SHEET_PX).round().astype(int)
    for first, second in BONES:
        if shown[first] and shown[second]:
            sides = [(RIGHT if joint in (0, 1, 2, 6, 7, 8) else LEFT) for joint in (first, second)]
            colour = sides[0] if sides[0] == sides[1] and first < 12 else MIDDLE
            cv2.line(tile, places[first].tolist(), places[second].tolist(), colour, 2, cv2.LINE_AA)
    return tile


def save_model(net: PoseNet, folder: Path) -> None:
    """Write config and fp16 weights as the app loads them; the small flow keeps its precision."""
    write_config(net.config, folder)
    save_half(net, folder / "model.safetensors", keep=("flow.",))


@dataclass(frozen=True, eq=False)
class Run:
    """All parts of a run, ready to start."""

    trainer: Trainer
    steps: Steps
    validation: Validation
    full_validation: Validation


def create(options: argparse.Namespace) -> Run:
    """Load the people and build network, losses and loop; go on from the checkpoint if that is asked."""
    torch.manual_seed(options.seed)
    people = load_people(options.data, "train", packs=options.packs)
    val = load_people(options.data, "val", packs=options.packs)
    ahead = Ahead(People(people, coco_share=options.coco_share, seed=options.seed).batch, workers=options.workers)
    net = PoseNet(of_options(PoseConfig, options))
    load_trunk(net)
    trainer = begin(loop_of(options), net.to(options.device), resume=options.resume)

    def clock() -> tuple[int, float]:
        return trainer.state.step, trainer.progress()

    step = max(1, -(-len(val) // options.val_people))
    return Run(
        trainer,
        Steps(of_options(StepConfig, options), ahead, clock, device=options.device),
        Validation(val[::step], options.out),
        Validation(val, options.out),
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(0)  # crops come from processes of their own, or from one thread
    run = create(options)
    average = run.trainer.average

    def finish() -> dict:
        save_model(average, options.out / "model")
        net = load_folder("run", options.out / "model", placement=CPU).module  # what ships is what is measured
        return {
            "parameters": sum(parameter.numel() for parameter in net.parameters()),
            "bytes": (options.out / "model/model.safetensors").stat().st_size,
            **run.full_validation.figures(net),
        }

    settings = {"model": average.config, "steps": run.steps.config}
    train(run.trainer, run.steps, run.validation, settings=settings, finish=finish)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_run_options(parser, out=OUT, minutes=120, rate=1e-3, optimiser="adamw")
    parser.add_argument("--teachers", type=Path, help="not needed")
    parser.add_argument("--packs", nargs="+", default=POSE_PACKS, choices=POSE_PACKS, metavar="PACK")
    parser.add_argument("--workers", type=int, default=0, help="processes that make crops; a GPU wants one a core")
    add_fields(parser, PoseConfig, StepConfig)
    parser.add_argument("--val-people", type=int, default=120, help="while it trains; all of them at the end")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
