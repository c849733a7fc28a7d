"""The parts of a SAM at work on one picture and one prompt: shapes, milliseconds, and the embedding as colours."""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from pipelines.segment.attention import Attention, Token, attention
from pipelines.segment.marks import Prompt
from pipelines.segment.masks import Masks
from pipelines.segment.models import SegmentModel
from pipelines.segment.prompt import Embedding, encode, predict

__all__ = ("Attention", "Block", "Components", "Timings", "Token", "attention", "embedding_colours", "timings")

LOW, HIGH = 2, 98  # percentiles of a component that become the darkest and the brightest
ROUNDING = 1e-12  # a smaller share of the cells' squares is no difference between them


@dataclass(frozen=True)
class Block:
    """One part of the model at work.

    part: "encoder" or "decoder". name: "patches", "block_1", "stage_1" (MobileSAM), "neck"; then "prompt_encoder",
    "layer_1", "layer_2", "final_attention", "upscaling", "hyper_networks", "iou_head". shape: of the output, batch
    first; of several outputs the first. ms: of this one call. parameters: numbers learnt. window: side in patches of
    the squares within which an encoder block attends; 0 for one that sees the whole picture; None for other parts.
    """

    part: str
    name: str
    shape: tuple[int, ...]
    ms: float
    parameters: int
    window: int | None = None


@dataclass(frozen=True, eq=False)
class Timings:
    """blocks: in the order of work. embedding, masks: of the same run; their ``ms`` are those of the whole halves."""

    blocks: tuple[Block, ...]
    embedding: Embedding
    masks: Masks


@dataclass(frozen=True)
class _Watched:
    """What is timed as one block: from the start of ``first`` to the end of ``last``."""

    part: str
    name: str
    first: nn.Module
    last: nn.Module
    owns: tuple[nn.Module | nn.Parameter, ...]
    window: int | None = None


@dataclass(frozen=True, eq=False)
class Components:
    """values: (rows, columns, 3) float32, the first three principal components of each cell. explained: (3,) float64,
    the share of the variance that each of them has; 0 where there are fewer."""

    values: np.ndarray
    explained: np.ndarray


def timings(model: SegmentModel, pixels: np.ndarray, prompt: Prompt) -> Timings:
    """Encode a picture and answer a prompt, both watched.

    Hold the device's turn meanwhile: hooks sit on the shared model while it works.

    Args:
        pixels: (H, W, 3) uint8. prompt: in its pixels.

    Raises:
        UserError: as ``prompt.encode`` and ``prompt.predict``.
    """
    with _watching(model, _parts(model)) as found:
        embedding = encode(model, pixels)
        masks = predict(model, embedding, prompt)
    # SAM 2's neck has outputs of several sizes; the embedding is what goes on.
    shaped = (replace(one, shape=tuple(embedding.features.shape)) if one.name == "neck" else one for one in found)
    return Timings(tuple(shaped), embedding, masks)


def principal_components(embedding: Embedding) -> Components:
    """The three directions in which the cells of an embedding differ most, and each cell's place along them.

    PCA by the eigenvectors of the covariance of the cells that lie wholly on the picture: those of the padding, and
    those that the picture ends in, are unlike all others and would take a direction for themselves. An eigenvector is
    as good with its sign turned: here its entry of the largest magnitude is positive, so that the same picture always
    gets the same colours.
    """
    features = embedding.features[0].double().cpu().numpy()  # (C, h, w)
    rows, columns = _reached(embedding)
    places = features[:, :rows, :columns].transpose(1, 2, 0)  # (rows, columns, C)
    cells = places[_whole(embedding)].reshape(-1, len(features))
    mean = cells.mean(axis=0)
    variances, directions = np.linalg.eigh((cells - mean).T @ (cells - mean))
    variances, directions = variances[::-1][:3], directions[:, ::-1][:, :3]
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), range(3)])
    real = variances > ROUNDING * np.square(cells).sum()
    explained = np.where(real, variances, 0) / max(np.square(cells - mean).sum(), np.finfo(float).tiny)
    return Components(((places - mean) @ (directions * signs * real)).astype(np.float32), explained)


def embedding_colours(embedding: Embedding) -> np.ndarray:
    """An embedding as a picture: its first three principal components as red, green and blue.

    Cells of like colour look alike to the model. The colours themselves mean nothing, and those of two pictures
    cannot be compared.

    Returns:
        (rows, columns, 3) uint8, one pixel a cell, of the cells on the picture; grey where all cells are equal.
    """
    values = principal_components(embedding).values
    low, high = np.percentile(values[_whole(embedding)], (LOW, HIGH), axis=(0, 1))
    spread = np.where(high > low, high - low, 1)
    scaled = np.where(high > low, (values - low) / spread, 0.5)
    return (np.clip(scaled, 0, 1) * 255).round().astype(np.uint8)


def _reached(embedding: Embedding) -> tuple[int, int]:
    """Rows and columns of cells that lie on the picture, the last ones perhaps in part."""
    return tuple(math.ceil(length) for length in _extent(embedding))


def _whole(embedding: Embedding) -> tuple[slice, slice]:
    """Rows and columns of cells that lie wholly on the picture; of a very narrow one those that it reaches."""
    return tuple(slice(max(1, math.floor(length))) for length in _extent(embedding))


def _extent(embedding: Embedding) -> tuple[float, float]:
    longest = max(embedding.input_size)  # the square's side
    sides = zip(embedding.features.shape[2:], embedding.input_size, strict=True)
    return tuple(cells * length / longest for cells, length in sides)


@contextmanager
def _watching(model: SegmentModel, parts: list[_Watched]) -> Iterator[list[Block]]:
    """Hooks on the parts while open; the list fills as they work."""
    found: list[Block] = []
    with ExitStack() as stack:
        for one in parts:
            started: list[float] = []

            def begin(_module, _inputs, started=started):
                started.append(_now(model.device))

            def end(_module, _inputs, output, one=one, started=started):
                ms = (_now(model.device) - started[-1]) * 1000
                found.append(Block(one.part, one.name, _shape(output), ms, _count(one.owns), one.window))

            stack.callback(one.first.register_forward_pre_hook(begin).remove)
            stack.callback(one.last.register_forward_hook(end).remove)
        yield found


def _parts(model: SegmentModel) -> list[_Watched]:
    return [*_encoder_parts(model), *_decoder_parts(model)]


def _encoder_parts(model: SegmentModel) -> Iterator[_Watched]:
    """Of a ViT, of SAM 2's Hiera, of MobileSAM's TinyViT (by its four stages)."""
    encoder = model.module.vision_encoder if model.is_sam2 else model.module.image_encoder
    inner = encoder.backbone if model.is_sam2 else getattr(encoder, "trunk", encoder)
    positions = [getattr(inner, name, None) for name in ("pos_embed", "pos_embed_window")]
    owns = (inner.patch_embed, *(one for one in positions if one is not None))
    yield _Watched("encoder", "patches", inner.patch_embed, inner.patch_embed, owns)
    if hasattr(inner, "stages"):
        for number, stage in enumerate(inner.stages, start=1):
            yield _alone("encoder", f"stage_{number}", stage)
    else:
        for number, block in enumerate(inner.blocks, start=1):
            yield _alone("encoder", f"block_{number}", block, window=block.window_size)
    yield _alone("encoder", "neck", encoder.neck)


def _decoder_parts(model: SegmentModel) -> Iterator[_Watched]:
    module, decoder = model.module, model.module.mask_decoder
    yield _alone("decoder", "prompt_encoder", module.prompt_encoder)
    for number, layer in enumerate(decoder.transformer.layers, start=1):
        yield _alone("decoder", f"layer_{number}", layer)
    yield _alone("decoder", "final_attention", decoder.transformer.final_attn_token_to_image)
    if model.is_sam2:
        first, last = decoder.upscale_conv1, decoder.upscale_conv2
        yield _Watched("decoder", "upscaling", first, last, (first, decoder.upscale_layer_norm, last))
    else:
        yield _alone("decoder", "upscaling", decoder.output_upscaling)
    networks = decoder.output_hypernetworks_mlps
    yield _Watched("decoder", "hyper_networks", networks[0], networks[-1], (networks,))
    yield _alone("decoder", "iou_head", decoder.iou_prediction_head)


def _alone(part: str, name: str, module: nn.Module, *, window: int | None = None) -> _Watched:
    return _Watched(part, name, module, module, (module,), window)


def _shape(output) -> tuple[int, ...]:
    while not isinstance(output, torch.Tensor):
        output = output[0]
    return tuple(output.shape)


def _count(parts: tuple[nn.Module | nn.Parameter, ...]) -> int:
    modules = [one for one in parts if isinstance(one, nn.Module)]
    tensors = [tensor for module in modules for tensor in module.parameters()]
    return sum(tensor.numel() for tensor in (*tensors, *(one for one in parts if isinstance(one, nn.Parameter))))


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
