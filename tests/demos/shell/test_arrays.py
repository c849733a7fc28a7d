"""Arrays on their way to the browser."""

from urllib.parse import unquote

import numpy as np
import pytest

from demos.shell import arrays, sessions
from demos.shell.sessions import Session, Store


@pytest.mark.parametrize("dtype", arrays.DTYPES)
def test_what_is_packed_comes_back(dtype):
    array = np.random.default_rng(0).normal(100, 30, (3, 4, 5)).astype(dtype)
    for version in (array, array[:, ::2, ::-1], array.T, array[:0]):
        packed = arrays.pack(version)
        assert packed["shape"] == list(version.shape)
        np.testing.assert_array_equal(arrays.unpack(packed), version)


def test_bytes_are_little_endian_whatever_the_machine():
    one = np.array([1.0], dtype=">f4")
    assert arrays.pack(one) == {"dtype": "float32", "shape": [1], "data": "AACAPw=="}


@pytest.mark.parametrize("dtype", ["float64", "int64", "bool", "object"])
def test_other_types_are_refused_by_name(dtype):
    with pytest.raises(ValueError, match=dtype):
        arrays.pack(np.zeros(1, dtype=dtype))


def test_a_large_array_is_a_private_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "cache", lambda: tmp_path)
    session = Session("a", Store(budget_bytes=1, time_to_live_s=1e9))
    first, second = (arrays.pack_file(np.arange(6, dtype=np.uint8), session) for _ in range(2))
    path = unquote(first["url"]).removeprefix("gradio_api/file=")
    assert (tmp_path / path).read_bytes() == bytes(range(6))
    assert first["url"] != second["url"]
