"""Ships a measured text-to-image pipeline: the folder that the app loads, its card, its sheets.

    python -m training.measure_text_to_image --data FOLDER --teachers FOLDER        # first
    python -m training.ship_text_to_image [--earlier runs/text_to_image/first] [--decoder runs/text_to_image/decoder]
    python -m pipelines.runtime.manifest

``--earlier`` names runs whose weights the autoencoder started from, ``--decoder`` the one that went on with its decoder
alone, so that the card counts them too.
"""

import argparse
import json
import shutil
from pathlib import Path

from training.card_text_to_image import write_card
from training.ship_parts import as_webp, put, stage

ASSETS = Path("assets/models/text_to_image/lucida")
RUNS = Path("runs/text_to_image")
SHEETS = ("sheet_en", "sheet_zh", "failures")
MOST_BYTES = 36 * 2**20


def write_pictures(runs: Path, painter: Path, autoencoder: Path, folder: Path) -> None:
    """Sheets as WebP and the curves; a run without failures has no sheet of them."""
    for name in SHEETS:
        source = runs / f"{name}.png"
        if source.exists():
            as_webp(source, folder / f"{name}.webp")
    shutil.copy(painter / "curve.png", folder / "curve.png")
    shutil.copy(autoencoder / "curve.png", folder / "curve_autoencoder.png")


def ship(runs: Path, folder: Path, *, earlier: list[Path], decoder: Path | None) -> int:
    """Write the model's folder anew, and return its size; a failure leaves the old one whole."""
    painter, autoencoder = runs / "painter", runs / "autoencoder"
    figures = json.loads((runs / "figures.json").read_text(encoding="utf-8"))
    named = {f"Autoencoder, begun ({number})": run for number, run in enumerate(earlier, 1)}
    named |= {"Autoencoder": autoencoder, "Painter": painter}
    if decoder is not None:
        named["Decoder alone, afterwards"] = decoder
    partial = stage(painter / "pipeline", folder)
    write_pictures(runs, painter, autoencoder, partial)
    write_card(partial, figures, runs=named, painter=painter, autoencoder=autoencoder)
    return put(partial, folder, most=MOST_BYTES)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder with painter, autoencoder and figures.json")
    parser.add_argument("--out", type=Path, default=ASSETS)
    parser.add_argument("--earlier", type=Path, nargs="*", default=[], help="runs the autoencoder started from")
    parser.add_argument("--decoder", type=Path, help="the run that went on with the decoder alone")
    options = parser.parse_args(arguments)
    size = ship(options.runs, options.out, earlier=options.earlier, decoder=options.decoder)
    print(f"{size} bytes in {options.out}")


if __name__ == "__main__":
    main()
