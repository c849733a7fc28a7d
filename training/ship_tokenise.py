"""Ships the measured tokenisers and their second stage: the folders that the app loads, with their cards.

python -m training.measure_tokenise --data FOLDER --perceptual FOLDER       # first
python -m training.ship_tokenise [--trials runs/tokenise/trial_*]
python -m pipelines.runtime.manifest

``--trials`` names short runs with other options, for the table of what each option does.
"""

import argparse
import json
import shutil
from pathlib import Path

from pipelines.tokenise.models import WEIGHTS
from training.card_tokenise import write_card, write_second_stage_card
from training.measure_tokenise import MODELS
from training.ship_parts import as_webp, check_measured, put, stage

ASSETS = Path("assets/models/tokenise")
RUNS = Path("runs/tokenise")
MOST_BYTES = 6 * 2**20  # the weights at most 5, sheet and curve besides


def ship(name: str, runs: Path, folder: Path, *, trials: list[Path]) -> int:
    """Write the folder of ``vqgan`` or ``vqvae`` anew, and return its size; a failure leaves the old one whole.

    Raises:
        ValueError: other weights were measured, or the folder is too large.
    """
    run, figures = runs / name, json.loads((runs / "figures.json").read_text(encoding="utf-8"))[name]
    check_measured(figures, run / "model" / WEIGHTS)
    partial = stage(run / "model", folder)
    (partial / "figures.json").write_text(json.dumps(figures) + "\n", encoding="utf-8")
    shutil.copy(run / "curve.png", partial / "curve.png")
    as_webp(runs / "examples.png", partial / "examples.webp")
    write_card(name, partial, figures, run=run, trials=trials)
    return put(partial, folder, most=MOST_BYTES)


def ship_second_stage(run: Path, folder: Path) -> int:
    """The masked transformer's folder; its run measured it at the end."""
    partial = stage(run / "model", folder)
    shutil.copy(run / "curve.png", partial / "curve.png")
    write_second_stage_card(partial, run=run)
    return put(partial, folder, most=MOST_BYTES)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder with vqgan, vqvae, second_stage, figures.json")
    parser.add_argument("--out", type=Path, default=ASSETS)
    parser.add_argument("--trials", type=Path, nargs="*", default=[])
    options = parser.parse_args(arguments)
    for name in MODELS:
        print(ship(name, options.runs, options.out / name, trials=options.trials), "bytes of", name)
    print(ship_second_stage(options.runs / "second_stage", options.out / "second_stage"), "bytes of the second stage")


if __name__ == "__main__":
    main()
