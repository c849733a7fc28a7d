import dataclasses
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pipelines.zero_shot import background
from pipelines.zero_shot.background import Bank, bank_steps, load_bank, none_of_these, rank_among
from pipelines.zero_shot.classify import classify, encode_labels
from pipelines.zero_shot.textcache import TextCache

WORDS = tuple((f"word {number}", f"词{number}") for number in range(150))


@pytest.fixture(autouse=True)
def words(monkeypatch):
    monkeypatch.setattr(background, "bank_words", lambda: WORDS)


def test_percentiles_by_brute_force():
    generator = np.random.default_rng(0)
    cosines, bank = generator.uniform(-1, 1, 40), generator.uniform(-1, 1, 997)
    cosines[:5] = bank[:5]  # ties: strictly below counts
    by_hand = [sum(other < one for other in bank) / 997 for one in cosines]
    assert rank_among(cosines, bank).percentiles == pytest.approx(by_hand, abs=1e-6)


def test_the_largest_percentile_decides():
    ranked = rank_among(np.array([0.15, 0.35]), np.array([0.1, 0.2, 0.3, 0.4]))
    assert ranked.statistic == 0.75
    assert ranked.refuses(0.8) and not ranked.refuses(0.75)


def test_bank_cosines_are_those_of_the_same_picture(tiny_clip, picture):
    result = classify(tiny_clip, picture, ("cat", "dog"))
    bank = load_bank(tiny_clip)
    found = none_of_these(result, bank)
    assert found.bank_cosines == pytest.approx(
        classify(tiny_clip, picture, tuple(w for w, _ in WORDS)).cosines, abs=1e-6
    )
    assert found.percentiles.shape == (2,)


def test_any_model_gets_its_bank_in_steps_and_once(tiny_clip):
    model = dataclasses.replace(tiny_clip, text_cache=TextCache())
    steps = list(bank_steps(model))
    assert [(step.done, step.total) for step in steps] == [(64, 150), (128, 150), (150, 150)]
    assert [step.bank is None for step in steps] == [True, True, False]
    assert steps[-1].bank.features == pytest.approx(encode_labels(model, tuple(w for w, _ in WORDS)).features, abs=1e-6)
    assert len(list(bank_steps(model))) == 1


def test_a_bundled_model_reads_its_shipped_bank(tmp_path, monkeypatch):
    features = torch.randn(150, 4, generator=torch.Generator().manual_seed(0))
    save_file({"features": features.half()}, tmp_path / "bank.safetensors")
    monkeypatch.setattr(background, "SHIPPED", {"mine": tmp_path / "bank.safetensors"})
    bank = load_bank(types.SimpleNamespace(id="mine"))
    assert isinstance(bank, Bank) and bank.words == WORDS and bank.features.dtype == np.float32
    assert np.linalg.norm(bank.features, axis=1) == pytest.approx(np.ones(150), abs=1e-6)


def test_a_shipped_bank_of_another_length_is_found(tmp_path, monkeypatch):
    save_file({"features": torch.ones(3, 4)}, tmp_path / "bank.safetensors")
    monkeypatch.setattr(background, "SHIPPED", {"mine": tmp_path / "bank.safetensors"})
    with pytest.raises(ValueError, match="3 features for 150 words"):
        load_bank(types.SimpleNamespace(id="mine"))
