"""The parts of a tokeniser at work on one picture: shapes, milliseconds, and latents and codes as colours."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import VQModel
from torch import nn
from torch.nn import functional

from pipelines.runtime import principal
from pipelines.runtime.errors import UserError
from pipelines.runtime.watch import Part, Timed, alone, now, watching
from pipelines.tokenise import models
from pipelines.tokenise.code import Tokens, in_whole_cells
from pipelines.tokenise.models import TokeniseModel


@dataclass(frozen=True)
class Block:
    """One part of the model at work.

    part: "encoder", "quantiser" or "decoder". name: "patches", "conv_in", "level_1", "middle", "conv_out",
    "quant_conv"; "nearest", "codebook"; "post_quant_conv", "conv_in", "middle", "level_1", "conv_out", "pixels".
    shape: of the output, batch first. ms: of this one call. parameters: numbers learnt.
    """

    part: str
    name: str
    shape: tuple[int, ...]
    ms: float
    parameters: int


@dataclass(frozen=True, eq=False)
class Run:
    """What the parts did. latents: (h, w, D) float32. indices: (h, w) int32. picture: (3, H, W) float32 around 0..1,
    not clamped. size: (H, W) in pixels of what went through: the picture in whole cells, or its first tile."""

    blocks: tuple[Block, ...]
    latents: np.ndarray
    indices: np.ndarray
    picture: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Colours:
    """latents, codes: (h, w, 3) uint8, one pixel a cell, both along the same three directions, those in which the
    latents differ most. explained: (3,), the share of the latents' variance along each."""

    latents: np.ndarray
    codes: np.ndarray
    explained: np.ndarray


def blocks(model: TokeniseModel, tokens: Tokens) -> Run:
    """Send a picture through the model once more, watched; of a picture in tiles the first.

    Hold the device's turn meanwhile: hooks sit on the shared model while it works.

    Args:
        tokens: of the picture, by this model.

    Raises:
        UserError: ``errors.model_not_finite``.
    """
    values = _whole_cells(tokens, model).to(model.device)
    run = _watched(model, model.module, values.to(model.dtype))
    if model.dtype != torch.float32 and not np.isfinite(run.picture).all():  # as `code` does
        run = _watched(model, copy.deepcopy(model.module).float(), values)
    if not np.isfinite(run.picture).all():
        raise UserError("errors.model_not_finite", model=model.id)
    return run


def coloured(model: TokeniseModel, tokens: Tokens) -> Colours:
    """``colours`` of a picture's latents and of its codes."""
    book = model.module.quantize.embedding.weight.detach().float().cpu().numpy()
    return colours(tokens.latents, book[tokens.indices])


def colours(latents: np.ndarray, codes: np.ndarray) -> Colours:
    """Latents and the codes chosen for them as pictures: three principal components as red, green and blue.

    Like colours mean like vectors; a colour by itself means nothing, and those of two pictures cannot be compared.

    Args:
        latents, codes: (h, w, D) float32.
    """
    found = principal.directions(latents.reshape(-1, latents.shape[-1]))
    places = found.places(latents)
    among = places.reshape(-1, 3)
    return Colours(principal.colours(places, among), principal.colours(found.places(codes), among), found.explained)


def _whole_cells(tokens: Tokens, model: TokeniseModel) -> torch.Tensor:
    """(1, 3, H, W) float32 in 0..1: the picture in whole cells, or its first tile."""
    whole = in_whole_cells(tokens.pixels, model.cell)[: model.tile, : model.tile]
    return torch.from_numpy(np.ascontiguousarray(whole)).permute(2, 0, 1)[None].float() / 255


@torch.inference_mode()
def _watched(model: TokeniseModel, module: VQModel, values: torch.Tensor) -> Run:
    """The plain path of `models`, with the clock read between its calls and by hooks within them."""
    sides = {"encoder": list(_encoder(module)), "decoder": list(_decoder(module))}
    codebook = alone("codebook", module.quantize.embedding)
    with watching([*sides["encoder"], codebook, *sides["decoder"]], device=model.device) as found:
        clock = [now(model.device)]

        def timed(function, *arguments):
            result = function(module, *arguments)
            clock.append(now(model.device))
            return result

        latents = timed(models.latents_of, values)
        indices = timed(models.nearest, latents)
        codes = timed(models.codes_of, indices)
        # A batch of one has strides that a convolution's choice of method hangs on: as `code` makes it, to the bit.
        picture = timed(models.pictures_of, codes[0][None])
    by_side = {name: [one for one in found if one.part in parts] for name, parts in sides.items()}
    patches = tuple(functional.pixel_unshuffle(values, model.patch).shape)
    first, last = by_side["encoder"][0].began, by_side["decoder"][-1].ended
    made = (
        Block("encoder", "patches", patches, (first - clock[0]) * 1000, 0),
        *(_block("encoder", one) for one in by_side["encoder"]),
        Block("quantiser", "nearest", tuple(indices.shape), (clock[2] - clock[1]) * 1000, 0),
        *(_block("quantiser", one) for one in found if one.part is codebook),
        *(_block("decoder", one) for one in by_side["decoder"]),
        Block("decoder", "pixels", tuple(picture.shape), (clock[4] - last) * 1000, 0),
    )
    return Run(
        blocks=made,
        latents=latents[0].permute(1, 2, 0).float().contiguous().cpu().numpy(),
        indices=indices[0].cpu().numpy().astype(np.int32),
        picture=picture[0].float().cpu().numpy(),
        size=tuple(values.shape[2:]),
    )


def _encoder(module: VQModel) -> Iterator[Part]:
    encoder = module.encoder
    yield alone("conv_in", encoder.conv_in)
    yield from _levels(encoder.down_blocks)
    yield alone("middle", encoder.mid_block)
    yield _last(encoder)
    yield alone("quant_conv", module.quant_conv)


def _decoder(module: VQModel) -> Iterator[Part]:
    decoder = module.decoder
    yield alone("post_quant_conv", module.post_quant_conv)
    yield alone("conv_in", decoder.conv_in)
    yield alone("middle", decoder.mid_block)
    yield from _levels(decoder.up_blocks)
    yield _last(decoder)


def _levels(stages: nn.ModuleList) -> Iterator[Part]:
    """Each works at one resolution, in the order in which they work."""
    yield from (alone(f"level_{number}", stage) for number, stage in enumerate(stages, start=1))


def _last(half: nn.Module) -> Part:
    """Norm, activation and convolution at the end of either half."""
    return Part("conv_out", half.conv_norm_out, half.conv_out, (half.conv_norm_out, half.conv_out))


def _block(part: str, one: Timed) -> Block:
    return Block(part, one.part.name, one.shape, one.ms, one.parameters)
