"""Ships a measured SAM: the folder that the app loads, with its figures, card and sheets.

    python -m training.measure_segment --data FOLDER --outside runs/segment/outside_*.zip       # first
    python -m training.ship_segment
    python -m pipelines.runtime.manifest

While a run still goes on, ``--checkpoint`` puts the moving average of its last checkpoint into its ``model`` folder,
to be measured, and ships these weights bare: without figures and card.
"""

import argparse
import json
import math
import os
import shutil
from pathlib import Path

import torch
from PIL import Image
from safetensors import safe_open

from pipelines.runtime.manifest import sha256_of
from pipelines.segment.models import SamConfig
from training.card_segment import measured_sets, write_card
from training.segment import save_model
from training.segment_model import Student

ASSETS = Path("assets/models/segment/lucida")
RUN = Path("runs/segment/sam")
WEIGHTS = "model.safetensors"
QUALITY = 75
MOST_BYTES = 6 * 2**20


def export_checkpoint(run: Path, folder: Path) -> int:
    """Write the moving average of a run's checkpoint as the app loads it; returns the checkpoint's step."""
    saved = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    shape = json.loads((run / "run.json").read_text(encoding="utf-8"))["settings"]["model"]
    config = SamConfig(**shape | {"global_blocks": tuple(shape["global_blocks"])})
    student = Student(config)
    student.load_state_dict(saved["average"])
    save_model(student.sam, config, folder)
    return saved["state"]["step"]


def replace(folder: Path, partial: Path) -> int:
    """Put a finished folder in the place of the old one; returns its bytes.

    Raises:
        ValueError: it is larger than the app allows.
    """
    size = sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
    if size > MOST_BYTES:
        raise ValueError(f"too large: {size} bytes, at most {MOST_BYTES}")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return size


def copy_model(run: Path, folder: Path) -> Path:
    """Config and weights of a run beside the folder that they shall replace."""
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(run / "model", partial)
    return partial


def draw_clicks(figures: dict, path: Path) -> None:
    """Mean IoU by number of clicks, a line a set."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    drawn, axis = plt.subplots(figsize=(6, 4))
    for title, one in measured_sets(figures):
        curve = one["clicks"]
        clicks = range(1, len(curve["mean"]) + 1)
        (line,) = axis.plot(clicks, curve["mean"], marker=".", label=title)
        axis.fill_between(clicks, curve["low"], curve["high"], color=line.get_color(), alpha=0.1)
    axis.set(xlabel="clicks", ylabel="mean IoU", ylim=(0, 1))
    axis.legend(fontsize=6)
    drawn.tight_layout()
    drawn.savefig(path, dpi=80)
    plt.close(drawn)


def ship(run: Path, folder: Path) -> int:
    """Write the model's folder anew from a measured run, and return its size; a failure leaves the old one whole.

    Raises:
        ValueError: other weights were measured, or the folder is too large.
    """
    figures = json.loads((run / "figures.json").read_text(encoding="utf-8"))
    if figures["weights"] != sha256_of(run / "model" / WEIGHTS):
        raise ValueError(f"{run / 'figures.json'} is of other weights: measure again")
    del figures["everything"]["table"]
    partial = copy_model(run, folder)
    (partial / "figures.json").write_text(json.dumps(figures) + "\n", encoding="utf-8")
    shutil.copy(run / "curve.png", partial / "curve.png")
    with Image.open(run / "outside.png") as sheet:
        sheet.save(partial / "outside.webp", quality=QUALITY, method=6)
    draw_clicks(figures, partial / "clicks.png")
    with safe_open(partial / WEIGHTS, "pt") as weights:
        parameters = sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    write_card(partial, figures, runs={"Run": run}, parameters=parameters)
    return replace(folder, partial)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=RUN, help="folder of the run, with figures.json")
    parser.add_argument("--out", type=Path, default=ASSETS)
    parser.add_argument("--checkpoint", action="store_true", help="the last checkpoint's average, weights alone")
    options = parser.parse_args(arguments)
    if options.checkpoint:
        step = export_checkpoint(options.run, options.run / "model")
        print(f"average of step {step}")
        size = replace(options.out, copy_model(options.run, options.out))
    else:
        size = ship(options.run, options.out)
    print(f"{size} bytes in {options.out}")


if __name__ == "__main__":
    main()
