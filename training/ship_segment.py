"""Ships a measured SAM: the folder that the app loads, with its figures, card and sheets.

    python -m training.measure_segment --data FOLDER --outside FOLDER       # first
    python -m training.ship_segment
    python -m pipelines.runtime.manifest

While a run still goes on, ``--checkpoint`` puts the moving average of its last checkpoint into its ``model`` folder,
to be measured, and ships these weights bare: without figures and card.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

import torch

from pipelines.segment.models import SamConfig
from training.segment import save_model
from training.segment_model import Student

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


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=RUN, help="folder of the run, with figures.json")
    parser.add_argument("--out", type=Path, default=ASSETS)
    parser.add_argument("--checkpoint", action="store_true", help="the last checkpoint's average, weights alone")
    options = parser.parse_args(arguments)
    step = export_checkpoint(options.run, options.run / "model")
    size = replace(options.out, copy_model(options.run, options.out))
    print(f"{size} bytes of step {step} in {options.out}")


if __name__ == "__main__":
    main()
