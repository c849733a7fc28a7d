"""Where each word looked: one stored call of the UNet made again, with its attention probabilities in the open.

softmax(Q K^T / sqrt(d)) V, arXiv 1706.03762, eq. (1); in cross-attention the queries come from the picture's cells and
the keys from the prompt's tokens (arXiv 2112.10752, section 3.3). Maps of words as in DAAM (arXiv 2210.04885).
"""

import copy
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import torch
from diffusers.models.attention_processor import Attention as AttentionLayer
from torch import nn
from torch.nn import functional

from pipelines.runtime.errors import UserError
from pipelines.text_to_image import samplers
from pipelines.text_to_image.branch import step_of
from pipelines.text_to_image.prompt import Conditioning, PromptTokens, tokenise
from pipelines.text_to_image.repair import Doctor, call_unet
from pipelines.text_to_image.sample import unet_inputs
from pipelines.text_to_image.speed import eager
from pipelines.text_to_image.trace import Step

SMALL_CELLS = 32 * 32  # latents up to here keep float32 and the unconditional row
MOST_BYTES = 512 * 1024**2


@dataclass(frozen=True, eq=False)
class Attention:
    """The attention of one call of the UNet, for one picture of the batch.

    maps: cross-attention by layer, (rows, heads, T, h, w): what the cell (y, x) gave to token t; over t they sum to 1.
    Rows: (negative prompt, prompt) with guidance, the prompt alone without it or for latents of more than 1,024
    cells; the prompt is always the last. float32; float16 for such latents. self_maps: self-attention of the layers
    asked for, (1, heads, h w, h, w), the third axis is the cell looked at, row by row. tokens: of the prompt.
    max_difference: largest absolute difference between this call's output and the run's own. ms: of the call.
    """

    maps: dict[str, np.ndarray]
    self_maps: dict[str, np.ndarray]
    tokens: PromptTokens
    max_difference: float
    ms: float

    @property
    def nbytes(self) -> int:
        """Bytes of all maps."""
        return sum(values.nbytes for values in (*self.maps.values(), *self.self_maps.values()))


def replay(model, denoising, k: int, *, picture: int = 0, self_layers: Iterable[str] = ()) -> Attention:
    """Make call k of a run again from its stored latents, timestep and texts, and keep the probabilities.

    Hold the device's turn meanwhile: the processors of the model's own layers are exchanged and put back.

    Args:
        model: the TextToImageModel that drew the run.
        denoising: the run.
        k: index in ``denoising.steps``.
        picture: which one of the batch.
        self_layers: names from ``layer_names(model)[1]`` whose self-attention is kept as well.

    Raises:
        UserError: ``errors.step_outside``, ``errors.attention_layer``, ``errors.attention_too_large`` (above 512 MB).
    """
    step = step_of(model, denoising, k)
    wanted = set(layer_names(model)[0]) | _known(model, self_layers)
    x_t, timestep, inputs = stored_call(model, step, picture=picture)
    cells = (x_t.shape[-2], x_t.shape[-1])
    small = cells[0] * cells[1] <= SMALL_CELLS
    doctor = Doctor(uncompiled(model))
    recorders: dict[str, Recorder] = {}

    def call(model) -> torch.Tensor:
        recorders.clear()
        budget = _Budget(MOST_BYTES)
        with recording(
            model.pipeline.unet, wanted, cells=cells, every_row=small, half=not small, budget=budget
        ) as kept:
            recorders.update(kept)
            return call_unet(model, x_t, timestep, inputs)

    started = time.perf_counter()
    with torch.inference_mode():
        output = doctor.run("unet", call).float().cpu()
    ms = (time.perf_counter() - started) * 1000
    outputs = [part for part in (step.output_uncond, step.output_cond) if part is not None]
    own = torch.cat([part[picture : picture + 1] for part in outputs]).float()
    return Attention(
        maps={name: kept.maps for name, kept in recorders.items() if kept.is_cross},
        self_maps={name: kept.maps for name, kept in recorders.items() if not kept.is_cross},
        tokens=tokenise(model, step.settings.prompt),
        max_difference=float((output - own).abs().max()),
        ms=ms,
    )


def word_map(
    attention: Attention,
    *,
    token: int | tuple[int, ...] | None = None,
    word: int | tuple[int, ...] | None = None,
    layers: Iterable[str] | None = None,
    heads: Iterable[int] | None = None,
) -> np.ndarray:
    """One map for a token or a word: (h, w) float32, of the finest of the layers.

    The pieces of a word are added up (they share one probability), heads and layers are averaged; coarser layers are
    enlarged bilinearly.

    Args:
        attention: from ``replay``.
        token: place or places among the tokens that the encoder reads; begin and end of text are places too.
        word: or index of a word of ``attention.tokens.words``, or several (Chinese: one a character).
        layers: names from ``attention.maps``; all if None.
        heads: indices; all if None.

    Raises:
        UserError: ``errors.attention_none`` when there is no such token, word, layer or head.
    """
    places = _places(attention, token, word)
    names = list(attention.maps if layers is None else layers)
    if not places or not names or not set(names) <= set(attention.maps):
        raise UserError("errors.attention_none")
    finest = max((attention.maps[name].shape[-2:] for name in names), key=lambda shape: shape[0] * shape[1])
    total = torch.zeros(finest)
    for name in names:
        values = torch.from_numpy(attention.maps[name][-1]).float()  # (heads, T, h, w)
        chosen = list(range(len(values)) if heads is None else heads)
        if not chosen or not all(0 <= head < len(values) for head in chosen):
            raise UserError("errors.attention_none")
        one = values[chosen][:, places].sum(dim=1).mean(dim=0)
        total += functional.interpolate(one[None, None], finest, mode="bilinear", align_corners=False)[0, 0]
    return (total / len(names)).numpy()


def layer_names(model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(cross-attention layers, self-attention layers) of the model's UNet, in the order in which they work."""
    layers = dict(_layers(model.pipeline.unet))
    cross = tuple(name for name, layer in layers.items() if layer.is_cross_attention)
    return cross, tuple(name for name in layers if name not in cross)


class Recorder:
    """An attention processor that computes as diffusers' fused one does, and keeps the probabilities.

    It serves the attention layers of transformer blocks: input (B, cells, C), no mask, no norm of its own.
    """

    def __init__(
        self, layer: AttentionLayer, *, cells: tuple[int, int], every_row: bool, half: bool, budget: "_Budget"
    ):
        self.is_cross = layer.is_cross_attention
        self.maps: np.ndarray | None = None
        self._cells, self._every_row, self._half, self._budget = cells, every_row, half, budget

    def __call__(
        self,
        attn: AttentionLayer,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **_more,
    ) -> torch.Tensor:
        if attention_mask is not None:
            raise ValueError("a mask is not expected in the attention of Stable Diffusion's UNet")
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            part.unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # (B, heads, tokens, d)
            for part in (attn.to_q(hidden_states), attn.to_k(source), attn.to_v(source))
        )
        scores = query.float() @ key.float().transpose(-1, -2) * attn.scale
        probabilities = scores.softmax(dim=-1)  # (B, heads, cells, tokens)
        self._keep(probabilities)
        output = (probabilities.to(value.dtype) @ value).transpose(1, 2).flatten(2)
        output = attn.to_out[1](attn.to_out[0](output))
        return output / attn.rescale_output_factor

    def _keep(self, probabilities: torch.Tensor) -> None:
        rows = probabilities if self._every_row and self.is_cross else probabilities[-1:]
        values = rows.to(torch.float16 if self._half else torch.float32)
        self._budget.take(values.numel() * values.element_size())
        values = values.cpu().transpose(-1, -2)  # (rows, heads, tokens, cells)
        self.maps = values.unflatten(-1, _level(self._cells, values.shape[-1])).contiguous().numpy()


class _Budget:
    """Counts bytes, and refuses before they are taken."""

    def __init__(self, most: int):
        self._most, self._taken = most, 0

    def take(self, nbytes: int) -> None:
        """Raises UserError ``errors.attention_too_large`` when the sum passes the limit."""
        self._taken += nbytes
        if self._taken > self._most:
            need = f"{self._taken / 1024**2:,.0f}"
            raise UserError("errors.attention_too_large", need_mb=need, most_mb=self._most // 1024**2)


@contextmanager
def recording(
    unet: nn.Module, names: Iterable[str], *, cells: tuple[int, int], every_row: bool, half: bool, budget: _Budget
) -> Iterator[dict[str, Recorder]]:
    """Recorders in place of the processors of the named layers, while open."""
    layers = {name: layer for name, layer in _layers(unet) if name in set(names)}
    before = {name: layer.processor for name, layer in layers.items()}
    recorders = {
        name: Recorder(layer, cells=cells, every_row=every_row, half=half, budget=budget)
        for name, layer in layers.items()
    }
    for name, layer in layers.items():
        layer.processor = recorders[name]
    try:
        yield recorders
    finally:
        for name, layer in layers.items():
            layer.processor = before[name]


def uncompiled(model):
    """The model with its UNet as it is written, so that it can be looked into; weights are shared."""
    unet = eager(model.pipeline.unet)
    if unet is model.pipeline.unet:
        return model
    pipeline = copy.copy(model.pipeline)
    pipeline.unet = unet
    return replace(model, pipeline=pipeline)


def _layers(unet: nn.Module) -> Iterator[tuple[str, AttentionLayer]]:
    """The attention layers of the transformer blocks: down, middle, up."""
    found = [
        (name, module)
        for name, module in unet.named_modules()
        if isinstance(module, AttentionLayer) and "transformer_blocks" in name
    ]
    order = {"down_blocks": 0, "mid_block": 1, "up_blocks": 2}
    yield from sorted(found, key=lambda item: order[item[0].split(".")[0]])  # stable: order within is kept


def _known(model, names: Iterable[str]) -> set[str]:
    known = layer_names(model)[1]
    for name in names:
        if name not in known:
            raise UserError("errors.attention_layer", layer=str(name)[:80])
    return set(names)


def stored_call(model, step: Step, *, picture: int = 0) -> tuple[torch.Tensor, torch.Tensor, dict]:
    """What the UNet got at a step for one picture of the batch, on the model's device.

    Returns:
        (x_t (R, C, h, w) with R = 2 with guidance, timestep, the UNet's other keyword arguments).
    """
    settings = replace(step.settings, batch=1)
    texts = step.conditioning
    pooled = None if texts.pooled is None else texts.pooled.to(model.device)
    conditioning = Conditioning(texts.embeds.to(model.device), pooled)
    run = SimpleNamespace(model=model, settings=settings, conditioning=conditioning)
    scheduler = samplers.create(model, settings.sampler, settings.steps)
    samplers.restore_history(scheduler, step.state, device=model.device)
    timestep = scheduler.timesteps[step.index]
    latents = step.latents[picture : picture + 1].to(model.device)
    x_t = scheduler.scale_model_input(latents, timestep)
    return x_t.repeat(len(texts.embeds), 1, 1, 1), timestep, unet_inputs(run)


def _places(attention: Attention, token, word) -> list[int]:
    """Places of the tokens that are meant; [] when one of them does not exist."""
    tokens = attention.tokens
    if token is not None:
        places = [token] if isinstance(token, int) else list(token)
        return places if all(0 <= place < tokens.limit for place in places) else []
    words = [word] if isinstance(word, int) else list(word or ())
    found = [tokens.positions(number) for number in words]
    return [place for places in found for place in places] if all(found) else []


def _level(cells: tuple[int, int], count: int) -> tuple[int, int]:
    """(h, w) of a layer that works on ``count`` cells: each level of the UNet halves both sides, rounding up."""
    height, width = cells
    while height * width > count:
        height, width = -(-height // 2), -(-width // 2)
    if height * width != count:
        raise ValueError(f"{count} cells do not come from {cells} by halving")
    return height, width
