"""Fills the card of the bundled SAM from what run and measurement recorded: no figure in it is typed."""

import json
from pathlib import Path

from pipelines.runtime.manifest import sha256_of
from training.card_parts import fill, percent, said, table, training_lines

TEMPLATE = Path(__file__).with_name("card_segment.md")
SETS = {
    "outside_photos": "photographs outside the packs, traced by hand",
    "outside_composites": "photographic cut-outs outside the packs, pasted on them",
    "masks_objects": "val: everyday scenes, salient objects",
    "masks_people": "val: people",
    "masks_parts": "val: garments, faces and their parts",
    "masks_scenes": "val: rooms, cell nuclei",
    "val": "val: all four together",
}
GOALS = ("goal", "", "", "62.0", "80.0", "82.0", "above it", "at most 10.0", "")


def measured_sets(figures: dict) -> list[tuple[str, dict]]:
    """Titles and figures of the sets that were measured, in the card's order."""
    return [(title, figures["sets"][name]) for name, title in SETS.items() if name in figures["sets"]]


def accuracy_table(figures: dict) -> str:
    """One click, five clicks and a box beside GrabCut, and how well the model knows it, beside the goals."""
    heads = [
        "set",
        "pictures",
        "objects",
        "1 click",
        "5 clicks",
        "box",
        "GrabCut, the same box",
        "predicted IoU is off by",
    ]
    rows = [
        [
            title,
            str(one["pictures"]),
            str(one["n"]),
            said(one["clicks"]),
            said(one["clicks"], 4),
            *(said(one[name]) for name in ("box", "grabcut_box", "iou_error")),
            f"{100 * one['iou_bias']['mean'][0]:+.1f}",
        ]
        for title, one in measured_sets(figures)
    ]
    return table([*heads, "with its sign"], [list(GOALS), *rows])


def curve_table(figures: dict) -> str:
    """Mean IoU after each click."""
    sets = measured_sets(figures)
    heads = ["set", *(str(number + 1) for number in range(len(sets[0][1]["clicks"]["mean"])))]
    return table(heads, [[title, *map(percent, one["clicks"]["mean"])] for title, one in sets])


def choice_table(figures: dict) -> str:
    """The mask that the model chooses, the best of its three, and the rule with the single-mask token."""
    heads = ["set"]
    for what in ("1 click", "5 clicks", "box"):
        heads += [f"{what}: chosen", "best of three", *(["single-mask token"] if what != "1 click" else [])]
    rows = []
    for title, one in measured_sets(figures):
        row = [title, *(percent(one[name]["mean"][0]) for name in ("clicks", "clicks_oracle"))]
        row += [percent(one[name]["mean"][4]) for name in ("clicks", "clicks_oracle", "clicks_single")]
        rows.append([*row, *(percent(one[name]["mean"][0]) for name in ("box", "box_oracle", "box_single"))])
    return table(heads, rows)


def spread_table(figures: dict) -> str:
    """Mean spread of the three masks after some clicks, and how often a further click made it smaller."""
    heads = ["set", "1 click", "2", "5", "last", "the second click shrinks it", "any further click"]
    rows = [
        [
            title,
            *(percent(one["spread"]["mean"][place]) for place in (0, 1, 4, -1)),
            said(one["shrinks"]),
            said(one["shrinks_any"]),
        ]
        for title, one in measured_sets(figures)
    ]
    return table(heads, rows)


def everything_table(figures: dict) -> str:
    """What the chosen thresholds keep, and what the library's would."""
    everything = figures["everything"]
    heads = [
        "thresholds",
        "predicted IoU",
        "stability",
        "masks a picture",
        "annotated objects found",
        "kept masks that are one",
    ]
    rows = []
    for name, title in (("chosen", "chosen"), ("library", "the library's own")):
        one = everything[name]
        shares = [percent(one["recall"]), percent(one["precision"])]
        rows.append([title, f"{one['iou']:g}", f"{one['stability']:g}", f"{one['kept']:.1f}", *shares])
    return table(heads, rows)


def time_table(figures: dict) -> str:
    """Milliseconds of encoding and of a click."""
    time = figures["time"]
    height, width = time["size"]
    rows = []
    for threads, one in time["by_threads"].items():
        spent = [f"{one[name]['median_ms']:.0f} ({one[name]['least_ms']:.0f})" for name in ("encode", "click")]
        rows.append([f"{threads}, {width} x {height} px, load average {time['load']:.1f}", *spent])
    return table(["threads of a CPU", "encode: median (least) ms", "click"], rows)


def head_line(run: Path) -> str:
    """What fitting the IoU head by squared error did, if that was done to these weights."""
    path = run / "iou.json"
    fitted = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if fitted.get("weights") != sha256_of(run / "model/model.safetensors"):
        return ""
    before, after = fitted["before"], fitted["after"]
    return (
        f"Afterwards that head alone was fitted by squared error on {fitted['prompts']:,} prompts of train scenes, a "
        f"fifth of them held out: there the IoU of the chosen mask with one click went from "
        f"{percent(before['chosen_one_click'])} to {percent(after['chosen_one_click'])} (best of three "
        f"{percent(after['best_one_click'])}), in all from {percent(before['chosen'])} to {percent(after['chosen'])}. "
    )


def write_card(folder: Path, figures: dict, *, run: Path, parameters: int) -> None:
    """Fill the template and write ``CARD.md`` into the model's folder, which holds the weights already."""
    steps = json.loads((run / "run.json").read_text(encoding="utf-8"))["settings"]["steps"]
    parts = {
        "rounds": str(steps["most_rounds"]),
        "focal": f"{steps['focal']:g}",
        "small": f"{100 * steps['small_until']:.0f}",
        "composite": f"{100 * steps['composite']:.0f}",
        "distil": f"{100 * steps['distil_until']:.0f}",
        "head": head_line(run),
        "parameters": f"{parameters:,}",
        "bytes": f"{(folder / 'model.safetensors').stat().st_size / 2**20:.2f}",
        "training": training_lines({"Run": run}, packages={"torch": "PyTorch"}),
        "accuracy": accuracy_table(figures),
        "clicks": curve_table(figures),
        "choice": choice_table(figures),
        "spread": spread_table(figures),
        "everything": everything_table(figures),
        "pictures": str(figures["everything"]["pictures"]),
        "time": time_table(figures),
    }
    (folder / "CARD.md").write_text(fill(TEMPLATE, parts), encoding="utf-8")
