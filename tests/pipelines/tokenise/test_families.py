"""Everything that the tab does with a model, done with each published family made small: no demonstration is for the
bundled model alone."""

import numpy as np
import pytest
import torch

from pipelines.tokenise import blocks, codebook, container, formula, loss, surgery
from pipelines.tokenise.code import decode, decode_latents, encode, in_whole_cells
from pipelines.tokenise.models import TokeniseModel
from tests.pipelines.tokenise.conftest import make_picture
from tests.pipelines.tokenise.published import FAMILIES, make

SIZE = (44, 61)  # not whole cells


@pytest.fixture(scope="module", params=FAMILIES)
def model(request):
    return TokeniseModel(request.param, make(request.param), "cpu", torch.float32)


@pytest.fixture(scope="module")
def tokens(model):
    return encode(model, make_picture(*SIZE))


def test_a_picture_comes_back_as_the_librarys_forward_pass_gives_it(model, tokens):
    whole = np.ascontiguousarray(in_whole_cells(tokens.pixels, model.cell))
    picture = torch.from_numpy(whole).permute(2, 0, 1)[None].float() / 127.5 - 1
    theirs = model.module(torch.nn.functional.pixel_unshuffle(picture, model.patch)).sample
    theirs = torch.nn.functional.pixel_shuffle(theirs, model.patch)[0].permute(1, 2, 0).detach()
    theirs = ((theirs + 1) * 127.5).clamp(0, 255).numpy()[: SIZE[0], : SIZE[1]]
    ours = decode(model, tokens.indices, size=SIZE)
    assert ours.shape == (*SIZE, 3)
    assert np.abs(ours - theirs).max() <= 0.51  # rounded to whole numbers


def test_a_large_grid_goes_through_in_tiles(model):
    side = model.tile + 2 * model.cell
    if side > 300:
        pytest.skip("its tile is too large for a test")
    tokens = encode(model, make_picture(24, side))
    assert tokens.tiles == (1, 2)
    assert decode(model, tokens.indices, size=tokens.size).shape == tokens.pixels.shape


def test_the_file_holds_its_indices(model, tokens):
    content = container.pack(tokens.indices, size=SIZE, model_id=model.id, codes=model.codes, cell=model.cell)
    assert np.array_equal(container.unpack(content).indices, tokens.indices)


def test_the_blocks_and_the_formula_name_the_same_codes(model, tokens):
    run = blocks.blocks(model, tokens)
    assert np.array_equal(run.indices, tokens.indices)
    assert {block.part for block in run.blocks} == {"encoder", "quantiser", "decoder"}
    assert sum(block.parameters for block in run.blocks) == sum(p.numel() for p in model.module.parameters())
    quantising = formula.quantising(model, tokens)
    assert np.array_equal(quantising.nearest[..., 0], tokens.indices)
    assert blocks.coloured(model, tokens).codes.shape == (*tokens.indices.shape, 3)


def test_the_loss_is_split(model, tokens):
    found = loss.loss(model, tokens)
    assert np.array_equal(found.quantised, decode(model, tokens.indices, size=SIZE))
    assert np.array_equal(found.unquantised, decode_latents(model, tokens.latents, size=SIZE))


def test_a_token_is_looked_at_and_changed(model, tokens):
    token = surgery.look(model, tokens, tokens.indices, 1, 2)
    assert token.index == tokens.indices[1, 2]
    assert surgery.patches(model, np.arange(3)).shape == (3, model.cell, model.cell, 3)
    painted = surgery.in_place(model, tokens.indices, 1, 2, codes=np.arange(3))
    assert painted.shape == (3, model.cell, model.cell, 3)
    other = (token.index + 1) % model.codes
    footprint = surgery.footprint(model, tokens.indices, 1, 2, other=other, size=SIZE)
    assert footprint.change.max() > 0


def test_the_codebook_is_laid_out(model, tokens):
    assert codebook.usage([tokens.indices], model.codes).tokens == tokens.indices.size
    places = codebook.layout(model)
    assert sorted(places.ravel().tolist()) == list(range(model.codes))
    rows, columns = places.shape
    assert codebook.sheet(model, places).shape == (rows * model.cell, columns * model.cell, 3)
