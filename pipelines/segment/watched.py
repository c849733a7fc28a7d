"""The image encoder block by block, for large models on a CPU: progress, turns for others, an end at the next block.

The encoder is one call of its library. It runs in a thread of its own, which a hook before each block holds until the
caller asks for the next one; a hook sees the calls of all threads and heeds its own alone.
"""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import nn

from pipelines.segment.models import SegmentModel
from pipelines.segment.prompt import Embedding, encode


@dataclass(frozen=True)
class Block:
    """The encoder is about to run block number `done` + 1 of `total`."""

    done: int
    total: int


class _Stopped(BaseException):
    """Ends the encoder's thread; no handler for errors on the way may take it for one."""


def encode_blocks(
    model: SegmentModel, pixels: np.ndarray, *, picture: str | None = None
) -> Iterator[Block | Embedding]:
    """As ``prompt.encode``, to the bit, with a ``Block`` before each of the encoder's blocks, then the ``Embedding``.

    The encoder computes only while the caller waits for the next item. Closing the generator ends it.

    Raises:
        UserError: as ``prompt.encode``.
    """
    told: queue.SimpleQueue = queue.SimpleQueue()
    asked: queue.SimpleQueue = queue.SimpleQueue()
    listed = blocks(model)

    def hold(done: int) -> None:
        if threading.current_thread() is worker:
            told.put(Block(done, len(listed)))
            if not asked.get():
                raise _Stopped

    def run() -> None:
        try:
            told.put(encode(model, pixels, picture=picture))
        except _Stopped:
            pass
        except BaseException as error:  # raised again in the caller's thread
            told.put(error)

    worker = threading.Thread(target=run, name="encode", daemon=True)
    hooks = [block.register_forward_pre_hook(lambda *_, done=done: hold(done)) for done, block in enumerate(listed)]
    try:
        worker.start()
        while isinstance(item := told.get(), Block):
            yield item
            asked.put(True)
        if isinstance(item, BaseException):
            raise item
        yield item
    finally:
        asked.put(False)
        worker.join()
        for hook in hooks:
            hook.remove()


def blocks(model: SegmentModel) -> tuple[nn.Module, ...]:
    """The encoder's blocks in the order in which they run: of a ViT, of SAM 2's Hiera, of MobileSAM's TinyViT."""
    encoder = model.module.vision_encoder.backbone if model.is_sam2 else model.module.image_encoder
    return tuple(encoder.blocks if hasattr(encoder, "blocks") else encoder.trunk.stages)
