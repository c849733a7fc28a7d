"""A picture to a grid of integers and back, at any size: padded to whole cells, in tiles where it is large.

The network needs whole cells: below and to the right the last row and column of pixels are repeated, and the decoder's
answer is cut to the picture's size again. A picture longer than ``TokeniseModel.tile`` goes through in overlapping
tiles; what they say where they overlap is blended, latents before codes are chosen from them, so that the indices of
a tiled picture are one grid like any other.
"""

import copy
import time
from collections.abc import Callable

import numpy as np
import torch

from pipelines.runtime.errors import UserError
from pipelines.runtime.picture_pixels import fitted
from pipelines.runtime.pictures import content_key
from pipelines.tokenise import models
from pipelines.tokenise.models import TokeniseModel
from pipelines.tokenise.tiles import Place, by_tiles
from pipelines.tokenise.tokens import Tokens, check_count, check_indices, grid_of

COMPARISONS = 2**25  # distances to codes that are held at once


def prepared(pixels: np.ndarray, *, longest: int) -> np.ndarray:
    """A picture (H, W, 3) uint8 with its longer side brought down to ``longest`` pixels; never enlarged."""
    return fitted(pixels, longest)


def in_whole_cells(pixels: np.ndarray, cell: int) -> np.ndarray:
    """A picture (H, W, 3) with its last row and column repeated until its sides are multiples of ``cell``."""
    bottom, right = (-side % cell for side in pixels.shape[:2])
    return np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="edge")


def encode(model: TokeniseModel, pixels: np.ndarray, *, picture: str = "") -> Tokens:
    """Give a picture its grid of codes: the nearest one to each vector of the encoder (arXiv 1711.00937, eq. (1)).

    Args:
        pixels: (H, W, 3) uint8, RGB; ``prepared`` brings it to a size.
        picture: ``pictures.content_key`` of the visitor's picture, where these pixels were made from it.

    Raises:
        UserError: ``errors.tokens_small`` (under one cell), ``errors.tokens_many``, ``errors.model_not_finite``.
        ValueError: pixels of another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"expected (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
    size, cell = pixels.shape[:2], model.cell
    if min(size) < cell:
        raise UserError("errors.tokens_small", width=size[1], height=size[0], cell=cell)
    grid = grid_of(size, cell)
    check_count(grid)
    started = time.perf_counter()
    whole = in_whole_cells(pixels, cell)
    latents, tiles = _latents(model, torch.from_numpy(whole).permute(2, 0, 1), grid)
    indices = _nearest(model, latents)
    return Tokens(
        indices=indices.cpu().numpy().astype(np.int32),
        latents=latents.permute(1, 2, 0).contiguous().cpu().numpy(),
        pixels=pixels,
        padded=(whole.shape[0] - size[0], whole.shape[1] - size[1]),
        tiles=tiles,
        cell=cell,
        codes=model.codes,
        model_id=model.id,
        picture_key=picture or content_key(pixels),
        ms=(time.perf_counter() - started) * 1000,
    )


def decode(model: TokeniseModel, indices: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
    """Paint a grid of codes.

    Args:
        indices: (h, w) integers, each below the number of codes.
        size: (H, W) of the picture; padding beyond it is cut off. h and w are the cells that cover it.

    Returns:
        (H, W, 3) uint8.

    Raises:
        UserError: ``errors.token_index``, ``errors.tokens_shape``, ``errors.tokens_many``, ``errors.model_not_finite``.
    """
    return _rounded(decode_exact(model, indices, size=size))


def decode_exact(model: TokeniseModel, indices: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
    """As ``decode``, before rounding: (H, W, 3) float32 in 0..255, so that small differences are not lost."""
    indices = check_indices(indices, codes=model.codes)
    with torch.inference_mode():
        codes = models.codes_of(model.module, torch.from_numpy(indices.astype(np.int64)).to(model.device)[None])[0]
    return _painted(model, codes.float(), size)


def decode_latents(model: TokeniseModel, latents: np.ndarray, *, size: tuple[int, int]) -> np.ndarray:
    """Paint what the encoder said without choosing codes: latents (h, w, D) float32 to (H, W, 3) uint8.

    Raises:
        UserError: as ``decode``.
    """
    values = torch.from_numpy(np.ascontiguousarray(latents, np.float32)).to(model.device)
    return _rounded(_painted(model, values.permute(2, 0, 1), size))


@torch.inference_mode()
def _latents(model: TokeniseModel, whole: torch.Tensor, grid: tuple[int, int]) -> tuple[torch.Tensor, tuple[int, int]]:
    """Encode (3, H, W) uint8 of whole cells, to (D, h, w) float32 on the model's device, and the tiles."""

    def look(place: Place) -> torch.Tensor:
        part = whole[:, place.rows(model.cell), place.columns(model.cell)].to(model.device)[None].float() / 255
        return computed(model, models.latents_of, part)[0]

    return by_tiles(grid, model.tile // model.cell, 1, look)


@torch.inference_mode()
def _nearest(model: TokeniseModel, latents: torch.Tensor) -> torch.Tensor:
    """(D, h, w) to (h, w), some rows at a time: all distances of a large grid to a large codebook are gigabytes."""
    rows = max(1, COMPARISONS // (latents.shape[2] * model.codes))
    return torch.cat([models.nearest(model.module, band[None])[0] for band in latents.split(rows, dim=1)])


@torch.inference_mode()
def _painted(model: TokeniseModel, latents: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """Decode (D, h, w) float32 and cut the padding off: (H, W, 3) float32 in 0..255."""
    grid = latents.shape[1:]
    if grid_of(size, model.cell) != tuple(grid):
        raise UserError("errors.tokens_shape", rows=grid[0], columns=grid[1], width=size[1], height=size[0])

    def paint(place: Place) -> torch.Tensor:
        return computed(model, models.pictures_of, latents[:, place.rows(), place.columns()][None])[0]

    picture, _ = by_tiles(tuple(grid), model.tile // model.cell, model.cell, paint)
    picture = picture[:, : size[0], : size[1]]
    return picture.clamp(0, 1).mul(255).permute(1, 2, 0).cpu().numpy()


def _rounded(picture: np.ndarray) -> np.ndarray:
    return np.round(picture).astype(np.uint8)


def computed(model: TokeniseModel, function: Callable, values: torch.Tensor) -> torch.Tensor:
    """One pass in the model's type; what overflows in half precision again in float32.

    Args:
        function: of ``models``, ``latents_of`` or ``pictures_of``.
        values: (B, ...) float32 on the model's device.

    Returns:
        (B, ...) float32.

    Raises:
        UserError: ``errors.model_not_finite``.
    """
    found = function(model.module, values.to(model.dtype))
    if model.dtype != torch.float32 and not found.isfinite().all():
        found = function(copy.deepcopy(model.module).float(), values)
    if not found.isfinite().all():
        raise UserError("errors.model_not_finite", model=model.id)
    return found.float()
