import numpy as np

from pipelines.runtime.pictures import content_key
from pipelines.tokenise.code import decode, encode, packed_bytes
from tests.pipelines.tokenise.conftest import make_picture


def test_indices_are_packed_in_whole_bytes():
    assert packed_bytes(1024, 1024) == 1280
    assert packed_bytes(3, 1000) == 4
    assert packed_bytes(9, 2) == 2
    assert packed_bytes(9, 1) == 2


def test_a_picture_becomes_the_nearest_codes_in_float64(tiny_model):
    tokens = encode(tiny_model, make_picture(45, 63), picture="mine")
    assert tokens.indices.shape == (6, 8)
    assert (tokens.indices.dtype, tokens.latents.dtype) == (np.int32, np.float32)
    assert (tokens.padded, tokens.tiles, tokens.size) == ((3, 1), (1, 1), (45, 63))
    assert (tokens.bytes, tokens.cell, tokens.codes) == (30, 8, 32)
    assert (tokens.model_id, tokens.picture_key) == ("tiny", "mine")
    codes = tiny_model.module.quantize.embedding.weight.double().numpy()
    distances = np.square(tokens.latents[:, :, None].astype(np.float64) - codes).sum(axis=-1)
    np.testing.assert_array_equal(tokens.indices, distances.argmin(axis=-1))


def test_padding_is_the_mirror_image_and_is_cut_off_again(tiny_model):
    picture = make_picture(45, 63)
    mirrored = np.pad(picture, ((0, 3), (0, 1), (0, 0)), mode="symmetric")
    tokens, whole = encode(tiny_model, picture), encode(tiny_model, mirrored)
    np.testing.assert_array_equal(tokens.indices, whole.indices)
    assert whole.padded == (0, 0)
    assert tokens.picture_key == content_key(picture)
    painted = decode(tiny_model, tokens.indices, size=tokens.size)
    np.testing.assert_array_equal(painted, decode(tiny_model, whole.indices, size=whole.size)[:45, :63])
