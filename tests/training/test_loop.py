import csv

import pytest
import torch
from torch import nn

from training.loop import LoopConfig, Trainer, parameter_groups, rate_at, update_average


def make(folder, **settings) -> Trainer:
    torch.manual_seed(0)
    model, average = nn.Linear(3, 2), nn.Linear(3, 2)
    average.load_state_dict(model.state_dict())
    config = LoopConfig(folder, minutes=60, learning_rate=0.1, log_steps=1, **settings)
    return Trainer(config, model, average.requires_grad_(False))


def loss_of(model, generator):
    x = torch.randn(4, 3, generator=generator)
    return {"fit": (model(x) - x[:, :2]).square().mean()}


def loss_with_dropout(model, generator):
    x = torch.randn(4, 3, generator=generator)
    return {"fit": (model(nn.functional.dropout(x)) - x[:, :2]).square().mean()}


def norm(model):
    return {"norm": model.weight.norm().item()}


def test_rate_rises_then_falls_along_a_cosine(tmp_path):
    config = LoopConfig(tmp_path, minutes=1, learning_rate=2.0, warm_up=0.2, last_share=0.1)
    assert rate_at(0.1, config) == pytest.approx(1.0)
    assert rate_at(0.2, config) == pytest.approx(2.0)
    assert rate_at(0.6, config) == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert rate_at(1.0, config) == rate_at(1.2, config) == pytest.approx(0.2)


def test_only_matrices_decay():
    decayed, kept = parameter_groups(nn.Linear(3, 2).parameters(), 0.05)
    assert [p.ndim for p in decayed["params"]] == [2]
    assert decayed["weight_decay"] == 0.05
    assert [p.ndim for p in kept["params"]] == [1]
    assert kept["weight_decay"] == 0.0


def test_average_follows_faster_at_the_start():
    model, average = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 10.0)
    nn.init.constant_(average.weight, 0.0)
    update_average(average, model, step=0, decay=0.99)
    assert average.weight.item() == pytest.approx(10.0 * (1 - 1 / 10))


def test_a_run_lowers_the_loss_and_writes_its_curve(tmp_path):
    trainer = make(tmp_path, steps=60)
    trainer.run(loss_of, norm)
    assert trainer.rows[-1]["fit"] < trainer.rows[0]["fit"] / 10
    with (tmp_path / "curve.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert lines[-1]["step"] == "60"
    assert float(lines[-1]["norm"]) == pytest.approx(trainer.average.weight.norm().item())
    assert (tmp_path / "curve.png").stat().st_size > 1000


def test_a_resumed_run_is_the_same_to_the_bit(tmp_path):
    whole = make(tmp_path / "whole", steps=12)
    whole.run(loss_with_dropout, norm)
    first = make(tmp_path / "parts", steps=12)
    for _ in range(5):
        first.step(loss_with_dropout)
    first.save()
    second = make(tmp_path / "parts", steps=12)
    nn.init.zeros_(second.model.weight)
    assert second.restore()
    second.run(loss_with_dropout, norm)
    assert torch.equal(second.model.weight, whole.model.weight)
    assert torch.equal(second.average.weight, whole.average.weight)


def test_a_finished_run_that_goes_on_only_evaluates(tmp_path):
    make(tmp_path, steps=3).run(loss_of, norm)
    again = make(tmp_path, steps=3)
    assert again.restore()
    again.run(loss_of, norm)
    assert again.state.step == 3
    assert again.rows[-1]["norm"] == pytest.approx(again.average.weight.norm().item())


def test_nothing_to_restore(tmp_path):
    assert not make(tmp_path, steps=1).restore()


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    trainer = make(tmp_path, steps=3)
    before = trainer.model.weight.clone()
    with pytest.raises(FloatingPointError, match="step 0"):
        trainer.run(lambda model, _: {"fit": model.weight.sum() * float("nan")}, norm)
    assert torch.equal(trainer.model.weight, before)
