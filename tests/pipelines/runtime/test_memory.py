"""Loaded once, kept within the budget, least recently used out first."""

import threading
from types import SimpleNamespace

import pytest
import torch

from pipelines.runtime.errors import UserError
from pipelines.runtime.memory import ModelMemory, module_bytes
from tests.pipelines.runtime.sentences import sentence


def memory(budget: int) -> ModelMemory:
    """Values are numbers here, and a number is its own size."""
    return ModelMemory(budget, measure=lambda value: value)


def test_two_visitors_never_load_twice():
    held, loads, arrived, results = memory(100), [], threading.Barrier(8), []
    started = threading.Event()

    def load():
        loads.append(threading.get_ident())
        started.wait(0.05)  # room for a second load to begin, if it could
        return 10

    def visit():
        arrived.wait()
        results.append(held.get("clip", load, expected_bytes=10))

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert results == [10] * 8


def test_a_held_model_is_returned_while_another_loads():
    held = memory(100)
    held.get("ready", lambda: 10, expected_bytes=10)
    loading, go_on = threading.Event(), threading.Event()

    def load():
        loading.set()
        assert go_on.wait(10)
        return 10

    thread = threading.Thread(target=lambda: held.get("slow", load, expected_bytes=10))
    thread.start()
    assert loading.wait(10)
    assert held.get("ready", pytest.fail, expected_bytes=10) == 10
    go_on.set()
    thread.join()


def test_the_least_recently_used_goes_first():
    held = memory(30)
    for key in "abc":
        held.get(key, lambda: 10, expected_bytes=10)
    held.get("a", pytest.fail, expected_bytes=10)
    held.get("d", lambda: 10, expected_bytes=10)
    assert held.keys == ("c", "a", "d")
    assert held.used_bytes == 30


def test_measured_size_counts_not_the_expected_one():
    held = memory(30)
    held.get("a", lambda: 10, expected_bytes=1)
    held.get("b", lambda: 25, expected_bytes=1)
    assert held.keys == ("b",)
    assert held.used_bytes == 25


def test_larger_than_the_budget_is_refused_before_it_is_loaded():
    held = ModelMemory(2 * 1024**3)
    with pytest.raises(UserError) as caught:
        held.get("huge", pytest.fail, expected_bytes=5 * 1024**3)
    assert "5.0 GiB" in sentence(caught.value)
    assert "2.0 GiB" in sentence(caught.value)


def test_larger_than_expected_is_refused_and_not_held():
    held = memory(30)
    with pytest.raises(UserError):
        held.get("liar", lambda: 31, expected_bytes=1)
    assert held.keys == ()


def test_a_failed_load_leaves_nothing_and_can_be_tried_again():
    held = memory(30)
    with pytest.raises(ZeroDivisionError):
        held.get("a", lambda: 1 // 0, expected_bytes=1)
    assert held.get("a", lambda: 3, expected_bytes=1) == 3


def test_M11_another_stamp_loads_again():
    held = memory(30)
    held.get("a", lambda: 3, expected_bytes=3, stamp=1)
    assert held.get("a", lambda: 4, expected_bytes=3, stamp=2) == 4
    assert held.used_bytes == 4


def test_bytes_of_a_module():
    module = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5)).half()
    # 20 + 10 half parameters, 10 half statistics, one int64 counter.
    assert module_bytes(module) == 2 * (20 + 10 + 10) + 8
    assert module_bytes(SimpleNamespace(module=module)) == module_bytes(module)


def test_bytes_of_a_pipeline_are_those_of_its_models_and_what_they_share_counts_once():
    one, other = torch.nn.Linear(4, 5), torch.nn.Linear(5, 4)
    twin = torch.nn.Linear(4, 5)
    twin.weight = one.weight
    pipeline = SimpleNamespace(
        components={"unet": one, "vae": other, "twin": twin, "tokenizer": object(), "none": None}
    )
    assert module_bytes(SimpleNamespace(pipeline=pipeline)) == 4 * (20 + 5 + 20 + 4 + 5)
