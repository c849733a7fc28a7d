"""The loop of every training: AdamW or Muon, warm-up and cosine, clipping, moving average, checkpoints, curve."""

import csv
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from training.muon import Muon, split_parameters

StepLoss = Callable[[nn.Module, torch.Generator], dict[str, torch.Tensor]]
Evaluate = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True)
class LoopConfig:
    """How long and how to train. With ``steps`` the schedule counts steps, and a resumed run is the same to the bit;
    with ``minutes`` alone it follows the clock."""

    folder: Path
    minutes: float
    steps: int | None = None
    optimiser: str = "adamw"  # or "muon": matrices by Muon, the rest by AdamW, at the same rate
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.98)
    warm_up: float = 0.03
    last_share: float = 0.01
    clip: float = 1.0
    average: float = 0.999
    checkpoint_minutes: float = 3.0
    evaluate_minutes: float = 6.0
    log_steps: int = 25
    seed: int = 0


@dataclass
class _State:
    step: int = 0
    seconds: float = 0.0  # of training, over all resumed runs


def rate_at(progress: float, config: LoopConfig) -> float:
    """Learning rate at a progress of 0..1: linear warm-up, then a cosine down to ``last_share``."""
    if progress < config.warm_up:
        return config.learning_rate * progress / config.warm_up
    angle = math.pi * min(1.0, (progress - config.warm_up) / (1 - config.warm_up))
    return config.learning_rate * (config.last_share + (1 - config.last_share) * 0.5 * (1 + math.cos(angle)))


def parameter_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict]:
    """Matrices decay; biases, norms and single numbers do not."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]


def create_optimisers(model: nn.Module, config: LoopConfig) -> list[torch.optim.Optimizer]:
    """AdamW for all parameters, or Muon for the matrices and AdamW for the rest."""
    if config.optimiser not in ("adamw", "muon"):
        raise ValueError(f"optimiser must be adamw or muon, got {config.optimiser!r}")
    matrices, others = split_parameters(model) if config.optimiser == "muon" else ([], list(model.parameters()))
    groups = parameter_groups(others, config.weight_decay)
    optimisers = [torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas)]
    if matrices:
        optimisers.append(Muon(matrices, lr=config.learning_rate, weight_decay=config.weight_decay))
    return optimisers


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, *, step: int, decay: float) -> None:
    """Exponential moving average of weights, faster at the start."""
    decay = min(decay, (1 + step) / (10 + step))
    for mean, value in zip(average.parameters(), model.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
    for mean, value in zip(average.buffers(), model.buffers(), strict=True):
        mean.copy_(value)


def save_atomically(value: object, path: Path) -> None:
    """Write beside, then rename: a killed run leaves the old file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    torch.save(value, partial)
    os.replace(partial, path)


class Trainer:
    """One run: holds model, average, optimiser and generator, and knows how to save and restore them."""

    def __init__(self, config: LoopConfig, model: nn.Module, average: nn.Module):
        self.config, self.model, self.average = config, model, average
        self.optimisers = create_optimisers(model, config)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.state = _State()
        self.rows: list[dict] = []

    @property
    def checkpoint(self) -> Path:
        """Where the run is saved."""
        return self.config.folder / "checkpoint.pt"

    def save(self) -> None:
        """Write everything that a resumed run needs, and the curve."""
        save_atomically(
            {
                "model": self.model.state_dict(),
                "average": self.average.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "generator": self.generator.get_state(),
                "dropout": torch.get_rng_state(),
                "state": vars(self.state),
                "rows": self.rows,
            },
            self.checkpoint,
        )
        write_curve(self.rows, self.config.folder)

    def restore(self) -> bool:
        """Go on from the checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return False
        saved = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(saved["average"])
        for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        self.generator.set_state(saved["generator"])
        torch.set_rng_state(saved["dropout"])
        self.state, self.rows = _State(**saved["state"]), saved["rows"]
        return True

    def progress(self) -> float:
        """Share of the run that is done, 0..1."""
        if self.config.steps is not None:
            return self.state.step / self.config.steps
        return self.state.seconds / (60 * self.config.minutes)

    def step(self, loss_of: StepLoss) -> dict[str, float]:
        """One update; returns the parts of the loss."""
        rate = rate_at(self.progress(), self.config)
        for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
            group["lr"] = rate
        parts = loss_of(self.model, self.generator)
        total = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(total):
            raise FloatingPointError(f"loss is {total.item()} at step {self.state.step}")
        self.model.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        for optimiser in self.optimisers:
            optimiser.step()
        update_average(self.average, self.model, step=self.state.step, decay=self.config.average)
        self.state.step += 1
        return {name: value.item() for name, value in parts.items()}

    def run(self, loss_of: StepLoss, evaluate: Evaluate) -> None:
        """Train to the end; evaluate the average from time to time; save on the way and at the end."""
        begun, before = time.perf_counter(), self.state.seconds
        parts: dict[str, float] = {}
        next_save = before + 60 * self.config.checkpoint_minutes
        next_test = before + 60 * self.config.evaluate_minutes
        while self.progress() < 1:
            parts = self.step(loss_of)
            self.state.seconds = before + time.perf_counter() - begun
            if self.state.step % self.config.log_steps == 0:
                self._log(parts)
            if self.state.seconds >= next_test:
                self._log(parts, evaluate(self.average))
                next_test = self.state.seconds + 60 * self.config.evaluate_minutes
            if self.state.seconds >= next_save:
                self.save()
                next_save = self.state.seconds + 60 * self.config.checkpoint_minutes
        self._log(parts, evaluate(self.average))
        self.save()

    def _log(self, parts: dict[str, float], figures: dict[str, float] | None = None) -> None:
        row = {"step": self.state.step, "seconds": round(self.state.seconds, 1), **parts, **(figures or {})}
        self.rows.append(row)
        print(" ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)


def write_curve(rows: list[dict], folder: Path) -> None:
    """Write ``curve.csv`` and ``curve.png``: parts of the loss above, figures of the evaluations below."""
    if not rows:
        return
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (folder / "curve.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    _draw_curve(rows, names, folder / "curve.png")


def _draw_curve(rows: list[dict], names: list[str], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figures = {name for row in rows for name in row} - set(rows[0])
    drawn, axes = plt.subplots(2, 1, figsize=(6, 6), sharex=True)
    for name in names[2:]:
        points = [(row["seconds"] / 60, row[name]) for row in rows if name in row]
        lower = name in figures
        axes[int(lower)].plot(*zip(*points, strict=True), label=name, marker="." if lower else None, linewidth=1)
    for axis, title in zip(axes, ("loss", "evaluation"), strict=True):
        axis.set_ylabel(title)
        axis.legend(fontsize=6)
    axes[1].set_xlabel("minutes")
    drawn.tight_layout()
    drawn.savefig(path, dpi=80)
    plt.close(drawn)
