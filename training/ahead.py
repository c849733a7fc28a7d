"""Batches made ahead of their use by worker processes: for a GPU, which waits for one CPU core."""

import multiprocessing
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

_make: Callable | None = None  # of a worker process


def _begin(make: Callable) -> None:
    """Runs in each worker once: the pictures come with the fork, nothing is copied."""
    global _make
    _make = make
    import torch

    torch.set_num_threads(1)


def _work(arguments: tuple) -> Any:
    return _make(*arguments)


class Ahead:
    """``make(first, count, *settings)``, several batches ahead; without workers it is ``make`` itself.

    Settings that change with time (the size of pictures) reach a batch when it is begun, so a few batches later.
    """

    def __init__(self, make: Callable, *, workers: int):
        self.make, self.depth = make, 3 * workers
        context = multiprocessing.get_context("fork")
        self.pool = ProcessPoolExecutor(workers, context, _begin, (make,)) if workers else None
        self.waiting: deque[tuple[int, Future]] = deque()

    def __call__(self, first: int, count: int, *settings: Any) -> Any:
        """The batch of items ``first`` to ``first + count - 1``; calls ask for one batch after the other."""
        if self.pool is None:
            return self.make(first, count, *settings)
        if self.waiting and self.waiting[0][0] != first:
            raise ValueError(f"batch {first} was asked for, {self.waiting[0][0]} comes next")
        while len(self.waiting) < self.depth:
            start = self.waiting[-1][0] + count if self.waiting else first
            self.waiting.append((start, self.pool.submit(_work, (start, count, *settings))))
        return self.waiting.popleft()[1].result()
