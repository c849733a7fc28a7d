import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from training.runner import add_fields, add_run_options, begin, loop_of, of_options, save_half, train


@dataclass(frozen=True)
class Shape:
    """Settings of a model."""

    wide_layers: int = 3
    share: float = 0.5
    bfloat16: bool = False
    names: tuple[str, ...] = ("a",)


def parse(folder: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_run_options(parser, out=folder, minutes=1, rate=0.1, optimiser="adamw")
    add_fields(parser, Shape, without=("names",))
    return parser.parse_args(["--data", "x", "--device", "cpu", *more])


def loss(model: nn.Module, generator: torch.Generator) -> dict[str, torch.Tensor]:
    draw = torch.rand(4, 2, generator=generator)
    return {"error": (model(draw) - draw.sum(dim=1, keepdim=True)).square().mean()}


def test_options_become_settings(tmp_path):
    options = parse(tmp_path, "--wide-layers", "5", "--steps", "7", "--rate", "0.2")
    assert of_options(Shape, options) == Shape(wide_layers=5)
    assert of_options(Shape, parse(tmp_path, "--bfloat16")).bfloat16 is True
    loop = loop_of(options, weight_decay=0.01)
    assert (loop.folder, loop.steps, loop.learning_rate, loop.weight_decay) == (tmp_path, 7, 0.2, 0.01)


def test_a_run_leaves_its_record_and_a_resumed_one_goes_on(tmp_path, capsys):
    options = parse(tmp_path, "--steps", "3")
    trainer = begin(loop_of(options), nn.Linear(2, 1), resume=True)  # nothing to resume yet
    before = trainer.model.weight.detach().clone()
    train(trainer, loss, lambda model: {}, settings={"model": Shape()}, finish=lambda: {"bytes": 12})
    assert not torch.equal(trainer.model.weight, before)
    record = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert record["settings"]["model"]["wide_layers"] == 3
    assert record["settings"]["loop"]["steps"] == 3
    assert (record["figures"]["steps"], record["figures"]["bytes"]) == (3, 12)
    again = begin(loop_of(parse(tmp_path, "--steps", "5")), nn.Linear(2, 1), resume=True)
    assert again.state.step == 3
    assert torch.equal(again.model.weight, trainer.model.weight)
    assert "goes on from step 3" in capsys.readouterr().out
    assert begin(loop_of(options), nn.Linear(2, 1), resume=False).state.step == 0


def test_weights_are_halved_but_for_those_that_stay(tmp_path):
    model = nn.ModuleDict({"flow": nn.Linear(2, 2), "trunk": nn.BatchNorm1d(2)})
    size = save_half(model, tmp_path / "model.safetensors", keep=("flow.",))
    state = load_file(tmp_path / "model.safetensors")
    assert size == (tmp_path / "model.safetensors").stat().st_size
    assert state["flow.weight"].dtype == torch.float32
    assert state["trunk.weight"].dtype == torch.float16
    assert state["trunk.num_batches_tracked"].dtype == torch.int64
    assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == 0o644
