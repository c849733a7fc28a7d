"""The parts of a network at work: forward hooks that read off shapes and milliseconds, and leave the numbers alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Part:
    """What is timed as one part: from the start of ``first`` to the end of ``last``. owns: what it has learnt."""

    name: str
    first: nn.Module
    last: nn.Module
    owns: tuple[nn.Module | nn.Parameter, ...]


@dataclass(frozen=True)
class Timed:
    """A part that has worked. shape: of its output, batch first; of several outputs the first. began, ended: of this
    call, in seconds of ``now``."""

    part: Part
    shape: tuple[int, ...]
    began: float
    ended: float

    @property
    def ms(self) -> float:
        """Milliseconds of this call."""
        return (self.ended - self.began) * 1000

    @property
    def parameters(self) -> int:
        """Numbers that the part has learnt."""
        return count(self.part.owns)


def alone(name: str, module: nn.Module) -> Part:
    """A part that is one module."""
    return Part(name, module, module, (module,))


@contextmanager
def watching(parts: Iterable[Part], *, device: str) -> Iterator[list[Timed]]:
    """Hooks on the parts while open; the list fills in the order in which they end.

    Hold the device's turn meanwhile: hooks sit on the shared model.
    """
    found: list[Timed] = []
    with ExitStack() as stack:
        for part in parts:
            started: list[float] = []

            def begin(_module, _inputs, started=started):
                started.append(now(device))

            def end(_module, _inputs, output, part=part, started=started):
                found.append(Timed(part, _shape(output), started[-1], now(device)))

            stack.callback(part.first.register_forward_pre_hook(begin).remove)
            stack.callback(part.last.register_forward_hook(end).remove)
        yield found


def count(parts: Iterable[nn.Module | nn.Parameter]) -> int:
    """Numbers learnt in these modules and parameters."""
    from torch import nn

    return sum(
        part.numel() if isinstance(part, nn.Parameter) else sum(one.numel() for one in part.parameters())
        for part in parts
    )


def now(device: str) -> float:
    """Seconds, when all that the device was given is done."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()


def _shape(output) -> tuple[int, ...]:
    import torch

    while not isinstance(output, torch.Tensor):
        output = output[0]
    return tuple(output.shape)
