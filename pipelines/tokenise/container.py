"""A grid of codes as a file, ``.vq``: each index in as many bits as the codebook needs, and what decodes it.

All numbers are little-endian; n is the length of the model's id. The grid has as many rows and columns as cells cover
the picture, and so the file has one length and no other.

    offset   bytes  meaning
    0        4      89 56 51 0A: a byte that is no ASCII (transfers of text alter it), "VQ", a line feed
    4        1      version of this format, 1
    5        1      n, 1 to 255
    6        2      side of the square that a token covers, in pixels, 1 to 64
    8        4      codes in the codebook, 1 to 65,536
    12       4      height of the picture in pixels
    16       4      width
    20       n      id of the model, UTF-8
    20 + n   m      the indices row by row, each in b = ceil(log2(codes)) bits (one code: 1), the most significant bit
                    first, without gaps; zeros fill the last byte. m = ceil(rows x columns x b / 8)
    20+n+m   4      CRC-32 (ISO 3309) of all bytes before it

A picture of 256 px in 1,024 codes at 8 px a token, by ``lucida-vqgan``: 1,280 bytes of indices, 36 around them.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from pipelines.runtime.errors import UserError
from pipelines.tokenise.tokens import bits_of, check_count, check_indices, grid_of, packed_bytes

MAGIC = b"\x89VQ\n"
VERSION = 1
HEADER = struct.Struct("<4sBBHIII")
CHECKSUM = struct.Struct("<I")
MOST_CELL = 64
MOST_CODES = 65_536
MOST_BYTES = HEADER.size + 255 + 2 * 65_536 + CHECKSUM.size  # of the largest grid with the largest codebook


@dataclass(frozen=True, eq=False)
class VqFile:
    """What a .vq file holds. indices: (h, w) int32. size: (H, W) of the picture. cell: pixels that a token covers."""

    indices: np.ndarray
    size: tuple[int, int]
    model_id: str
    codes: int
    cell: int


def pack(indices: np.ndarray, *, size: tuple[int, int], model_id: str, codes: int, cell: int) -> bytes:
    """Write a grid as a .vq file.

    Args:
        indices: (h, w) integers below ``codes``; h and w are the cells that cover ``size``.
        size: (H, W) of the picture in pixels.
        model_id: of at most 255 bytes in UTF-8.
        codes: size of the codebook, at most 65,536. cell: pixels that a token covers, at most 64.

    Raises:
        UserError: ``errors.tokens_*``, ``errors.token_index``.
        ValueError: an id, a codebook or a cell that the format cannot hold.
    """
    indices, name = check_indices(indices, codes=codes), model_id.encode()
    if not (_is_name(model_id) and len(name) <= 255 and 1 <= codes <= MOST_CODES and 1 <= cell <= MOST_CELL):
        raise ValueError(f"cannot be written: id {model_id!r}, {codes} codes, {cell} px a token")
    if grid_of(size, cell) != indices.shape:
        rows, columns = indices.shape
        raise UserError("errors.tokens_shape", rows=rows, columns=columns, width=size[1], height=size[0])
    content = HEADER.pack(MAGIC, VERSION, len(name), cell, codes, *size) + name + _to_bits(indices, bits_of(codes))
    return content + CHECKSUM.pack(zlib.crc32(content))


def unpack(data: bytes) -> VqFile:
    """Read a .vq file: everything or nothing.

    Raises:
        UserError: ``errors.vq_foreign``, ``errors.vq_newer``, ``errors.vq_cut``, ``errors.vq_long``,
            ``errors.vq_damaged``, ``errors.tokens_many``, ``errors.token_index``.
    """
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise UserError("errors.vq_foreign")
    if len(data) > len(MAGIC) and data[len(MAGIC)] > VERSION:
        raise UserError("errors.vq_newer", version=data[len(MAGIC)], known=VERSION)
    if len(data) < HEADER.size:
        raise UserError("errors.vq_cut", found=len(data), wanted=HEADER.size)
    _, version, letters, cell, codes, *size = HEADER.unpack_from(data)
    if version != VERSION or not (letters and 1 <= cell <= MOST_CELL and 1 <= codes <= MOST_CODES and all(size)):
        raise UserError("errors.vq_damaged")
    grid = grid_of(size, cell)
    check_count(grid)
    begin = HEADER.size + letters
    end = begin + packed_bytes(grid[0] * grid[1], codes)
    _check_length(data, end + CHECKSUM.size)
    if zlib.crc32(data[:end]) != CHECKSUM.unpack_from(data, end)[0]:
        raise UserError("errors.vq_damaged")
    indices = check_indices(_from_bits(data[begin:end], grid, bits_of(codes)), codes=codes)
    return VqFile(indices, tuple(size), _name(data[HEADER.size : begin]), codes, cell)


def _check_length(data: bytes, wanted: int) -> None:
    if len(data) < wanted:
        raise UserError("errors.vq_cut", found=len(data), wanted=wanted)
    if len(data) > wanted:
        raise UserError("errors.vq_long", found=len(data), wanted=wanted)


def _to_bits(indices: np.ndarray, bits: int) -> bytes:
    """Each index in so many bits, the most significant first; zeros fill the last byte."""
    shifts = np.arange(bits - 1, -1, -1)
    return np.packbits((indices.reshape(-1, 1) >> shifts & 1).astype(np.uint8)).tobytes()


def _from_bits(data: bytes, grid: tuple[int, int], bits: int) -> np.ndarray:
    """The reverse: (h, w) int32. Raises UserError where the last byte is filled with anything but zeros."""
    found, count = np.unpackbits(np.frombuffer(data, np.uint8)), grid[0] * grid[1] * bits
    if found[count:].any():
        raise UserError("errors.vq_damaged")
    powers = 1 << np.arange(bits - 1, -1, -1, dtype=np.int32)
    return (found[:count].reshape(-1, bits) @ powers).reshape(grid)


def _name(data: bytes) -> str:
    try:
        name = data.decode()
    except UnicodeDecodeError:
        raise UserError("errors.vq_damaged") from None
    if not _is_name(name):
        raise UserError("errors.vq_damaged")
    return name


def _is_name(text: str) -> bool:
    """Whether a text can be shown: a model's id has no control signs."""
    return bool(text) and text.isprintable()
