import math
import subprocess
import sys

import numpy as np
import pytest

from pipelines.runtime.errors import UserError
from pipelines.tokenise.tokens import Tokens, bits_of, check_indices, grid_of, packed_bytes
from tests.pipelines.runtime.sentences import sentence


def test_indices_are_packed_in_whole_bytes():
    assert packed_bytes(1024, 1024) == 1280
    assert packed_bytes(3, 1000) == 4
    assert packed_bytes(9, 2) == 2
    assert packed_bytes(9, 1) == 2


def test_an_index_takes_the_bits_that_its_codebook_needs():
    for codes in range(2, 20_000):
        assert bits_of(codes) == math.ceil(math.log2(codes))
    assert bits_of(1) == 1


def test_cells_cover_a_picture():
    assert grid_of((256, 256), 8) == (32, 32)
    assert grid_of((257, 249), 8) == (33, 32)
    assert grid_of((1, 1), 16) == (1, 1)


def test_tokens_know_their_size_and_bytes():
    grid, latents, pixels = np.zeros((3, 4), np.int32), np.zeros((3, 4, 8), np.float32), np.zeros((20, 30, 3), np.uint8)
    tokens = Tokens(grid, latents, pixels, (4, 2), (1, 1), 8, 1000, "model", "key", 1.0)
    assert tokens.size == (20, 30)
    assert tokens.bytes == 15


def test_what_is_no_grid_of_a_codebook_is_refused_with_a_sentence():
    good = np.zeros((6, 8), np.uint16)
    assert check_indices(good, codes=1).dtype == np.int32
    for wrong, said in (
        (np.full((6, 8), 32), "Token 32 in row 1, column 1"),
        (np.array([[0, 1], [5, -1]]), "Token -1 in row 2, column 2"),
        (np.array([[2**40]]), f"Token {2**40}"),
        (good.astype(float), "not a grid"),
        (good.astype(bool), "not a grid"),
        (good[0], "not a grid"),
        (good[:0], "not a grid"),
        (np.array([["a"]]), "not a grid"),
        (np.zeros((300, 300), np.int32), "65536"),
        (np.zeros((1, 2049), np.int32), "2048"),
    ):
        with pytest.raises(UserError) as refused:
            check_indices(wrong, codes=32)
        assert said in sentence(refused.value)


def test_importing_needs_no_torch():
    check = "import sys, pipelines.tokenise.tokens, pipelines.tokenise.container; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
