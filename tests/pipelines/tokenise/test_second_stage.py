from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from pipelines.runtime.device import CPU
from pipelines.tokenise.second_stage import (
    MaskedTransformer,
    SecondStageConfig,
    fill,
    hidden_counts,
    load,
    write_config,
)

TINY = SecondStageConfig(codes=20, side=4, width=16, layers=1, heads=2, condition=8)


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return MaskedTransformer(TINY).eval()


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_bundled_shape_fits():
    with torch.device("meta"):
        module = MaskedTransformer(SecondStageConfig())
    assert sum(value.numel() for value in module.state_dict().values()) * 2 <= 5 * 2**20


@pytest.mark.parametrize(("count", "steps"), [(256, 12), (256, 1), (3, 12), (1, 5), (100, 100)])
def test_the_schedule_falls_and_ends_at_nothing(count, steps):
    counts = hidden_counts(count, steps)
    assert len(counts) == steps
    assert counts[-1] == 0
    assert all(after < before or after == 0 for before, after in zip([count, *counts], counts, strict=False))


def test_the_schedule_is_the_cosine():
    assert hidden_counts(1000, 3) == [866, 500, 0]


def test_filling_leaves_the_rest_alone_and_commits_each_place_once(module):
    indices, hole = torch.randint(20, (4, 4), generator=seeded()), torch.zeros(4, 4, dtype=torch.bool)
    hole[1:3, 1:4] = True
    steps = list(fill(module, indices, hole, condition=None, steps=4, generator=seeded()))
    assert torch.equal(steps[-1].indices[~hole], indices[~hole])
    assert (steps[-1].indices < 20).all()
    assert torch.equal(sum(step.committed.int() for step in steps), hole.int())
    assert [int(step.committed.sum()) for step in steps] == [1, 1, 2, 2]
    assert ((steps[0].entropy > 0) == hole).all()
    assert (steps[0].entropy <= torch.tensor(20.0).log2() + 1e-4).all()
    assert (steps[1].confidence[~steps[1].committed] == 0).all()


def test_the_same_seed_gives_the_same_filling_and_what_stood_in_the_hole_does_not_matter(module):
    hole = torch.ones(4, 4, dtype=torch.bool)
    first, second = (
        list(fill(module, torch.full((4, 4), value), hole, condition=torch.ones(8), generator=seeded()))[-1].indices
        for value in (0, 7)
    )
    assert torch.equal(first, second)


def test_without_heat_the_likeliest_code_is_taken(module):
    indices, hole = torch.randint(20, (4, 4), generator=seeded()), torch.zeros(4, 4, dtype=torch.bool)
    hole[2, 2] = True
    *_, last = fill(module, indices, hole, condition=None, steps=1, temperature=0.0, generator=seeded())
    seen = torch.where(hole, module.hidden, indices)
    logits = module(seen[None], torch.zeros(1, 8), torch.tensor([False]))
    assert last.indices[2, 2] == logits[0, 2, 2].argmax()


def test_a_condition_that_is_not_given_changes_nothing(module):
    indices = torch.randint(20, (2, 4, 4), generator=seeded())
    off, on = torch.tensor([False, False]), torch.tensor([True, True])
    one, other = torch.randn(2, 8, generator=seeded()), torch.zeros(2, 8)
    assert torch.equal(module(indices, one, off), module(indices, other, off))
    assert not torch.equal(module(indices, one, on), module(indices, other, on))


def test_a_folder_is_loaded_and_says_whose_codes_it_speaks(module, tmp_path):
    write_config(TINY, tmp_path)
    save_file({name: value.half() for name, value in module.state_dict().items()}, tmp_path / "model.safetensors")
    stage = load(SimpleNamespace(id="lucida-masked", folder=tmp_path), CPU)
    assert (stage.tokeniser, stage.side, stage.codes, stage.device) == ("lucida-vqgan", 4, 20, "cpu")
    grids, condition = torch.randint(21, (3, 4, 4), generator=seeded()), torch.randn(8, generator=seeded())
    expected = stage.module(grids, condition.expand(3, -1), torch.tensor([True] * 3))
    assert torch.equal(stage.logits(grids, condition), expected)
    expected = stage.module(grids, condition.expand(3, -1), torch.tensor([False] * 3))
    assert torch.equal(stage.logits(grids, None), expected)
