"""What the training scripts share: options of a run, settings from options, begin or resume, record, fp16 weights."""

import argparse
import copy
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from safetensors.torch import save_file
from torch import nn

from training.loop import Evaluate, LoopConfig, StepLoss, Trainer
from training.report import choose_device, write_record

Settings = TypeVar("Settings")


def add_run_options(
    parser: argparse.ArgumentParser,
    *,
    out: Path | None,
    minutes: float,
    rate: float | None,
    optimiser: str = "muon",
    average: float = 0.999,
    threads: int = 1,
    evaluate_minutes: float = 10.0,
) -> None:
    """Options of every run; what is given here are their defaults."""
    parser.add_argument("--data", type=Path, required=True, help="folder of the packs")
    parser.add_argument("--out", type=Path, default=out, help="folder of the run")
    parser.add_argument("--device", type=choose_device, default="auto")
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--steps", type=int, help="count steps instead of minutes: then a resumed run is exact")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out, if there is one")
    parser.add_argument("--rate", type=float, default=rate, help="highest learning rate")
    parser.add_argument("--optimiser", default=optimiser, choices=("adamw", "muon"))
    parser.add_argument("--average", type=float, default=average, help="decay of the moving average")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--evaluate-minutes", type=float, default=evaluate_minutes)


def add_fields(parser: argparse.ArgumentParser, *kinds: type, without: tuple[str, ...] = ()) -> None:
    """An option for each field of dataclasses of settings: a number, or a switch that is off."""
    for one in (one for kind in kinds for one in fields(kind) if one.name not in without):
        form = {"action": "store_true"} if one.default is False else {"type": type(one.default), "default": one.default}
        parser.add_argument(f"--{one.name.replace('_', '-')}", **form)


def of_options(kind: type[Settings], options: argparse.Namespace) -> Settings:
    """A dataclass of settings from the options of the same names; fields without an option keep their defaults."""
    return kind(**{one.name: getattr(options, one.name) for one in fields(kind) if hasattr(options, one.name)})


def loop_of(options: argparse.Namespace, **more: object) -> LoopConfig:
    """Settings of the loop; ``more`` are those that have no option."""
    return LoopConfig(
        options.out,
        options.minutes,
        options.steps,
        optimiser=options.optimiser,
        learning_rate=options.rate,
        average=options.average,
        checkpoint_minutes=5.0,
        evaluate_minutes=options.evaluate_minutes,
        seed=options.seed,
        **more,
    )


def begin(loop: LoopConfig, model: nn.Module, *, resume: bool) -> Trainer:
    """A trainer of the model and of its average, gone on from the checkpoint if that is asked and there is one."""
    trainer = Trainer(loop, model, copy.deepcopy(model).requires_grad_(False))
    if resume and trainer.restore():
        print(f"goes on from step {trainer.state.step}")
    return trainer


def train(
    trainer: Trainer,
    steps: StepLoss,
    validation: Evaluate,
    *,
    settings: Mapping[str, object],
    finish: Callable[[], dict],
) -> None:
    """Run to the end; ``run.json`` gets the settings, then the figures of ``finish``, which saves and measures."""
    folder, settings = trainer.config.folder, {**settings, "loop": trainer.config}
    write_record(folder, settings, {})
    trainer.run(steps, validation)
    figures = {"steps": trainer.state.step, "seconds": trainer.state.seconds, **finish()}
    write_record(folder, settings, figures)
    print(figures)


def save_half(model: nn.Module, path: Path, *, keep: tuple[str, ...] = ()) -> int:
    """Write a model's weights, readable by everyone; returns the bytes.

    Floats become half precision; those whose names begin with one of ``keep`` stay as they are.
    """
    state = {
        name: value.half() if value.is_floating_point() and not name.startswith(keep) else value
        for name, value in model.state_dict().items()
    }
    save_file({name: value.detach().cpu().contiguous() for name, value in state.items()}, path, {"format": "pt"})
    path.chmod(0o644)
    return path.stat().st_size
