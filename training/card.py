"""Writes the cards of the two zero-shot models from what was measured: no figure in them comes out of a hand.

python -m training.card        # after training.measure_zero_shot
"""

import argparse
import json
import shutil
from pathlib import Path

from pipelines.zero_shot.calibration import CALIBRATION_FILE
from training.card_parts import fill, percent
from training.measure_zero_shot import FIGURES

ASSETS = Path("assets/models/zero_shot")
RUNS = Path("runs/zero_shot")
TEMPLATE = Path(__file__).with_name("card_zero_shot.md")
CARDS = {"lucida-clip": ("clip", "softmax"), "lucida-siglip": ("siglip", "sigmoid")}
TITLES = {
    "lucida-clip": "Lucida CLIP: a bilingual CLIP on a locked EfficientNet-Lite0",
    "lucida-siglip": "Lucida SigLIP: its twin, trained with the sigmoid loss",
}
SETS = {
    "photos": "val photographs of the packs (64 to 80 px)",
    "sharp": "objects cut out of sharp COCO pictures",
    "emoji": "emoji in a style held out for them",
    "unseen": "drawings of things that no training set names",
}
LANGUAGES = {"en": "English", "zh": "Chinese"}


def accuracy_table(figures: dict) -> str:
    """Top-1 and top-5 of each set in each language, with 95 % intervals."""
    lines = ["| pictures | language | n | names | top-1 | top-5 |", "| --- | --- | --- | --- | --- | --- |"]
    for key, title in SETS.items():
        for language, said in LANGUAGES.items():
            one = figures[f"{key}_{language}"]
            cells = [f"{percent(one[f'top{k}'])} ({' to '.join(map(percent, one[f'top{k}_95']))})" for k in (1, 5)]
            lines.append(f"| {title} | {said} | {one['n']} | {one['names']} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def behaviour_table(entry: dict) -> str:
    """Calibration error, refusal and typed words."""
    refusal = entry["refusal"]
    caught = dict(zip(refusal["thresholds"], refusal["caught_unlisted"], strict=True))
    nearest = min(caught, key=lambda threshold: abs(threshold - refusal["chosen"]))
    lines = ["| what | figure |", "| --- | --- |"]
    for language, said in LANGUAGES.items():
        lines.append(f"| expected calibration error, {said} | {percent(entry['reliability'][language]['ece'])} % |")
    lines.append(
        f'| "none of these" at percentile {refusal["chosen"]:.3f}: refuses 5 % of pictures whose name is among '
        f"{refusal['list_size']}, and of those whose name is not | {percent(caught[nearest])} % |"
    )
    for language, said in LANGUAGES.items():
        test = entry["overlay"][f"words_{language}"]
        shares = ", ".join(percent(test[f"top1_{kind}"]) for kind in ("before", "words", "letters", "blank"))
        lines.append(
            f"| a wrong {said} name written on {test['n']} pictures: top-1 before, with the name, with random letters, "
            f"with blank paper | {shares} % |"
        )
        lines.append(f"| answers that become the written {said} name | {percent(test['follows_word'])} % |")
    return "\n".join(lines)


def training_lines(objective: str) -> str:
    """What the run's own record says."""
    run = json.loads((RUNS / objective / "run.json").read_text(encoding="utf-8"))
    last = (RUNS / objective / "curve.csv").read_text(encoding="utf-8").strip().splitlines()[-1].split(",")
    steps, minutes = int(last[0]), float(last[1]) / 60
    weights = ", ".join(f"{name} {value}" for name, value in run["config"]["weights"].items())
    start = run["start"] or "the trunk's classifier and class means"
    loop = run["loop"]
    return "\n".join(
        [
            f"- Command: `{run['command']}`",
            f"- {steps:,} steps in {minutes:.0f} minutes on {run['device']} ({run['threads']} thread, others at work "
            f"beside it), started from {start}; highest learning rate {loop['learning_rate']}, AdamW, cosine, "
            f"moving average {loop['average']}, seed {loop['seed']}; "
            f"PyTorch {run['torch']}, git revision {run['revision'][:12]}.",
            f"- Weights of the parts of the loss: {weights}.",
            f"- Dropout of the trunk's features: {dropout_said(run['history'])}.",
        ]
    )


def dropout_said(history: list[dict]) -> str:
    """The share and the length of the schedule, and from which step on if they changed when the run was resumed."""
    parts = (
        f"{one['dropout']} from step {one['from_step']:,} (schedule of {one['minutes']:g} minutes)" for one in history
    )
    return ", ".join(parts)


def write(model_id: str) -> None:
    """Fill the template and copy the curve beside it."""
    folder, objective = CARDS[model_id]
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))[model_id]
    entry = json.loads(CALIBRATION_FILE.read_text(encoding="utf-8"))["models"][model_id]
    parts = {
        "title": TITLES[model_id],
        "objective": "softmax (InfoNCE)" if objective == "softmax" else "sigmoid, a question a pair",
        "training": training_lines(objective),
        "accuracy": accuracy_table(figures),
        "behaviour": behaviour_table(entry),
    }
    shutil.copy(RUNS / objective / "curve.png", ASSETS / folder / "curve.png")
    (ASSETS / folder / "CARD.md").write_text(fill(TEMPLATE, parts), encoding="utf-8")


def main() -> None:
    """Command line."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    for model_id in CARDS:
        write(model_id)


if __name__ == "__main__":
    main()
