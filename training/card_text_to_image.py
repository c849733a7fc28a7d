"""Fills the card of the text-to-image model from what runs and measurement recorded: no figure in it is typed."""

import json
from pathlib import Path

from training.card_parts import between, fill, percent, training_lines

TEMPLATE = Path(__file__).with_name("card_text_to_image.md")
LANGUAGES = {"en": "English", "zh": "Chinese"}
SETS = {"prompts": "the sheet's prompts with a real drawing", "known": "known pairs", "held_out": "held-out pairs"}
PICTURES = {
    "known_drawn": "drawn for known pairs",
    "held_out_drawn": "drawn for held-out pairs",
    "held_out_real": "real drawings of held-out pairs",
    "val_real": "real drawings of things that were never trained",
}
DISTANCES = {
    "perceptual": "perceptual, SqueezeNet 1.1, among the eight nearest at 32 px",
    "pixels": "root mean square of pixels at 32 px",
}

FAILURES = """![known pairs that were not read back](failures.webp)

Known pairs whose real drawings are read but not what the model drew, the first ones in the order of the draw."""


def accuracy_table(figures: dict) -> str:
    """Top-1 and top-5 beside their ceilings, of each set in each language, whole and without near twins."""
    lines = ["| set | language | n | top-1 | ceiling | top-5 | ceiling | top-5 of ceiling |", "| --- " * 8 + "|"]
    for name, title in SETS.items():
        for language, said in LANGUAGES.items():
            one = figures[name][language]
            lines.append(accuracy_row(title, said, one))
            if name != "prompts" and "things" in one:
                lines.append(accuracy_row(f"{title}, things", said, one["things"]))
            if "without_drawing" in one:
                lines.append(bare_row("the sheet's combinations, which no pack has", said, one["without_drawing"]))
    return "\n".join(lines)


def accuracy_row(title: str, language: str, one: dict) -> str:
    """A row of the table."""
    cells = [title, language, str(one["n"])]
    for among in (1, 5):
        cells += [f"{percent(one[f'top{among}'])} ({between(one[f'top{among}_95'])})"]
        cells += [percent(one[f"ceiling_top{among}"])]
    share = "–"
    if "top5_of_ceiling" in one:
        share = f"{percent(one['top5_of_ceiling'])} ({between(one['top5_of_ceiling_95'])})"
    return "| " + " | ".join([*cells, share]) + " |"


def bare_row(title: str, language: str, one: dict) -> str:
    """A row without a ceiling: its lines' own names were added to the list."""
    cells = [title, language, str(one["n"]), percent(one["top1"]), "–", percent(one["top5"]), "–", "–"]
    return "| " + " | ".join(cells) + " |"


def parts_table(figures: dict) -> str:
    """Top-5 of the ceiling's top-5 in English by group and by style, known and held out."""
    lines = ["| part | known: n | top-5 | ceiling | held out: n | top-5 | ceiling |", "| --- " * 7 + "|"]
    for field in ("by_group", "by_style"):
        known, held_out = (figures[name]["en"][field] for name in ("known", "held_out"))
        for part in sorted(known.keys() | held_out.keys()):
            cells = [part]
            for one in (known.get(part), held_out.get(part)):
                shown = one and [str(one["n"]), percent(one["top5"]), percent(one["ceiling_top5"])]
                cells += shown or ["0", "–", "–"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def memory_table(memory: dict) -> str:
    """Distances to the nearest training drawing, and whose it is."""
    heads = ["pictures", "n", "median distance", "near copies, %"]
    heads += ["nearest is of the same name and style, %", "of that name in another style, %"]
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for name, title in PICTURES.items():
        one = memory[name]
        shares = [percent(one[key]) for key in ("near_copies", "of_name_and_style", "of_name_in_another_style")]
        lines.append("| " + " | ".join([title, str(one["n"]), f"{one['median']:.3f}", *shares]) + " |")
    return "\n".join(lines)


def technical_table(figures: dict) -> str:
    """PSNR and seconds."""
    autoencoder, time = figures["autoencoder"], figures["time"]
    low, high = autoencoder["psnr_db_95"]
    lines = ["| what | figure |", "| --- | --- |"]
    lines.append(
        f"| there and back, {autoencoder['n']} val drawings on white, mean PSNR | "
        f"{autoencoder['psnr_db']:.1f} dB ({low:.1f} to {high:.1f}) |"
    )
    for threads, one in time["by_threads"].items():
        threads = f"{threads} thread{'s' if threads != '1' else ''}"
        lines.append(
            f"| {time['steps']} guided steps and decoding, {threads} of {time['device']}, load average "
            f"{time['load']:.1f} | {one['median_s']:.2f} s (least {one['least_s']:.2f} s) |"
        )
    return "\n".join(lines)


def write_card(folder: Path, figures: dict, *, runs: dict[str, Path], painter: Path, autoencoder: Path) -> None:
    """Fill the template and write ``CARD.md`` into the model's folder, which holds the weights already."""
    trained, encoded = (
        json.loads((run / "run.json").read_text(encoding="utf-8"))["figures"] for run in (painter, autoencoder)
    )
    parameters = {**trained["parameters"], "autoencoder": encoded["parameters"]}
    size = sum(file.stat().st_size for file in folder.rglob("*.safetensors"))
    parts = {
        "guidance": f"{figures['guidance_scale']:g}",
        "parameters": ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in parameters.items()),
        "bytes": f"{size / 2**20:.1f}",
        "training": training_lines(runs, packages={"torch": "PyTorch", "diffusers": "diffusers"}),
        "made": f"{trained['made']:,}",
        "names": f"{figures['names']:,}",
        "accuracy": accuracy_table(figures),
        "parts": parts_table(figures),
        "distance": DISTANCES[figures["memory"]["distance"]],
        "memory": memory_table(figures["memory"]),
        "technical": technical_table(figures),
        "failures": FAILURES if (folder / "failures.webp").exists() else "Every known pair was read back.",
    }
    (folder / "CARD.md").write_text(fill(TEMPLATE, parts), encoding="utf-8")
