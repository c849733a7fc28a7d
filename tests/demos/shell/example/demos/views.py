"""Results of the example as HTML and pictures."""

import numpy as np

from demos.shell.words import spans


def answer(share: float) -> str:
    """The brightness as a line."""
    return f'<p class="numbers">{spans("example.answer", share=f"{share:.3f}")}</p>'


def picture(level: int) -> np.ndarray:
    """A square of that grey."""
    return np.full((8, 8, 3), level, dtype=np.uint8)
