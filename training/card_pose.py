"""Fills the card of the pose network from what run and measurement recorded: no figure in it is typed."""

import json
from pathlib import Path

from pipelines.pose.joints import LIMBS
from training.card_parts import fill, percent, said, table, training_lines
from training.evaluate_pose import HEADS

TEMPLATE = Path(__file__).with_name("card_pose.md")
SETS = {"pose_coco": "everyday people", "pose_lspet": "athletes", "val": "both"}
TITLES = {
    "heatmap": "heat map, DARK",
    "soft_argmax": "soft-argmax",
    "regression": "regression",
    "rle": "regression with RLE",
    "heatmap_24": "heat map of 24 cells",
    "heatmap_12": "heat map of 12 cells",
}
PARTS = {
    "trunk": "trunk",
    "heatmap": "heat map",
    "soft": "soft-argmax",
    "regression": "regression",
    "rle": "regression with RLE",
    "small_0": "heat map of half the size",
    "small_1": "heat map of a quarter",
}
OCCLUSION = {
    "heatmap_moves": "the heat map's answer moves by over 0.2 torsos",
    "heatmap_peak_halves": "its peak falls to less than half",
    "heatmap_second_peak": "it grows a second peak of at least half the height",
    "soft_argmax_moves": "soft-argmax moves by over 0.2 torsos",
    "regression_moves": "regression moves by over 0.2 torsos, and says nothing",
    "rle_moves": "RLE moves by over 0.2 torsos",
    "rle_sigma_grows": "RLE's sigma grows",
}


def shown(figures: dict) -> list[tuple[str, dict]]:
    """Titles and figures of the sets, in the card's order."""
    return [(title, figures["sets"][name]) for name, title in SETS.items()]


def accuracy_table(figures: dict) -> str:
    """PCK of every head, and RLE's lead."""
    sets = shown(figures)
    rows = [
        [title, *(said({part: [value] for part, value in one["heads"][name].items()}) for _, one in sets)]
        for name, title in {**TITLES, "rle_lead": "RLE less plain regression, points"}.items()
        if name in sets[0][1]["heads"]
    ]
    return table(["head", *(f"{title}: {one['n']} people, {one['joints']:,} joints" for title, one in sets)], rows)


def joints_table(figures: dict) -> str:
    """PCK by joint, visible ones; then all hidden ones together."""
    one = figures["sets"]["val"]
    rows = [[joint.replace("_", " "), *(share(one["pck_joints"][head][joint]) for head in HEADS)] for joint in LIMBS]
    rows.append([f"hidden, {one['hidden_joints']} joints", *(share(one["pck_hidden"][head]) for head in HEADS)])
    return table(["joint", *(TITLES[head] for head in HEADS)], rows)


def share(value: float | None) -> str:
    """A percentage, or a dash where no joint was counted."""
    return "–" if value is None else percent(value)


def regions_table(figures: dict) -> str:
    """What RLE's regions hold, and how sigma ranks the errors."""
    heads = [
        "set",
        "50 % region holds",
        "90 % region holds",
        "sigma times",
        "then 50 %",
        "then 90 %",
        "rank correlation",
    ]
    rows = []
    for title, one in shown(figures):
        regions = one["regions"]
        held = [*map(percent, regions["raw"]), f"{regions['scale']:.2f}", *map(percent, regions["scaled"])]
        rows.append([title, *held, f"{one['sigma_spearman']:.2f}"])
    return table(heads, rows)


def occlusion_table(figures: dict) -> str:
    """How often a covered joint moves the answers."""
    sets = shown(figures)
    rows = [
        [title, *(said({part: [value] for part, value in one["occlusion"][name].items()}) for _, one in sets)]
        for name, title in OCCLUSION.items()
    ]
    return table(["what happens", *(f"{title}: {one['occlusion']['n']} people" for title, one in sets)], rows)


def cost_table(figures: dict) -> str:
    """Parameters, operations, time and output of each part, for one crop."""
    rows = []
    for name, title in PARTS.items():
        one = figures["cost"]["parts"][name]
        size = f"{one['output_bytes'] / 1024:.1f}"
        rows.append([title, f"{one['parameters']:,}", f"{one['flops'] / 1e6:.0f}", f"{one['ms']:.1f}", size])
    return table(["part", "parameters", "million operations", "ms, one thread", "KiB of output, fp32"], rows)


def write_card(folder: Path, figures: dict, *, run: Path) -> None:
    """Fill the template and write ``CARD.md`` into the model's folder, which holds the weights already."""
    trained = json.loads((run / "run.json").read_text(encoding="utf-8"))["figures"]
    parts = {
        "parameters": f"{trained['parameters']:,}",
        "bytes": f"{(folder / 'model.safetensors').stat().st_size / 2**20:.2f}",
        "training": training_lines({"Run": run}, packages={"torch": "PyTorch"}),
        "accuracy": accuracy_table(figures),
        "joints": joints_table(figures),
        "regions": regions_table(figures),
        "occlusion": occlusion_table(figures),
        "cost": cost_table(figures),
        "load": f"{figures['cost']['load']:.1f}",
    }
    (folder / "CARD.md").write_text(fill(TEMPLATE, parts), encoding="utf-8")


def write_detector_card(folder: Path, *, run: Path) -> None:
    """The same for the person detector, from its own run."""
    figures = json.loads((run / "run.json").read_text(encoding="utf-8"))["figures"]
    parts = {
        "bytes": f"{(folder / 'model.safetensors').stat().st_size / 2**20:.2f}",
        "training": training_lines({"Run": run}, packages={"torch": "PyTorch"}),
        "recall": percent(figures["recall"]),
        "precision": percent(figures["precision"]),
        "people": f"{figures['people']:,}",
    }
    template = TEMPLATE.with_name("card_pose_detector.md")
    (folder / "CARD.md").write_text(fill(template, parts), encoding="utf-8")
