import torch
from torch import nn

from pipelines.runtime.watch import Part, alone, count, watching


class Pair(nn.Module):
    """Two layers and a parameter; it gives a tuple, its output first."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.scale = nn.Linear(3, 4), nn.Linear(4, 2), nn.Parameter(torch.ones(5))

    def forward(self, x):
        return self.second(self.first(x)), x


def test_parts_are_told_as_they_end_and_hooks_are_gone_afterwards():
    module = Pair()
    span = Part("span", module.first, module.second, (module.first, module.second, module.scale))
    with watching([alone("all", module), span, alone("first", module.first)], device="cpu") as found:
        module(torch.zeros(7, 3))
    assert [(one.part.name, one.shape) for one in found] == [("first", (7, 4)), ("span", (7, 2)), ("all", (7, 2))]
    assert found[1].parameters == count([module]) == 16 + 10 + 5
    assert 0 < found[0].ms < found[1].ms < found[2].ms
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in module.modules())


def test_a_part_that_works_twice_is_told_twice():
    layer = nn.Linear(3, 3)
    with watching([alone("layer", layer)], device="cpu") as found:
        layer(layer(torch.zeros(2, 3)))
    assert len(found) == 2
