"""Measures the four pose heads for their card: PCK, the gap of RLE, its regions, occlusion, what each head costs.

    python -m training.measure_pose --data FOLDER

On the val people of both pose packs. PCK@0.2 over visible limb joints, as ``training.evaluate pose``; intervals: people
resampled 1,000 times. Writes ``runs/pose/lucida/figures.json``.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipelines.pose.flow import SPAN, RealNVP, laplace_log_density
from pipelines.pose.joints import JOINTS, LIMBS, TORSO
from pipelines.pose.metrics import found, torso_px
from pipelines.pose.models import PoseNet, load_folder
from pipelines.runtime.device import CPU
from pipelines.runtime.manifest import sha256_of
from training.evaluate_pose import BATCH, HEADS, HIDDEN, VISIBLE, figures_of, positions
from training.intervals import estimate
from training.pose_data import POSE_PACKS, Person, load_people, upright

RUN = Path("runs/pose/lucida")
WITHIN = 0.2  # of the torso's diagonal
SHARES = (0.5, 0.9)
GRID = 96  # cells a side of the plane on which a region's level is found
SCALES = np.geomspace(0.3, 3.0, 61)
PATCH = 0.6  # side of the patch that covers a joint, in torsos
COVERED = ("right_wrist", "left_wrist", "right_elbow", "left_elbow", "right_ankle", "left_ankle")


@dataclass(frozen=True, eq=False)
class Crops:
    """N people: pixels (N, S, S, 3) uint8, joints (N, 14, 2) in -0.5..0.5, seen (N, 14)."""

    pixels: np.ndarray
    joints: np.ndarray
    seen: np.ndarray

    def counted(self, kind: int) -> np.ndarray:
        """(N, 14) bool: limb joints of that kind, of people whose torso is labelled."""
        measurable = (self.seen[:, TORSO] > 0).all(axis=1)
        return (self.seen == kind) & measurable[:, None] & np.array([name in LIMBS for name in JOINTS])


@dataclass(frozen=True, eq=False)
class Answers:
    """What the heads say of N crops: positions (N, 14, 2) by head, RLE's sigma (N, 14, 2), the heat map's peak (N, 14)
    and the highest value away from it, as a share of it.
    """

    positions: dict[str, np.ndarray]
    sigma: np.ndarray
    peak: np.ndarray
    second: np.ndarray


def crops_of(people: Sequence[Person], size: int) -> Crops:
    """The upright crops of an evaluation."""
    return Crops(*(np.stack(values) for values in zip(*(upright(person, size) for person in people), strict=True)))


@torch.no_grad()
def answer(net: PoseNet, pixels: np.ndarray) -> Answers:
    """Run all heads."""
    parts = []
    for start in range(0, len(pixels), BATCH):
        output = net(torch.from_numpy(pixels[start : start + BATCH]).permute(0, 3, 1, 2).float() / 127.5 - 1)
        peak, second = peaks(output.heatmap)
        parts.append({**positions(output), "sigma": output.rle_sigma, "peak": peak, "second": second})
    whole = {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
    return Answers(whole, whole.pop("sigma"), whole.pop("peak"), whole.pop("second"))


def peaks(heatmaps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The highest value of each map (B, J, h, w), and the highest one over an eighth of its side away, as a share."""
    side = heatmaps.shape[-1]
    peak, place = heatmaps.flatten(2).max(dim=-1)
    rows, columns = place // side, place % side
    cells = torch.arange(side)
    far_y = (cells - rows[..., None]).abs() > side / 8
    far_x = (cells - columns[..., None]).abs() > side / 8
    far = far_y[..., :, None] | far_x[..., None, :]
    away = heatmaps.masked_fill(~far, 0).flatten(2).amax(dim=-1)
    return peak, away / peak.clamp_min(1e-6)


def head_figures(crops: Crops, answers: Answers) -> dict:
    """PCK of every head and map size with intervals, and RLE's lead over plain regression on the same joints."""
    counted = crops.counted(VISIBLE)
    people = np.broadcast_to(np.arange(len(counted))[:, None], counted.shape)[counted]
    hits = {name: found(points, crops.joints)[counted] for name, points in answers.positions.items()}
    columns = {**hits, "rle_lead": hits["rle"].astype(float) - hits["regression"]}
    estimates = estimate(np.stack(list(columns.values()), axis=1).astype(float), people)
    return {name: {part: values[place] for part, values in estimates.items()} for place, name in enumerate(columns)}


def levels(flow: RealNVP) -> list[float]:
    """Log-density at the edges of the smallest regions that hold 50 % and 90 % of RLE's density, not normalised."""
    cell = 2 * SPAN / GRID
    side = (torch.arange(GRID) + 0.5) * cell - SPAN
    grid = torch.cartesian_prod(side, side)
    with torch.no_grad():
        density = (laplace_log_density(grid) + flow.log_density(grid)).sort(descending=True).values
    held = density.exp().cumsum(0) / density.exp().sum()
    return [float(density[int((held < share).sum())]) for share in SHARES]


def region_figures(flow: RealNVP, residuals: np.ndarray) -> dict:
    """What the 50 % and 90 % regions hold of residuals (M, 2), in sigmas: as they are, and with sigma times one scale.

    The scale is the one that brings both nearest to what they say.
    """
    edges = levels(flow)

    def held(scale: float) -> list[float]:
        points = torch.from_numpy(residuals / scale).float()
        with torch.no_grad():
            density = laplace_log_density(points) + flow.log_density(points)
        return [round(float((density >= edge).float().mean()), 4) for edge in edges]

    best = min(SCALES, key=lambda scale: sum(abs(a - b) for a, b in zip(held(scale), SHARES, strict=True)))
    return {"n": len(residuals), "scale": round(float(best), 3), "raw": held(1.0), "scaled": held(best)}


def cover_joints(crops: Crops) -> tuple[np.ndarray, np.ndarray]:
    """Each person's first visible joint of ``COVERED`` under a grey patch: pixels, and which joint, -1 for none."""
    pixels, chosen = crops.pixels.copy(), np.full(len(crops.pixels), -1)
    size, visible = pixels.shape[1], crops.counted(VISIBLE)
    for number, torso in enumerate(torso_px(crops.joints)):
        place = next((JOINTS.index(name) for name in COVERED if visible[number, JOINTS.index(name)]), -1)
        x, y = (crops.joints[number, place] + 0.5) * size
        if place < 0 or not (0 <= x < size and 0 <= y < size):
            continue
        half = max(2, PATCH * torso * size / 2)
        top, left = (max(0, round(middle - half)) for middle in (y, x))
        pixels[number, top : round(y + half), left : round(x + half)] = 127
        chosen[number] = place
    return pixels, chosen


def occlusion_figures(net: PoseNet, crops: Crops, before: Answers) -> dict:
    """How often a patch over one joint moves each head's answer by over 0.2 torsos, and how often the head shows it."""
    pixels, chosen = cover_joints(crops)
    rows = np.flatnonzero(chosen >= 0)
    place, after = chosen[rows], answer(net, pixels[rows])
    torso = torso_px(crops.joints)[rows]
    at = np.arange(len(rows))
    moved = {
        f"{name}_moves": np.linalg.norm(after.positions[name][at, place] - before.positions[name][rows, place], axis=1)
        > WITHIN * torso
        for name in HEADS
    }
    sigma = [values.mean(axis=-1) for values in (after.sigma[at, place], before.sigma[rows, place])]
    shown = {
        "heatmap_peak_halves": after.peak[at, place] < 0.5 * before.peak[rows, place],
        "heatmap_second_peak": (after.second[at, place] >= 0.5) & (before.second[rows, place] < 0.5),
        "rle_sigma_grows": sigma[0] > sigma[1],
    }
    columns = moved | shown
    estimates = estimate(np.stack(list(columns.values()), axis=1).astype(float), rows)
    found_shares = {
        name: {part: values[number] for part, values in estimates.items()} for number, name in enumerate(columns)
    }
    return {"n": len(rows), **found_shares}


def cost_figures(net: PoseNet, *, repeats: int = 9) -> dict:
    """Parameters, operations, milliseconds on one thread, and bytes of the output of trunk and heads for one crop."""
    crop = torch.zeros(1, 3, net.config.crop, net.config.crop)
    features = net.trunk(crop)
    parts: dict[str, tuple[torch.nn.Module, object]] = {"trunk": (net.trunk, crop)}
    parts |= {name: (getattr(net, name), features) for name in ("heatmap", "soft", "regression", "rle")}
    parts |= {f"small_{place}": (head, features) for place, head in enumerate(net.small)}
    usual, figures = torch.get_num_threads(), {}
    torch.set_num_threads(1)
    for name, (module, given) in parts.items():
        with FlopCounterMode(display=False) as counter:
            output = module(given)
        outputs = output if isinstance(output, list) else [output]
        figures[name] = {
            "parameters": sum(parameter.numel() for parameter in module.parameters()),
            "flops": counter.get_total_flops(),
            "ms": round(least_ms(lambda module=module, given=given: module(given), repeats), 2),
            "output_bytes": sum(one.nbytes for one in outputs),
        }
    torch.set_num_threads(usual)
    return {"load": round(os.getloadavg()[0], 1), "parts": figures}


def least_ms(call: Callable[[], object], repeats: int) -> float:
    """The fastest of some calls after one more."""
    spent = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        call()
        spent.append(time.perf_counter() - begun)
    return 1000 * min(spent[1:])


def measure(net: PoseNet, people: Sequence[Person]) -> dict:
    """All figures of one set of people."""
    crops = crops_of(people, net.config.crop)
    answers = answer(net, crops.pixels)
    counted = crops.counted(VISIBLE)
    residuals = (crops.joints[counted] - answers.positions["rle"][counted]) / answers.sigma[counted]
    return {
        **figures_of(net, people),
        "hidden_joints": int(crops.counted(HIDDEN).sum()),
        "heads": head_figures(crops, answers),
        "regions": region_figures(net.flow, residuals),
        "occlusion": occlusion_figures(net, crops, answers),
    }


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the packs")
    parser.add_argument("--run", type=Path, default=RUN, help="folder of the run; its model is measured")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    weights = options.run / "model/model.safetensors"
    net = load_folder("run", weights.parent, placement=CPU).module.float()
    people = {name: load_people(options.data, "val", packs=(name,)) for name in POSE_PACKS}
    sets = {**people, "val": [person for many in people.values() for person in many]}
    figures = {"weights": sha256_of(weights), "sets": {name: measure(net, many) for name, many in sets.items()}}
    figures["cost"] = cost_figures(net)
    (options.run / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
