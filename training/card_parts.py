"""What the cards of several models share: percentages, the record of a run, filling a template."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path


def percent(share: float) -> str:
    """One digit after the point."""
    return f"{100 * share:.1f}"


def between(interval: Sequence[float]) -> str:
    """``12.3 to 45.6``."""
    return " to ".join(map(percent, interval))


def said(estimate: dict, place: int = 0) -> str:
    """``61.5 (58.0 to 64.9)`` of one column."""
    return (
        f"{percent(estimate['mean'][place])} ({percent(estimate['low'][place])} to {percent(estimate['high'][place])})"
    )


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def training_lines(runs: dict[str, Path], *, packages: dict[str, str]) -> str:
    """What the runs recorded, in their order: ``{title: folder}``. packages: whose versions are said, and how."""
    return "\n".join(run_line(title, folder, packages=packages) for title, folder in runs.items())


def run_line(title: str, folder: Path, *, packages: dict[str, str]) -> str:
    """One run: command, steps, minutes, machine, optimiser, versions and revision."""
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    with (folder / "curve.csv").open(encoding="utf-8", newline="") as file:
        last = list(csv.DictReader(file))[-1]
    loop, versions = run["settings"]["loop"], run["versions"]
    command = f"`{run['command']}`; " if "command" in run else ""
    said = ", ".join(f"{package} {versions[name]}" for name, package in packages.items())
    threads = f"{run['threads']} thread{'s' if run['threads'] != 1 else ''}"
    machine = "a GPU" if run.get("cuda") else f"a CPU, {threads}, others at work beside it"
    return (
        f"- {title}: {command}{int(last['step']):,} steps in {float(last['seconds']) / 60:.0f} minutes on {machine}; "
        f"{loop.get('optimiser', 'adamw')}, highest rate {loop['learning_rate']}, cosine, moving average "
        f"{loop['average']}, seed {loop['seed']}; {said}, git revision {versions['revision'][:12]}."
    )


def fill(template: Path, parts: Mapping[str, str]) -> str:
    """The template with each ``<name>`` replaced by its text."""
    filled = template.read_text(encoding="utf-8")
    for name, text in parts.items():
        filled = filled.replace(f"<{name}>", text)
    return filled
