"""Ships a measured SAM: the folder that the app loads, with its figures, card and sheets.

    python -m training.measure_segment --data FOLDER --outside runs/segment/outside_*.zip       # first
    python -m training.ship_segment
    python -m pipelines.runtime.manifest

While a run still goes on, ``--checkpoint`` puts the moving average of its last checkpoint into its ``model`` folder,
to be measured, and ships these weights bare: without figures and card.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch

from pipelines.segment.models import SamConfig
from training.card_segment import measured_sets, write_card
from training.segment import save_model
from training.segment_model import Student
from training.ship_parts import as_webp, check_measured, numbers_in, put, stage

ASSETS = Path("assets/models/segment/lucida")
RUN = Path("runs/segment/sam")
WEIGHTS = "model.safetensors"
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
    check_measured(figures, run / "model" / WEIGHTS)
    del figures["everything"]["table"]
    partial = stage(run / "model", folder)
    (partial / "figures.json").write_text(json.dumps(figures) + "\n", encoding="utf-8")
    shutil.copy(run / "curve.png", partial / "curve.png")
    as_webp(run / "outside.png", partial / "outside.webp")
    draw_clicks(figures, partial / "clicks.png")
    write_card(partial, figures, run=run, parameters=numbers_in(partial / WEIGHTS))
    return put(partial, folder, most=MOST_BYTES)


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
        size = put(stage(options.run / "model", options.out), options.out, most=MOST_BYTES)
    else:
        size = ship(options.run, options.out)
    print(f"{size} bytes in {options.out}")


if __name__ == "__main__":
    main()
