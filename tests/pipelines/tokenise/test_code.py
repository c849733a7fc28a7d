import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import content_key
from pipelines.tokenise import code, models
from pipelines.tokenise.code import decode, decode_latents, encode, prepared
from pipelines.tokenise.compare import psnr_db
from pipelines.tokenise.tokens import MOST_TOKENS, grid_of
from tests.pipelines.runtime.sentences import sentence
from tests.pipelines.tokenise.conftest import make_model, make_picture

ASSETS = Path(__file__).parents[3] / "assets"
BUNDLED = ASSETS / "models/tokenise/vqgan"
PHOTOGRAPH = ASSETS / "examples/bridge.jpg"  # 768 x 562


def test_a_picture_is_shrunk_to_a_size_and_never_enlarged():
    picture = make_picture(300, 450)
    assert prepared(picture, longest=128).shape == (85, 128, 3)
    assert prepared(picture, longest=512) is picture


def test_a_picture_becomes_the_nearest_codes_in_float64(tiny_model):
    tokens = encode(tiny_model, make_picture(45, 63), picture="mine")
    assert tokens.indices.shape == grid_of((45, 63), 8) == (6, 8)
    assert (tokens.indices.dtype, tokens.latents.dtype) == (np.int32, np.float32)
    assert (tokens.padded, tokens.tiles, tokens.size) == ((3, 1), (1, 1), (45, 63))
    assert (tokens.bytes, tokens.cell, tokens.codes) == (30, 8, 32)
    assert (tokens.model_id, tokens.picture_key) == ("tiny", "mine")
    codes = tiny_model.module.quantize.embedding.weight.double().numpy()
    distances = np.square(tokens.latents[:, :, None].astype(np.float64) - codes).sum(axis=-1)
    np.testing.assert_array_equal(tokens.indices, distances.argmin(axis=-1))
    assert len(np.unique(tokens.indices)) > 2


def test_there_and_back_is_the_librarys_own(tiny_model):
    picture = make_picture(48, 64)
    tokens = encode(tiny_model, picture)
    painted = decode(tiny_model, tokens.indices, size=tokens.size)
    values = torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1
    whole = tiny_model.module(torch.nn.functional.pixel_unshuffle(values, 4)).sample
    expected = (torch.nn.functional.pixel_shuffle(whole, 4)[0].permute(1, 2, 0) / 2 + 0.5).clamp(0, 1) * 255
    assert np.abs(painted - expected.numpy()).max() <= 0.51  # half a step of rounding
    codes = tiny_model.module.quantize.embedding.weight.numpy()[tokens.indices]
    np.testing.assert_array_equal(decode_latents(tiny_model, codes, size=tokens.size), painted)
    assert not np.array_equal(decode_latents(tiny_model, tokens.latents, size=tokens.size), painted)


def test_padding_repeats_the_border_and_is_cut_off_again(tiny_model):
    picture = make_picture(45, 63)
    continued = np.pad(picture, ((0, 3), (0, 1), (0, 0)), mode="edge")
    tokens, whole = encode(tiny_model, picture), encode(tiny_model, continued)
    np.testing.assert_array_equal(tokens.indices, whole.indices)
    assert whole.padded == (0, 0)
    assert tokens.picture_key == content_key(picture)
    painted = decode(tiny_model, tokens.indices, size=tokens.size)
    np.testing.assert_array_equal(painted, decode(tiny_model, whole.indices, size=whole.size)[:45, :63])


def test_distances_in_bands_are_those_of_all_at_once(tiny_model, monkeypatch):
    picture = make_picture(64, 64)
    expected = encode(tiny_model, picture).indices
    monkeypatch.setattr(code, "COMPARISONS", 3 * 8 * 32)  # three of eight rows
    np.testing.assert_array_equal(encode(tiny_model, picture).indices, expected)


def test_tiles_are_one_grid_like_any_other(tiny_model, monkeypatch):
    picture = make_picture(128, 160)
    whole = encode(tiny_model, picture)
    monkeypatch.setattr(models, "AT_ONCE", 16)  # times patches of 4 px
    tokens = encode(tiny_model, picture)
    assert tokens.tiles == (3, 3)
    assert tokens.indices.shape == whole.indices.shape
    codes = tiny_model.module.quantize.embedding.weight.double().numpy()
    distances = np.square(tokens.latents[:, :, None].astype(np.float64) - codes).sum(axis=-1)
    np.testing.assert_array_equal(tokens.indices, distances.argmin(axis=-1))
    assert 0.5 < (tokens.indices == whole.indices).mean() < 1  # the normalisation sees other pixels


def test_a_bundled_model_decodes_tiles_without_a_seam(monkeypatch):
    """Tiles of 256 px of a photograph, beside the whole and beside tiles that do not overlap.

    Measured on the bundled models: 33 dB to the whole; the steepest line of the difference 1.1, any line 0.4, the
    seams of tiles put side by side 21 of 255.
    """
    model = models.load_folder("lucida-vqgan", BUNDLED, placement=CPU)
    picture = np.asarray(Image.open(PHOTOGRAPH).convert("RGB"))[:384, 128:640]
    tokens = encode(model, picture)
    assert tokens.tiles == (1, 1)
    whole = decode(model, tokens.indices, size=tokens.size)
    monkeypatch.setattr(models, "AT_ONCE", 256 // model.patch)
    tiled = decode(model, tokens.indices, size=tokens.size)
    bands = [tokens.indices[:, left : left + 256 // model.cell] for left in range(0, tokens.indices.shape[1], 32)]
    side_by_side = [decode(model, band, size=(tokens.size[0], band.shape[1] * model.cell)) for band in bands]
    seams = np.concatenate(side_by_side, axis=1)[:, : tokens.size[1]]
    assert psnr_db(tiled, whole) > 30
    assert steepest(tiled, whole) < 2 < 8 < steepest(seams, whole)
    own = encode(model, picture)
    assert own.tiles == (2, 3)
    assert psnr_db(decode(model, own.indices, size=own.size), picture) > psnr_db(whole, picture) - 0.1


def steepest(pixels: np.ndarray, other: np.ndarray) -> float:
    """The largest step of two pictures' difference from one line of pixels to the next, averaged along the line."""
    difference = pixels.astype(float) - other
    steps = (np.abs(np.diff(difference, axis=axis)).mean(axis=(1 - axis, 2)).max() for axis in (0, 1))
    return float(max(steps))


def test_a_grid_of_another_codebook_or_picture_is_refused_with_a_sentence(tiny_model):
    good = np.zeros((6, 8), np.int32)
    with pytest.raises(UserError) as refused:
        decode(tiny_model, good + 32, size=(48, 64))
    assert "its codes are 0 to 31" in sentence(refused.value)
    for size in ((49, 64), (40, 64), (48, 65), (0, 0)):
        with pytest.raises(UserError) as refused:
            decode(tiny_model, good, size=size)
        assert "6 × 8 tokens" in sentence(refused.value)


def test_pictures_under_a_cell_and_over_the_largest_grid_are_refused(tiny_model):
    with pytest.raises(UserError) as refused:
        encode(tiny_model, make_picture(7, 64))
    assert "64 × 7 pixels" in sentence(refused.value)
    long = np.zeros((8, 8 * (MOST_TOKENS + 1), 3), np.uint8)
    with pytest.raises(UserError) as refused:
        encode(tiny_model, long)
    assert "1 × 65537" in sentence(refused.value)
    assert encode(tiny_model, make_picture(8, 8)).indices.shape == (1, 1)
    for wrong in (np.zeros((16, 16), np.uint8), np.zeros((16, 16, 4), np.uint8), np.zeros((16, 16, 3))):
        with pytest.raises(ValueError, match="uint8"):
            encode(tiny_model, wrong)


def test_what_overflows_in_half_precision_is_computed_in_float32():
    """A weight of 40,000 on the last layer: fp16 ends at 65,504."""
    single = make_model()
    single.module.decoder.conv_out.weight.data *= 4e4
    half = replace(single, module=copy.deepcopy(single.module).half(), dtype=torch.float16)
    grid = encode(single, make_picture()).indices
    expected = decode(single, grid, size=(48, 64))
    assert psnr_db(decode(half, grid, size=(48, 64)), expected) > 20
    assert half.module.dtype == torch.float16  # a copy was made


def test_a_model_that_gives_nothing_finite_is_refused():
    broken = make_model("broken")
    broken.module.encoder.conv_in.bias.data[0] = torch.nan
    with pytest.raises(UserError) as refused:
        encode(broken, make_picture())
    assert "broken" in sentence(refused.value)
