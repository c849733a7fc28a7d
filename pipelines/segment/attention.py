"""Where the decoder's tokens look: attention from each token to the picture, in every two-way layer and at the end.

softmax(Q K^T / sqrt(c)), arXiv 1706.03762, eq. (1), in the two-way decoder of arXiv 2304.02643, appendix A and figure
14. The probabilities are computed from what really came into the attention modules of the library. (What transformers
returns as ``mask_decoder_attentions`` is no attention: it is the output of a layer, and its rows do not sum to 1.)
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from pipelines.segment.marks import Prompt
from pipelines.segment.masks import Masks
from pipelines.segment.models import SegmentModel
from pipelines.segment.prompt import Embedding, predict

FINAL = "final"


@dataclass(frozen=True)
class Token:
    """One row of the attention. kind: "object" (SAM 2 only), "iou", "mask", "click", "corner" or "padding".

    number: of a mask 0 to 3, 0 the single-mask token; of a click its place in the prompt from 0; of a corner 0 for
    left and top, 1 for right and bottom; else 0. positive: of a click.
    """

    kind: str
    number: int = 0
    positive: bool = True


@dataclass(frozen=True, eq=False)
class Attention:
    """What each token of one prompt looked at.

    layers: by name, "layer_1", "layer_2", ..., "final", in the order of work: probabilities (heads, tokens, h, w)
    float32 over the cells of the whole embedding; each (h, w) sums to 1. tokens: their names, in order. extent: rows
    and columns of the embedding that the picture takes; the cells beyond lie on the padding. masks: the answer of the
    same call, equal to ``prompt.predict``'s.
    """

    layers: dict[str, np.ndarray]
    tokens: tuple[Token, ...]
    extent: tuple[float, float]
    masks: Masks

    @property
    def nbytes(self) -> int:
        """Bytes of the probabilities."""
        return sum(values.nbytes for values in self.layers.values())

    def map(self, layer: str, token: int, *, head: int | None = None) -> np.ndarray:
        """(rows, columns) float32: one token's probabilities in the cells on the picture, or the mean of the heads.

        They sum to less than 1 where the token looked at the padding too: see ``on_padding``.

        Raises:
            KeyError, IndexError: no such layer, token or head.
        """
        rows, columns = (math.ceil(length) for length in self.extent)
        values = self.layers[layer][:, token, :rows, :columns]
        return values.mean(axis=0) if head is None else values[head]

    def on_padding(self, layer: str, token: int, *, head: int | None = None) -> float:
        """Share of a token's attention that lies on cells without any picture; 0 to 1."""
        return max(0.0, 1.0 - float(self.map(layer, token, head=head).sum(dtype=np.float64)))


def attention(model: SegmentModel, embedding: Embedding, prompt: Prompt) -> Attention:
    """Answer one prompt with the decoder's attention in the open.

    Hold the device's turn meanwhile: hooks sit on the shared model while it works.

    Args:
        model, embedding, prompt: as for ``prompt.predict``.

    Raises:
        UserError: as ``prompt.predict``.
    """
    layers: dict[str, np.ndarray] = {}
    with torch.inference_mode(), listening(model) as calls:
        masks = predict(model, embedding, prompt)
        for name, call in calls.items():
            probabilities = call.probabilities()[0].float().cpu().numpy()  # (heads, tokens, cells)
            layers[name] = probabilities.reshape(*probabilities.shape[:2], *embedding.features.shape[2:])
    sides = zip(embedding.features.shape[2:], embedding.input_size, strict=True)
    extent = tuple(cells * length / model.image_size for cells, length in sides)
    return Attention(layers, tokens(model, masks.prompt), extent, masks)


def tokens(model: SegmentModel, prompt: Prompt) -> tuple[Token, ...]:
    """The decoder's tokens for a prompt, in order: learnt ones first, then clicks, then corners of the box.

    Padding is a learnt "no point". SAM adds one after clicks without a box; SAM 2 adds one after a box too, and where
    there is only a mask, two.
    """
    learnt = [Token("iou"), *(Token("mask", number) for number in range(4))]
    clicks = [Token("click", number, click.positive) for number, click in enumerate(prompt.points)]
    corners = [Token("corner", 0), Token("corner", 1)] if prompt.box is not None else []
    padding = [Token("padding")]
    if not model.is_sam2:
        return (*learnt, *clicks, *(padding if clicks and not corners else []), *corners)
    learnt.insert(0, Token("object"))
    if corners:
        return (*learnt, *clicks, *corners, *padding)
    return (*learnt, *(clicks or padding), *padding)


@dataclass
class Call:
    """What went into an attention module and came out. query, key, value: (..., N, C); output: (..., N, C)."""

    module: nn.Module
    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    output: torch.Tensor | None = None

    def probabilities(self) -> torch.Tensor:
        """(B, heads, queries, keys): softmax over the keys, in the module's dtype."""
        q, k = self._heads(self.module.q_proj(self.query)), self._heads(self.module.k_proj(self.key))
        return torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)

    def answer(self) -> torch.Tensor:
        """(B, queries, C): probabilities times values through the last projection; equal to ``output``."""
        mixed = self.probabilities() @ self._heads(self.module.v_proj(self.value))
        project = self.module.o_proj if hasattr(self.module, "o_proj") else self.module.out_proj
        return project(mixed.transpose(1, 2).flatten(2))

    def _heads(self, values: torch.Tensor) -> torch.Tensor:
        """(..., N, heads c) to (B, heads, N, c)."""
        count = getattr(self.module, "num_heads", None) or self.module.num_attention_heads
        return values.reshape(-1, values.shape[-2], count, values.shape[-1] // count).transpose(1, 2)


@contextmanager
def listening(model: SegmentModel) -> Iterator[dict[str, Call]]:
    """Hooks on the modules that let tokens look at the picture, while open; the dictionary fills as they work."""
    calls: dict[str, Call] = {}
    transformer = model.module.mask_decoder.transformer
    watched = {f"layer_{number}": one.cross_attn_token_to_image for number, one in enumerate(transformer.layers, 1)}
    watched[FINAL] = transformer.final_attn_token_to_image
    handles = []
    for name, module in watched.items():

        def keep(module, _inputs, named, output, name=name):
            q, k, v = ("query", "key", "value") if model.is_sam2 else ("q", "k", "v")
            output = output[0] if isinstance(output, tuple) else output
            calls[name] = Call(module, named[q], named[k], named[v], output)

        handles.append(module.register_forward_hook(keep, with_kwargs=True))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
