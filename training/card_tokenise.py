"""Fills the cards of the tokenisers and of their second stage from what runs and measurement recorded."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from training.card_parts import fill, percent, table, training_lines

TEMPLATE = Path(__file__).with_name("card_tokenise.md")
SECOND_STAGE = Path(__file__).with_name("card_tokenise_second_stage.md")
TITLES = {
    "vqgan": "Lucida VQGAN: 1,024 codes, 8 x 8 px each",
    "vqvae": "Lucida VQ-VAE: its twin, trained for squared error alone",
}
LOSSES = {
    "vqgan": "It began with the twin's weights{encoder}. To squared error came the sum of two perceptual distances, "
    "weight {perceptual} (SqueezeNet 1.1 of the ONNX model zoo and EfficientNet-Lite0, both Apache-2.0, trained on "
    "ImageNet), and from {adversarial_from:.0%} of the run on a patch discriminator (hinge, adaptive weight of at most "
    "{adversarial}). No weight of any of them is in the file.",
    "vqvae": "Squared error alone, no teacher.",
}
SETS = {"outside": "the app's photographs, in no pack", "val": "val of the masks packs"}
RIVALS = {"": "tokens", "jpeg_": "JPEG", "webp_": "WebP"}
MEASURES = {"psnr": "PSNR, dB", "ssim": "SSIM", "perceptual": "distance of MobileNetV2 features"}


def accuracy_table(figures: dict) -> str:
    """Ours, JPEG and WebP within as many bytes."""
    rows = []
    for name, title in SETS.items():
        one = figures["sets"].get(name)
        if one is None:
            continue
        for prefix, rival in RIVALS.items():
            cells = [cell(one[prefix + measure]) for measure in MEASURES if prefix + measure in one]
            rows.append([title, str(one["n"]), f"{one['bytes']['mean']:,.0f}", rival, *cells])
    measures = [title for measure, title in MEASURES.items() if measure in next(iter(figures["sets"].values()))]
    return table(["pictures", "n", "bytes", "by", *measures], rows)


def cell(estimate: dict) -> str:
    """``24.13 (23.80 to 24.50)``."""
    return f"{estimate['mean']:.2f} ({estimate['low']:.2f} to {estimate['high']:.2f})"


def usage_line(figures: dict) -> str:
    """Use of the codebook in a sentence."""
    one = figures["usage"]
    return (
        f"Over {one['pictures']:,} pictures ({one['tokens']:,} tokens) {one['used']:,} of {one['codes']:,} codes are "
        f"used ({percent(one['used'] / one['codes'])} %); perplexity {one['perplexity']:.0f}, which depends on the "
        "sample."
    )


def time_line(figures: dict) -> str:
    """Time in a sentence."""
    time = figures["time"]
    spent = ", ".join(
        f"{one['median_ms']:.0f} ms (least {one['least_ms']:.0f}) on {threads} thread{'s' if threads != '1' else ''}"
        for threads, one in time["by_threads"].items()
    )
    return f"256 px there and back: {spent} of a CPU, load average {time['load']:.1f}."


def trials_table(runs: Sequence[Path]) -> str:
    """What each option did: settings, steps, PSNR and codes in use at the end of some runs."""
    heads = [
        "run",
        "codes follow",
        "idle codes restart after",
        "commitment",
        "steps",
        "minutes",
        "PSNR, dB",
        "codes used",
    ]
    rows = []
    for run in runs:
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        model, steps, found = record["settings"]["model"], record["settings"]["steps"], record["figures"]
        with (run / "curve.csv").open(encoding="utf-8", newline="") as file:
            last = list(csv.DictReader(file))[-1]
        follow = f"running means ({model['ema']})" if model["ema"] else "the codebook loss"
        restart = f"{model['restart_after']} steps" if model["restart_after"] else "never"
        minutes = f"{float(last['seconds']) / 60:.0f}"
        row = [run.name, follow, restart, str(steps["commitment"]), last["step"], minutes]
        rows.append([*row, f"{found['psnr']:.2f}", f"{found['codes_used']:,}"])
    return table(heads, rows)


def losses_line(name: str, steps: dict) -> str:
    """What was minimised, and by which networks. steps: the run's settings."""
    kept = steps.get("encoder_from", 0) >= 1
    encoder = " and keeps its encoder and its codes: the same integers, painted by another decoder" if kept else ""
    return LOSSES[name].format(encoder=encoder, **steps)


def write_card(name: str, folder: Path, figures: dict, *, run: Path, trials: Sequence[Path]) -> None:
    """Fill the template and write ``CARD.md`` into the folder of ``vqgan`` or ``vqvae``, which holds the weights."""
    settings = json.loads((run / "run.json").read_text(encoding="utf-8"))["settings"]
    model, steps = settings["model"], settings["steps"]
    follow = f"running means of decay {model['ema']}" if model["ema"] else "the codebook loss"
    restart = f"idle ones restart after {model['restart_after']} steps" if model["restart_after"] else "none restarts"
    parts = {
        "title": TITLES[name],
        "patch": str(model["patch"]),
        "parameters": f"{figures['parameters']:,}",
        "bytes": f"{sum(file.stat().st_size for file in folder.glob('*.safetensors')) / 2**20:.2f}",
        "training": training_lines({"Run": run}, packages={"torch": "PyTorch", "diffusers": "diffusers"}),
        "losses": losses_line(name, steps),
        "crop": str(steps["crop_px"]),
        "large": str(steps["large_px"]),
        "codes": f"Codes follow {follow}; {restart}; commitment {steps['commitment']}.",
        "trials": trials_table([run, *trials]),
        "accuracy": accuracy_table(figures),
        "usage": usage_line(figures),
        "time": time_line(figures),
    }
    (folder / "CARD.md").write_text(fill(TEMPLATE, parts), encoding="utf-8")


def write_second_stage_card(folder: Path, *, run: Path) -> None:
    """The same for the masked transformer, from its own run."""
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    model, found = record["settings"]["model"], record["figures"]
    parts = {
        "shape": f"{model['layers']} layers, width {model['width']}, {model['heads']} heads",
        "bytes": f"{(folder / 'model.safetensors').stat().st_size / 2**20:.2f}",
        "training": training_lines({"Run": run}, packages={"torch": "PyTorch"}),
        "pictures": f"{found['pictures']:,}",
        "bits": f"{found['val_bits']:.2f}",
    }
    (folder / "CARD.md").write_text(fill(SECOND_STAGE, parts), encoding="utf-8")
