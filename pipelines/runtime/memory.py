"""Loaded models within a budget of bytes: loaded once, kept while there is room, least recently used out first."""

import gc
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from pipelines.runtime.errors import UserError


@dataclass(frozen=True, eq=False)
class Held:
    """A loaded value. stamp: state of its files when it was loaded; another stamp means: load again."""

    value: Any
    nbytes: int
    stamp: Hashable


class ModelMemory:
    """A cache of loaded models with a stated lifetime: until the budget needs their bytes.

    One lock for all loading: two visitors never load the same model twice, and libraries that patch torch
    while they build a model never do so at the same time. A model that is held is returned without that lock.
    """

    def __init__(self, budget_bytes: int, *, measure: Callable[[Any], int] | None = None):
        self.budget_bytes = budget_bytes
        self._measure = measure or module_bytes
        self._guard = threading.Lock()
        self._loading = threading.RLock()
        self._held: OrderedDict[Hashable, Held] = OrderedDict()

    def get(self, key: Hashable, load: Callable[[], Any], *, expected_bytes: int, stamp: Hashable = None) -> Any:
        """The value of this key, loaded now if it is not held.

        expected_bytes: about what it will take; others go out first to make room for it.
        Raises UserError when it is larger than the whole budget, expected or measured.
        """
        found = self._find(key, stamp)
        if found is not None:
            return found.value
        with self._loading:
            found = self._find(key, stamp)
            if found is not None:
                return found.value
            self._make_room(expected_bytes)
            value = load()
            nbytes = self._measure(value)
            self._make_room(nbytes)
            with self._guard:
                self._held[key] = Held(value, nbytes, stamp)
            return value

    @property
    def used_bytes(self) -> int:
        """Measured bytes of all that is held."""
        with self._guard:
            return sum(held.nbytes for held in self._held.values())

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """What is held, the least recently used first."""
        with self._guard:
            return tuple(self._held)

    def alone(self) -> threading.RLock:
        """The lock of loading, to be held while a model library is imported: diffusers and transformers fill their
        namespaces as names are asked for, and a second thread may find them half filled."""
        return self._loading

    def clear(self) -> None:
        """Let everything go."""
        with self._guard:
            self._held.clear()
        release()

    def _find(self, key: Hashable, stamp: Hashable) -> Held | None:
        with self._guard:
            held = self._held.get(key)
            if held is None or held.stamp != stamp:
                self._held.pop(key, None)
                return None
            self._held.move_to_end(key)
            return held

    def _make_room(self, nbytes: int) -> None:
        if nbytes > self.budget_bytes:
            need, budget = (f"{size / 1024**3:.1f}" for size in (nbytes, self.budget_bytes))
            raise UserError("errors.model_too_large", need_gib=need, budget_gib=budget)
        evicted = False
        with self._guard:
            while self._held and sum(held.nbytes for held in self._held.values()) + nbytes > self.budget_bytes:
                self._held.popitem(last=False)
                evicted = True
        if evicted:
            release()


def module_bytes(value: Any) -> int:
    """Bytes of all parameters and buffers: of a torch module, of a loaded model's ``module``, or of the modules of
    its diffusers ``pipeline``."""
    tensors = {}
    for module in _modules(value):
        # By identity: parts may share a tensor.
        tensors |= {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _modules(value: Any) -> list[Any]:
    if hasattr(value, "pipeline"):
        return [part for part in value.pipeline.components.values() if hasattr(part, "parameters")]
    return [getattr(value, "module", value)]


def release() -> None:
    """Give back what nobody refers to, on the GPU too. Never imports torch."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """torch says it by a subclass of RuntimeError on a GPU and by words on the CPU."""
    return isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error)
