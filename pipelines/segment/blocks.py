"""The parts of a SAM at work on one picture and one prompt: shapes, milliseconds, and the embedding as colours."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipelines.runtime import principal
from pipelines.runtime.watch import Part, Timed, alone, watching
from pipelines.segment.attention import Attention, Token, attention
from pipelines.segment.marks import Prompt
from pipelines.segment.masks import Masks
from pipelines.segment.models import SegmentModel
from pipelines.segment.prompt import Embedding, encode, predict

__all__ = ("Attention", "Block", "Components", "Timings", "Token", "attention", "embedding_colours", "timings")
DECODER = (
    "prompt_encoder", "layer_1", "layer_2", "final_attention", "upscaling", "hyper_networks", "iou_head",
)  # fmt: skip


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
    with watching(_parts(model), device=model.device) as found:
        embedding = encode(model, pixels)
        masks = predict(model, embedding, prompt)
    return Timings(tuple(_block(one, embedding) for one in found), embedding, masks)


def _block(one: Timed, embedding: Embedding) -> Block:
    """SAM 2's neck has outputs of several sizes; its shape is that of the embedding, which goes on."""
    name = one.part.name
    shape = tuple(embedding.features.shape) if name == "neck" else one.shape
    window = getattr(one.part.first, "window_size", None) if name.startswith("block_") else None
    part = "decoder" if name in DECODER else "encoder"
    return Block(part, name, shape, one.ms, one.parameters, window)


def principal_components(embedding: Embedding) -> Components:
    """The three directions in which the cells of an embedding differ most, and each cell's place along them.

    Cells of the padding, and those that the picture ends in, have no say: they are unlike all others and would take a
    direction for themselves.
    """
    features = embedding.features[0].double().cpu().numpy()  # (C, h, w)
    rows, columns = _reached(embedding)
    cells = features[:, :rows, :columns].transpose(1, 2, 0)  # (rows, columns, C)
    found = principal.directions(cells[_whole(embedding)].reshape(-1, len(features)))
    return Components(found.places(cells), found.explained)


def embedding_colours(embedding: Embedding) -> np.ndarray:
    """An embedding as a picture: its first three principal components as red, green and blue.

    Cells of like colour look alike to the model. The colours themselves mean nothing, and those of two pictures
    cannot be compared.

    Returns:
        (rows, columns, 3) uint8, one pixel a cell, of the cells on the picture; grey where all cells are equal.
    """
    values = principal_components(embedding).values
    return principal.colours(values, values[_whole(embedding)].reshape(-1, 3))


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


def _parts(model: SegmentModel) -> list[Part]:
    return [*_encoder_parts(model), *_decoder_parts(model)]


def _encoder_parts(model: SegmentModel) -> Iterator[Part]:
    """Of a ViT, of SAM 2's Hiera, of MobileSAM's TinyViT (by its four stages)."""
    encoder = model.module.vision_encoder if model.is_sam2 else model.module.image_encoder
    inner = encoder.backbone if model.is_sam2 else getattr(encoder, "trunk", encoder)
    positions = [getattr(inner, name, None) for name in ("pos_embed", "pos_embed_window")]
    owns = (inner.patch_embed, *(one for one in positions if one is not None))
    yield Part("patches", inner.patch_embed, inner.patch_embed, owns)
    if hasattr(inner, "stages"):
        for number, stage in enumerate(inner.stages, start=1):
            yield alone(f"stage_{number}", stage)
    else:
        for number, block in enumerate(inner.blocks, start=1):
            yield alone(f"block_{number}", block)
    yield alone("neck", encoder.neck)


def _decoder_parts(model: SegmentModel) -> Iterator[Part]:
    module, decoder = model.module, model.module.mask_decoder
    yield alone("prompt_encoder", module.prompt_encoder)
    for number, layer in enumerate(decoder.transformer.layers, start=1):
        yield alone(f"layer_{number}", layer)
    yield alone("final_attention", decoder.transformer.final_attn_token_to_image)
    if model.is_sam2:
        first, last = decoder.upscale_conv1, decoder.upscale_conv2
        yield Part("upscaling", first, last, (first, decoder.upscale_layer_norm, last))
    else:
        yield alone("upscaling", decoder.output_upscaling)
    networks = decoder.output_hypernetworks_mlps
    yield Part("hyper_networks", networks[0], networks[-1], (networks,))
    yield alone("iou_head", decoder.iou_prediction_head)
