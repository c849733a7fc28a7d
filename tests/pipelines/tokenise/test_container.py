"""Round trips at every size of codebook; hostile files end in a sentence, never in another exception."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.runtime.errors import UserError
from pipelines.tokenise.container import MOST_BYTES, VqFile, pack, unpack
from pipelines.tokenise.tokens import MOST_SIDE, MOST_TOKENS, bits_of, packed_bytes
from tests.pipelines.runtime.sentences import sentence

CODES = st.one_of(st.integers(2, 16_384), st.sampled_from([1, 2, 3, 256, 257, 1000, 1024, 16_384, 65_536]))
GOOD = pack(np.arange(6).reshape(2, 3), size=(15, 20), model_id="lucida-vqgan", codes=10, cell=8)


def refused(data: bytes) -> UserError:
    with pytest.raises(UserError) as error:
        unpack(data)
    sentence(error.value)
    return error.value


def sealed(content: bytes) -> bytes:
    """Somebody who forges a file can compute its checksum too."""
    return content + struct.pack("<I", zlib.crc32(content))


def header(*, version=1, name=b"m", cell=8, codes=10, size=(15, 20)) -> bytes:
    return b"\x89VQ\n" + bytes([version, len(name)]) + struct.pack("<HIII", cell, codes, *size) + name


@settings(max_examples=200, deadline=None)
@given(CODES, st.integers(1, 40), st.integers(1, 40), st.integers(1, 64), st.integers(0, 2**32 - 1), st.data())
def test_what_is_packed_comes_back(codes, rows, columns, cell, seed, data):
    indices = np.random.default_rng(seed).integers(0, codes, (rows, columns))
    size = tuple(side * cell - data.draw(st.integers(0, cell - 1)) for side in (rows, columns))
    packed = pack(indices, size=size, model_id="模型-1", codes=codes, cell=cell)
    assert len(packed) == 20 + 8 + packed_bytes(rows * columns, codes) + 4
    found = unpack(packed)
    np.testing.assert_array_equal(found.indices, indices)
    assert found.indices.dtype == np.int32
    assert (found.size, found.model_id, found.codes, found.cell) == (size, "模型-1", codes, cell)


def test_the_bytes_are_as_documented():
    assert GOOD[:20] == b"\x89VQ\n" + bytes([1, 12, 8, 0, 10, 0, 0, 0, 15, 0, 0, 0, 20, 0, 0, 0])
    assert GOOD[20:32] == b"lucida-vqgan"
    assert GOOD[32:35] == bytes([0b00000001, 0b00100011, 0b01000101])  # 0 to 5 in four bits each
    assert GOOD[35:] == struct.pack("<I", zlib.crc32(GOOD[:35]))


def test_bits_are_those_of_a_sum_of_powers():
    indices, codes = np.random.default_rng(0).integers(0, 1000, (5, 7)), 1000
    size, bits = (40, 56), bits_of(codes)
    packed = pack(indices, size=size, model_id="m", codes=codes, cell=8)
    number = 0
    for index in indices.flatten():
        number = number << bits | int(index)
    number <<= -indices.size * bits % 8
    assert packed[21:-4] == number.to_bytes(packed_bytes(indices.size, codes), "big")


def test_a_grid_of_the_usual_picture_takes_1280_bytes_and_its_frame():
    grid = np.zeros((32, 32), np.int32)
    assert len(pack(grid, size=(256, 256), model_id="lucida-vqgan", codes=1024, cell=8)) == 1280 + 36
    largest = np.zeros((256, 256), np.int32)
    assert len(pack(largest, size=(1024, 1024), model_id="m" * 255, codes=65_536, cell=4)) == MOST_BYTES


def test_a_file_cut_at_any_byte_is_refused():
    for length in range(len(GOOD)):
        assert refused(GOOD[:length]).key == "errors.vq_cut"


def test_one_altered_byte_is_refused_wherever_it_is():
    for place in range(len(GOOD)):
        for mask in (1, 0x80, 0xFF):
            altered = bytearray(GOOD)
            altered[place] ^= mask
            refused(bytes(altered))


@pytest.mark.parametrize("data", [b"PK\x03\x04 a zip", b"\x89PNG\r\n\x1a\n", b"VQ", b"\x89VQ\r\n", b"{}", b"\0" * 5000])
def test_foreign_files_are_named_as_such(data):
    assert refused(data).key == "errors.vq_foreign"


def test_a_newer_version_says_so():
    newer = refused(header(version=2))
    assert "version 2; versions up to 1" in sentence(newer)
    assert refused(b"\x89VQ\n\xff").key == "errors.vq_newer"
    assert refused(sealed(header(version=0) + b"\0\0\0")).key == "errors.vq_damaged"


def test_bytes_after_the_end_are_refused():
    assert refused(GOOD + b"\0").key == "errors.vq_long"
    assert refused(GOOD + GOOD).key == "errors.vq_long"


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"size": (2**32 - 1, 2**32 - 1)}, "errors.tokens_many"),
        ({"size": (8, 8 * (MOST_TOKENS + 1))}, "errors.tokens_many"),
        ({"size": (8, 8 * MOST_TOKENS)}, "errors.tokens_long"),
        ({"size": (8, 8 * MOST_SIDE)}, "errors.vq_cut"),
        ({"size": (0, 20)}, "errors.vq_damaged"),
        ({"size": (15, 0)}, "errors.vq_damaged"),
        ({"cell": 0}, "errors.vq_damaged"),
        ({"cell": 65}, "errors.vq_damaged"),
        ({"codes": 0}, "errors.vq_damaged"),
        ({"codes": 2**32 - 1}, "errors.vq_damaged"),
        ({"name": b""}, "errors.vq_damaged"),
        ({"name": b"\xff\xfe"}, "errors.vq_damaged"),
        ({"name": b"a\x00b"}, "errors.vq_damaged"),
        ({"name": b"line\nbreak"}, "errors.vq_damaged"),
        ({"name": "\u202eltr".encode()}, "errors.vq_damaged"),
    ],
)
def test_a_forged_header_with_a_right_checksum_is_refused(fields, key):
    assert refused(sealed(header(**fields) + b"\0\0\0")).key == key


def test_an_index_beyond_the_codebook_is_refused():
    beyond = refused(sealed(header() + bytes([0, 0, 0x0A])))  # 10 in the last place
    assert "Token 10 in row 2, column 3" in sentence(beyond)
    assert unpack(sealed(header() + bytes([0, 0, 0x09]))).indices[1, 2] == 9


def test_the_last_byte_is_filled_with_zeros():
    one = header(codes=2, size=(8, 24))  # three bits of eight
    assert unpack(sealed(one + b"\xa0")).indices.tolist() == [[1, 0, 1]]
    assert refused(sealed(one + b"\xa1")).key == "errors.vq_damaged"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=12), st.booleans())
def test_any_bytes_end_as_a_file_or_a_sentence(body, tail, begun):
    data = sealed(b"\x89VQ\n\x01" + body) + tail if begun else body
    try:
        found = unpack(data)
    except UserError as error:
        sentence(error)
    else:
        assert isinstance(found, VqFile)


def test_what_the_format_cannot_hold_is_not_written():
    grid = np.zeros((1, 1), np.int32)
    rest = {"size": (8, 8), "model_id": "m", "codes": 4, "cell": 8}
    for wrong in ({"model_id": ""}, {"model_id": "a\nb"}, {"model_id": "m" * 256}, {"cell": 65, "size": (65, 65)}):
        with pytest.raises(ValueError, match="cannot be written"):
            pack(grid, **rest | wrong)
    for wrong in ({"size": (9, 8)}, {"size": (0, 8)}):
        with pytest.raises(UserError):
            pack(grid, **rest | wrong)
    with pytest.raises(UserError):
        pack(grid + 4, **rest)
