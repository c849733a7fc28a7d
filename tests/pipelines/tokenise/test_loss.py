import math

import numpy as np
import pytest

from pipelines.tokenise import code
from pipelines.tokenise.compare import psnr_db
from pipelines.tokenise.loss import loss, split
from tests.pipelines.tokenise.conftest import make_picture


def flat(value: int) -> np.ndarray:
    return np.full((4, 6, 3), value, np.uint8)


def test_the_three_summands_by_hand():
    """6 lost before rounding, 2 more by it: 36 + 4 + 2 * 6 * 2 = 64, of which 36 were there before."""
    found = split(flat(100), unquantised=flat(106), quantised=flat(108))
    assert (found.bottleneck, found.rounding, found.cross, found.total) == (36, 4, 24, 64)
    assert found.share == pytest.approx(28 / 64)
    assert (found.unquantised_error == 6).all() and (found.quantised_error == 8).all()
    assert found.quantised_error.dtype == np.float32


def test_rounding_may_help_and_may_be_all_there_is():
    helped = split(flat(100), unquantised=flat(104), quantised=flat(102))
    assert (helped.bottleneck, helped.rounding, helped.cross) == (16, 4, -16)
    assert helped.share == -3
    assert split(flat(9), unquantised=flat(9), quantised=flat(4)).share == 1
    assert math.isnan(split(flat(9), unquantised=flat(9), quantised=flat(9)).share)


def test_summands_add_up_to_the_error_of_the_codes():
    pictures = [make_picture(20, 30, seed=seed) for seed in range(3)]
    found = split(pictures[0], unquantised=pictures[1], quantised=pictures[2])
    assert 10 * math.log10(255**2 / found.total) == pytest.approx(psnr_db(pictures[0], pictures[2]))
    assert np.square(found.quantised_error.astype(np.float64)).mean() == pytest.approx(found.total, rel=1e-6)
    assert np.square(found.unquantised_error.astype(np.float64)).mean() == pytest.approx(found.bottleneck, rel=1e-6)
    assert found.unquantised_psnr == psnr_db(pictures[0], pictures[1])


def test_of_a_picture_it_is_what_the_model_decodes(tiny_model):
    tokens = code.encode(tiny_model, make_picture(45, 63))
    found = loss(tiny_model, tokens)
    assert found.original is tokens.pixels
    assert np.array_equal(found.quantised, code.decode(tiny_model, tokens.indices, size=(45, 63)))
    codes = tiny_model.module.quantize.embedding.weight.numpy()[tokens.indices]
    assert np.array_equal(found.quantised, code.decode_latents(tiny_model, codes, size=(45, 63)))
    assert np.array_equal(found.unquantised, code.decode_latents(tiny_model, tokens.latents, size=(45, 63)))
    assert found.rounding > 0 and found.bottleneck > 0
