"""Measures a SAM for its card: curves over clicks, boxes, GrabCut, predicted IoU, spread of the masks, everything mode.

    python -m training.measure_segment --data FOLDER --outside runs/segment/outside_*.zip

Objects of ``val`` of each masks pack, and of pictures that are in no pack (``training.segment_outside``). The person is
simulated as by ``training.evaluate segment``; beside the mask with the highest predicted IoU stand the best of the
three, and the rule that takes the single-mask token after the first click. Intervals: pictures resampled 1,000 times.
Some five minutes of one core. Writes ``runs/segment/sam/figures.json`` and ``outside.png``: all objects of the last
outside pack, whose pictures can be shown, those that came out worst first.
"""

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipelines.runtime.device import CPU
from pipelines.runtime.manifest import sha256_of
from pipelines.segment.ambiguity import spread
from pipelines.segment.clicks import Click, box_of, first_click, intersection_over_union, next_click
from pipelines.segment.masks import MULTIMASK, Masks
from pipelines.segment.models import SegmentModel, load_folder
from pipelines.segment.prompt import Embedding, Prompt, encode, predict
from training.evaluate_segment import MOST_CLICKS, chosen_objects, grabcut, open_pack
from training.intervals import estimate
from training.measure_everything import choose_thresholds
from training.packs import SHARP_PACKS
from training.report import write_sheet
from training.segment import draw_tiles
from training.segment_data import Annotated

RUN = Path("runs/segment/sam")


@dataclass(frozen=True, eq=False)
class Scored:
    """One answer beside the truth. ious: (4,) true IoU of the tokens; said: predicted IoU of the chosen one."""

    masks: Masks
    ious: np.ndarray
    said: float
    single_rule: float

    @property
    def chosen(self) -> float:
        """True IoU of the mask with the highest predicted one."""
        return float(self.ious[self.masks.best])

    @property
    def oracle(self) -> float:
        """True IoU of the best of the three."""
        return float(self.ious[list(MULTIMASK)].max())


def score(model: SegmentModel, embedding: Embedding, prompt: Prompt, truth: np.ndarray) -> Scored:
    """Answer a prompt and compare all four masks with the truth (H, W) bool."""
    masks = predict(model, embedding, prompt)
    ious = np.array([intersection_over_union(masks.mask(token), truth) for token in range(4)])
    return Scored(masks, ious, float(masks.iou[masks.best]), float(ious[masks.chosen("single")]))


def click_along(model: SegmentModel, embedding: Embedding, truth: np.ndarray, count: int) -> Iterator[Scored]:
    """The answers after 1, 2, ... clicks, fewer when nothing is wrong any more; the mask before is a prompt of each."""
    clicks: list[Click] = []
    click, previous = first_click(truth), None
    while click is not None and len(clicks) < count:
        clicks.append(click)
        scored = score(model, embedding, Prompt(tuple(clicks), None, previous), truth)
        yield scored
        best = scored.masks.best
        click, previous = next_click(scored.masks.mask(best), truth), scored.masks.as_prompt(best)


def measure_object(model: SegmentModel, embedding: Embedding, picture: Annotated, index: int, *, clicks: int) -> dict:
    """All that is measured of one object, as arrays whose means the card shows.

    A click that was not needed any more counts with the IoU before it, and has no part in ``shrinks``.
    """
    truth = picture.mask(index) > 0
    path = list(click_along(model, embedding, truth, clicks))
    boxed = score(model, embedding, Prompt((), tuple(box_of(truth).tolist()), None), truth)
    spreads = np.array([spread(scored.masks) for scored in path])
    last = [path[min(number, len(path) - 1)] for number in range(clicks)]
    shrinks = np.full(clicks - 1, np.nan)
    shrinks[: len(path) - 1] = spreads[1:] < spreads[:-1]
    errors = np.array([one.said - one.chosen for one in (*path, boxed)])
    return {
        "clicks": np.array([one.chosen for one in last]),
        "clicks_oracle": np.array([one.oracle for one in last]),
        "clicks_single": np.array([one.single_rule for one in last]),
        "box": np.array([boxed.chosen]),
        "box_oracle": np.array([boxed.oracle]),
        "box_single": np.array([boxed.single_rule]),
        "grabcut_box": np.array([intersection_over_union(grabcut(picture.pixels, truth), truth)]),
        "iou_error": np.array([np.abs(errors).mean()]),
        "iou_bias": np.array([errors.mean()]),
        "spread": np.array([spreads[min(number, len(path) - 1)] for number in range(clicks)]),
        "shrinks": shrinks,
        "shrinks_any": np.array([np.nanmean(shrinks) if len(path) > 1 else np.nan]),
    }


@dataclass(frozen=True, eq=False)
class Measured:
    """The objects of one set: what ``measure_object`` gave, the picture of each, and its place there."""

    pictures: list[Annotated]
    objects: list[tuple[int, int]]
    columns: dict[str, np.ndarray]

    def figures(self) -> dict:
        """Every column's means with intervals."""
        places = np.array([picture for picture, _ in self.objects])
        counted = {"n": len(self.objects), "pictures": len(np.unique(places))}
        return counted | {name: estimate(values, places) for name, values in self.columns.items()}


def measure_set(model: SegmentModel, pictures: Iterable[Annotated], *, objects: int, clicks: int) -> Measured:
    """At most ``objects`` objects of each picture, drawn with a fixed seed."""
    kept, places, rows = [], [], []
    for number, picture in enumerate(pictures):
        embedding = encode(model, picture.pixels)
        kept.append(picture)
        for index in chosen_objects(picture, objects, seed=number):
            places.append((number, index))
            rows.append(measure_object(model, embedding, picture, index, clicks=clicks))
    return Measured(kept, places, {name: np.stack([row[name] for row in rows]) for name in rows[0]})


def joined(sets: Sequence[Measured]) -> Measured:
    """Several sets as one."""
    pictures, objects = [], []
    for one in sets:
        objects += [(len(pictures) + picture, index) for picture, index in one.objects]
        pictures += one.pictures
    return Measured(
        pictures, objects, {name: np.concatenate([one.columns[name] for one in sets]) for name in sets[0].columns}
    )


def spaced(pictures: Sequence[Annotated], most: int) -> list[Annotated]:
    """At most ``most`` pictures at even distances."""
    return list(pictures[:: max(1, -(-len(pictures) // most))])


def draw_sheet(model: SegmentModel, measured: Measured, path: Path) -> None:
    """Truth, one click, five clicks and box of every object, the lowest IoU after five clicks first."""
    tiles = []
    for place in np.argsort(measured.columns["clicks"][:, 4], kind="stable"):
        picture, index = measured.pictures[measured.objects[place][0]], measured.objects[place][1]
        truth, embedding = picture.mask(index) > 0, encode(model, picture.pixels)
        path_of = list(click_along(model, embedding, truth, 5))
        boxed = score(model, embedding, Prompt((), tuple(box_of(truth).tolist()), None), truth)
        shown = [one.masks.mask(one.masks.best) for one in (path_of[0], path_of[-1], boxed)]
        tiles += draw_tiles(picture.pixels, [truth, *shown], first_click(truth))
    write_sheet(path, tiles, columns=8)


def time_figures(model: SegmentModel, pixels: np.ndarray, *, repeats: int = 9) -> dict:
    """Milliseconds of encoding and of a click, median and least, by number of threads."""
    usual, by_threads = torch.get_num_threads(), {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        spent: dict[str, list[float]] = {"encode": [], "click": []}
        for _ in range(repeats + 1):
            begun = time.perf_counter()
            embedding = encode(model, pixels)
            between = time.perf_counter()
            masks = predict(model, embedding, Prompt((Click(pixels.shape[1] // 2, pixels.shape[0] // 2, True),)))
            masks.mask(masks.best)
            spent["encode"].append(between - begun)
            spent["click"].append(time.perf_counter() - between)
        by_threads[str(threads)] = {
            name: {"median_ms": round(1000 * float(np.median(many[1:])), 1), "least_ms": round(1000 * min(many), 1)}
            for name, many in spent.items()
        }
    torch.set_num_threads(usual)
    return {"size": list(pixels.shape[:2]), "load": round(os.getloadavg()[0], 1), "by_threads": by_threads}


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    folder = options.folder or options.run / "model"
    model = load_folder(folder.name, folder, placement=CPU)
    val = {name: list(open_pack(options.data / f"{name}.zip", "val")) for name in options.packs}
    chosen = {name: spaced(pictures, options.pictures) for name, pictures in val.items()}
    sets = {}
    for name, pictures in chosen.items():
        sets[name] = measure_set(model, pictures, objects=options.objects, clicks=options.clicks)
        print(name, sets[name].figures()["clicks"]["mean"], flush=True)
    figures = {"val": joined(list(sets.values())).figures()}
    for path in options.outside:
        sets[path.stem] = measure_set(model, open_pack(path, "all"), objects=0, clicks=options.clicks)
        draw_sheet(model, sets[path.stem], options.run / "outside.png")
    every = [picture for pictures in val.values() for picture in spaced(pictures, options.everything)]
    figures = {
        "weights": sha256_of(folder / "model.safetensors"),
        "sets": {name: one.figures() for name, one in sets.items()} | figures,
        "everything": choose_thresholds(model, every),
        "time": time_figures(model, spaced(val[options.packs[0]], 1)[0].pixels),
    }
    (options.run / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the packs")
    parser.add_argument("--packs", nargs="+", default=SHARP_PACKS, choices=SHARP_PACKS, metavar="PACK")
    parser.add_argument(
        "--outside", type=Path, nargs="*", default=[], help="masks packs of pictures that no training saw"
    )
    parser.add_argument("--run", type=Path, default=RUN, help="folder of the run; its model is measured")
    parser.add_argument("--folder", type=Path, help="another model folder")
    parser.add_argument("--pictures", type=int, default=40, help="of each pack")
    parser.add_argument("--objects", type=int, default=2, help="of a picture")
    parser.add_argument("--clicks", type=int, default=MOST_CLICKS, help="at least 5")
    parser.add_argument("--everything", type=int, default=6, help="pictures of each pack that choose the thresholds")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
