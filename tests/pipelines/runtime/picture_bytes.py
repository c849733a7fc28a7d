"""Bytes of picture files, made for the tests of the door."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def pattern(height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth picture without symmetry, (H, W, 3) uint8."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=-1).astype(np.uint8)


def encode(image: Image.Image | np.ndarray, kind: str = "PNG", **options) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(extra: bytes) -> bytes:
    """A small PNG with a chunk put in after its header."""
    data = encode(pattern())
    return data[:33] + extra + data[33:]


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels as a camera would store them so that this orientation makes them upright (EXIF 2.32, table 6)."""
    stored = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: pixels[::-1].transpose(1, 0, 2)[::-1, ::-1],
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: pixels[::-1].transpose(1, 0, 2),
    }
    return np.ascontiguousarray(stored[orientation])


def rgb_profile(red, green, blue, gamma: float) -> bytes:
    """An ICC v2 matrix profile from its primaries in XYZ (D50) and one exponent."""

    def number(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(number(value) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    name = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"p\0" + bytes(78)
    tags = [(b"desc", name), (b"wtpt", xyz((0.9642, 1.0, 0.8249)))]
    tags += [(b"rXYZ", xyz(red)), (b"gXYZ", xyz(green)), (b"bXYZ", xyz(blue))]
    tags += [(letter + b"TRC", curve) for letter in (b"r", b"g", b"b")]
    offset, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for signature, content in tags:
        content += bytes(-len(content) % 4)
        table += signature + struct.pack(">II", offset + len(data), len(content))
        data += content
    body = struct.pack(">I", len(tags)) + table + data
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), b"    ", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + number(0.9642) + number(1.0) + number(0.8249)
    return head + bytes(128 - len(head)) + body


# Primaries adapted to D50: Adobe RGB (1998) specification, section 4.3; Display P3 as in its ICC profile.
ADOBE_RGB = rgb_profile((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457), 2.2)
DISPLAY_P3 = rgb_profile((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407), 2.2)


def bmp(*, height: int = 48, depth: int = 24, offset: int = 54) -> bytes:
    rows = pattern()[..., ::-1] if height < 0 else pattern()[::-1, :, ::-1]
    head = struct.pack("<2sIHHI", b"BM", 54 + rows.size, 0, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, 64, height, 1, depth, 0, rows.size, 2835, 2835, 0, 0)
    return head + info + np.ascontiguousarray(rows).tobytes()
