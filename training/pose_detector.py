"""Trains the bundled person detector on boxes that NanoDet draws in the pictures of the masks packs.

    python -m training.pose_detector --data FOLDER --teachers FOLDER --device auto --minutes 30 --resume

The teacher runs once over all pictures (0.1 s each); its boxes of people are kept in ``boxes_*.json``.
Writes ``runs/pose/detector``: checkpoint, curve, sheet, run.json, ``model``.
"""

import argparse
import importlib.util
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional
from torchvision.ops import box_iou, generalized_box_iou_loss

from pipelines.pose.detector import (
    STRIDE,
    DetectorConfig,
    PersonDetector,
    boxes_of,
    detect,
    fit,
    load_folder,
    write_config,
)
from pipelines.runtime.device import CPU
from pipelines.zero_shot.trunk import load_trunk_state
from training.loop import Trainer
from training.packs import SHARP_PACKS
from training.report import write_sheet
from training.runner import add_fields, add_run_options, begin, loop_of, of_options, save_half, train
from training.segment_data import framing, recolour, warp
from training.tokenise_data import load_pictures

OUT = Path("runs/pose/detector")
GREY = (127, 127, 127)
PERSON = 0  # among COCO's 80 classes
SHEET, SHEET_PX = 16, 160


@dataclass(frozen=True)
class StepConfig:
    """Losses of one step."""

    batch: int = 16
    spread: float = 0.15  # of the Gaussian around a middle, in sides of the box
    box: float = 2.0


@dataclass(frozen=True, eq=False)
class Picture:
    """pixels (H, W, 3) uint8; boxes (N, 4): left, top, right, bottom in pixels."""

    pixels: np.ndarray
    boxes: np.ndarray


def teach(teachers: Path, pictures: Sequence[np.ndarray], *, at_least: float = 0.4) -> list[np.ndarray]:
    """Boxes of people as NanoDet sees them: (N, 4) for each picture, in its pixels."""
    spec = importlib.util.spec_from_file_location("teachers_load", teachers / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.Graph("nanodet_g_coco80.fp16.safetensors")
    mean = torch.tensor([103.53, 116.28, 123.675])[None, :, None, None]
    std = torch.tensor([57.375, 57.12, 58.395])[None, :, None, None]
    found = []
    for pixels in pictures:
        square, scale = fit(pixels, 416)
        picture = torch.from_numpy(square[..., ::-1].copy()).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            boxes = module.nanodet_boxes(network((picture - mean) / std), at_least=at_least)
        people = [np.array(box) * 416 / scale for box, _, kind in boxes if kind == PERSON]
        found.append(np.array(people).reshape(-1, 4))
    return found


def load_taught(options: argparse.Namespace, split: str) -> list[Picture]:
    """Pictures of a split with the teacher's boxes, which are stored once."""
    pictures = load_pictures(options.data, options.packs, split, every=options.every)
    path = options.out / f"boxes_{split}.json"
    if path.exists():
        boxes = [np.array(one).reshape(-1, 4) for one in json.loads(path.read_text())]
    else:
        boxes = teach(options.teachers, pictures)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([one.round(1).tolist() for one in boxes]))
    return [Picture(pixels, one) for pixels, one in zip(pictures, boxes, strict=True)]


def frame(picture: Picture, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture scaled, cut, mirrored and recoloured, with the boxes that are still half inside."""
    matrix = framing(*picture.pixels.shape[:2], size, rng)
    pixels = warp(recolour(picture.pixels, rng), matrix, size, ground=GREY)
    corners = picture.boxes.reshape(-1, 2, 2) @ matrix[:, :2].T + matrix[:, 2]
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    inside = boxes.clip(0, size)
    areas = [(one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1]) for one in (boxes, inside)]
    return pixels, inside[(areas[1] > 0.5 * areas[0]) & (areas[1] > 64)]


def middle_targets(boxes: torch.Tensor, cells: int, spread: float) -> torch.Tensor:
    """(cells, cells): 1 in the cell of each middle, a Gaussian around it; boxes (N, 4) in pixels."""
    target = torch.zeros(cells, cells)
    place = torch.arange(cells)
    for left, top, right, bottom in (boxes / STRIDE).tolist():
        x, y = (min(int((a + b) / 2), cells - 1) for a, b in ((left, right), (top, bottom)))
        wide, high = max(spread * (right - left), 0.5), max(spread * (bottom - top), 0.5)
        bump = torch.exp(-0.5 * ((place - x) / wide) ** 2) * torch.exp(-0.5 * ((place[:, None] - y) / high) ** 2)
        target = torch.maximum(target, bump)
    return target


def middle_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Focal loss of 1904.07850, equation 1: cells near a middle count less; over the number of middles."""
    positive = target == 1
    log_yes, log_no = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    yes = logits.sigmoid()
    hit = (1 - yes).square() * log_yes * positive
    miss = (1 - target).pow(4) * yes.square() * log_no * ~positive
    return -(hit + miss).sum() / positive.sum().clamp_min(1)


class Steps:
    """The loss of one step. clock(): step of the run."""

    def __init__(
        self, config: StepConfig, pictures: Sequence[Picture], clock: Callable[[], int], *, seed: int, device: str
    ):
        self.config, self.pictures, self.clock, self.seed, self.device = config, pictures, clock, seed, device
        people = np.array([len(picture.boxes) > 0 for picture in pictures])
        self.chances = np.where(people, 0.8 / max(people.sum(), 1), 0.2 / max((~people).sum(), 1))
        self.chances /= self.chances.sum()

    def __call__(self, model: PersonDetector, generator: torch.Generator) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng((self.seed, self.clock()))
        size, config = model.config.size, self.config
        chosen = rng.choice(len(self.pictures), config.batch, p=self.chances)
        frames = [frame(self.pictures[place], size, rng) for place in chosen]
        boxes = [torch.from_numpy(one).float() for _, one in frames]
        target = torch.stack([middle_targets(one, size // STRIDE, config.spread) for one in boxes]).to(self.device)
        pixels = torch.from_numpy(np.stack([one for one, _ in frames])).to(self.device)
        model.train()
        logits, sides = model(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)
        return {"middle": middle_loss(logits, target), "box": config.box * self._box_loss(sides, boxes)}

    def _box_loss(self, sides: torch.Tensor, boxes: Sequence[torch.Tensor]) -> torch.Tensor:
        """Generalised IoU (1902.09630) of the boxes said at the middles."""
        cells, said, true = sides.shape[-1], [], []
        for number, ours in enumerate(boxes_of(sides)):
            if len(boxes[number]):
                middle = ((boxes[number][:, :2] + boxes[number][:, 2:]) / 2 / STRIDE).long().clamp_max(cells - 1)
                said.append(ours[(middle[:, 1] * cells + middle[:, 0]).to(self.device)])
                true.append(boxes[number].to(self.device))
        if not said:
            return sides.sum() * 0
        return generalized_box_iou_loss(torch.cat(said), torch.cat(true), reduction="mean")


class Validation:
    """Share of the teacher's boxes found, and of ours that the teacher has too, at IoU 0.5; writes a sheet."""

    def __init__(self, pictures: Sequence[Picture], folder: Path):
        self.pictures, self.folder = pictures, folder

    def __call__(self, model: PersonDetector) -> dict[str, float]:
        model.eval()
        found = hits = true = 0
        tiles = []
        for picture in self.pictures:
            people = detect(model, picture.pixels)
            ours = torch.tensor([(x, y, x + w, y + h) for x, y, w, h in (one.box for one in people)]).reshape(-1, 4)
            overlaps = box_iou(ours.double(), torch.from_numpy(picture.boxes)) > 0.5
            found, true = found + len(ours), true + len(picture.boxes)
            hits += int(overlaps.any(dim=0).sum())
            if len(tiles) < SHEET and len(picture.boxes):
                tiles.append(draw(picture, ours.numpy()))
        if tiles:
            write_sheet(self.folder / "sheet.png", tiles, columns=8)
        return {"recall": hits / max(true, 1), "precision": hits / max(found, 1), "people": true}


def draw(picture: Picture, ours: np.ndarray) -> np.ndarray:
    """The teacher's boxes in green, ours in orange: (160, 160, 3) uint8."""
    tile, scale = fit(picture.pixels, SHEET_PX)
    for boxes, colour, width in ((picture.boxes, (0, 200, 0), 2), (ours, (255, 120, 0), 1)):
        for left, top, right, bottom in (boxes * scale).round().astype(int).tolist():
            cv2.rectangle(tile, (left, top), (right, bottom), colour, width)
    return tile


@dataclass(frozen=True, eq=False)
class Run:
    """All parts of a run, ready to start."""

    trainer: Trainer
    steps: Steps
    validation: Validation


def create(options: argparse.Namespace) -> Run:
    """Load pictures and boxes and build network, losses and loop; go on from the checkpoint if that is asked."""
    torch.manual_seed(options.seed)
    taught, val = (load_taught(options, split) for split in ("train", "val"))
    model = PersonDetector(DetectorConfig(options.size, options.width))
    wanted, state = model.trunk.state_dict(), load_trunk_state()
    model.trunk.load_state_dict({name: state[name] for name in wanted})
    trainer = begin(loop_of(options), model.to(options.device), resume=options.resume)
    config = of_options(StepConfig, options)
    steps = Steps(config, taught, lambda: trainer.state.step, seed=options.seed, device=options.device)
    return Run(trainer, steps, Validation(val, options.out))


def save_model(model: PersonDetector, folder: Path) -> int:
    """Write config and fp16 weights as the app loads them; returns the bytes."""
    write_config(model.config, folder)
    return save_half(model, folder / "model.safetensors")


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    run = create(options)
    average = run.trainer.average

    def finish() -> dict:
        size = save_model(average, options.out / "model")
        shipped = load_folder(options.out / "model", placement=CPU)  # what ships is what is measured
        return {"bytes": size, **run.validation(shipped)}

    settings = {"model": average.config, "steps": run.steps.config}
    train(run.trainer, run.steps, run.validation, settings=settings, finish=finish)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_run_options(parser, out=OUT, minutes=30, rate=1e-3, optimiser="adamw", evaluate_minutes=5.0)
    parser.add_argument("--teachers", type=Path, required=True, help="folder with load.py and NanoDet's weights")
    parser.add_argument("--packs", nargs="+", default=SHARP_PACKS, choices=SHARP_PACKS, metavar="PACK")
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture of the packs")
    parser.add_argument("--size", type=int, default=DetectorConfig.size)
    parser.add_argument("--width", type=int, default=DetectorConfig.width)
    add_fields(parser, StepConfig)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
