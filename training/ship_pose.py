"""Ships the measured pose network and the person detector: the folders that the app loads, with their cards.

python -m training.measure_pose --data FOLDER       # first
python -m training.ship_pose
python -m pipelines.runtime.manifest
"""

import argparse
import json
import shutil
from pathlib import Path

from training.card_pose import write_card, write_detector_card
from training.ship_parts import check_measured, put, stage

ASSETS = Path("assets/models/pose")
RUNS = Path("runs/pose")
WEIGHTS = "model.safetensors"
MOST_BYTES = int(9.5 * 2**20)


def ship(run: Path, folder: Path) -> int:
    """Write the network's folder anew from a measured run, and return its size; a failure leaves the old one whole.

    Raises:
        ValueError: other weights were measured, or the folder is too large.
    """
    figures = json.loads((run / "figures.json").read_text(encoding="utf-8"))
    check_measured(figures, run / "model" / WEIGHTS)
    partial = stage(run / "model", folder)
    (partial / "figures.json").write_text(json.dumps(figures) + "\n", encoding="utf-8")
    shutil.copy(run / "curve.png", partial / "curve.png")
    write_card(partial, figures, run=run)
    return put(partial, folder, most=MOST_BYTES)


def ship_detector(run: Path, folder: Path) -> int:
    """The detector's folder; its run measured it at the end."""
    partial = stage(run / "model", folder)
    shutil.copy(run / "curve.png", partial / "curve.png")
    write_detector_card(partial, run=run)
    return put(partial, folder, most=MOST_BYTES)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder with lucida and detector")
    parser.add_argument("--out", type=Path, default=ASSETS)
    options = parser.parse_args(arguments)
    print(ship(options.runs / "lucida", options.out / "lucida"), "bytes")
    print(ship_detector(options.runs / "detector", options.out / "detector"), "bytes")


if __name__ == "__main__":
    main()
