"""Text features that were computed once, kept for the next call: bounded by bytes, least recently used out."""

import threading
from collections import OrderedDict

import numpy as np

from pipelines.zero_shot.blocks import Block

TEXT_CACHE_BYTES = 32 * 2**20


class TextCache:
    """Unit-length text features by the exact text that the model read (label in its template).

    Lives as long as its model. Safe to use from several threads. blocks: the text tower's parts in its last pass.
    """

    def __init__(self, most_bytes: int = TEXT_CACHE_BYTES):
        self._most_bytes = most_bytes
        self._features: OrderedDict[str, np.ndarray] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.blocks: tuple[Block, ...] = ()

    def get(self, text: str) -> np.ndarray | None:
        """The feature (D,) float32 of a text, or None."""
        with self._lock:
            if text in self._features:
                self._features.move_to_end(text)
            return self._features.get(text)

    def put(self, text: str, feature: np.ndarray) -> None:
        """Keep a feature (D,) float32; the oldest ones leave when the budget is full."""
        with self._lock:
            if text in self._features:
                return
            self._features[text] = feature
            self._bytes += feature.nbytes
            while self._bytes > self._most_bytes:
                _, oldest = self._features.popitem(last=False)
                self._bytes -= oldest.nbytes

    def clear(self) -> None:
        """Forget all features."""
        with self._lock:
            self._features.clear()
            self._bytes = 0

    def __len__(self) -> int:
        return len(self._features)
