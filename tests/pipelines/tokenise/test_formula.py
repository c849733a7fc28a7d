import dataclasses

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.vae import VectorQuantizer

from pipelines.runtime.errors import UserError
from pipelines.tokenise import code, formula
from pipelines.tokenise.formula import quantising, straight_through
from tests.pipelines.tokenise.conftest import make_model, make_picture


@pytest.fixture(scope="module")
def model():
    return make_model(codes=300)


@pytest.fixture(scope="module")
def tokens(model):
    return code.encode(model, make_picture(45, 63))


@pytest.fixture(scope="module")
def found(model, tokens):
    return quantising(model, tokens)


def test_best_codes_and_distances_are_those_of_brute_force(model, tokens, found):
    book = model.module.quantize.embedding.weight.double().numpy()
    distances = np.square(tokens.latents[:, :, None].astype(np.float64) - book).sum(axis=-1)
    order = distances.argsort(axis=-1)[..., :8]
    assert np.array_equal(found.nearest, order)
    np.testing.assert_allclose(found.distances, np.take_along_axis(distances, order, axis=-1), rtol=1e-6)
    assert np.array_equal(found.nearest[..., 0], tokens.indices)
    assert (found.nearest.dtype, found.distances.dtype) == (np.int32, np.float32)


def test_a_search_in_bands_finds_the_same(model, tokens, found, monkeypatch):
    monkeypatch.setattr(formula, "COMPARISONS", 4 * 300 * 7)  # seven cells at a time, of 48
    again = quantising(model, tokens)
    assert np.array_equal(again.nearest, found.nearest)
    assert np.array_equal(again.distances, found.distances)


def test_distances_far_from_zero_do_not_cancel(model, tokens):
    """Latents and codes moved by 1,000: the same differences, below the last digits of the products."""
    far = make_model(codes=300)
    far.module.quantize.embedding.weight.add_(1000)
    moved = dataclasses.replace(tokens, latents=tokens.latents + 1000)
    book = far.module.quantize.embedding.weight.double().numpy()
    exact = np.square(moved.latents[:, :, None].astype(np.float64) - book).sum(axis=-1)
    np.testing.assert_allclose(quantising(far, moved).distances[..., 0], exact.min(axis=-1), rtol=1e-6)


def test_a_small_codebook_has_no_more_codes_than_it_has():
    tiny = make_model(codes=3)
    found = quantising(tiny, code.encode(tiny, make_picture(16, 16)))
    assert found.nearest.shape == (2, 2, 3)
    assert np.array_equal(np.sort(found.nearest, axis=-1), np.broadcast_to(np.arange(3), (2, 2, 3)))


@pytest.mark.parametrize("legacy", [False, True])
def test_losses_are_those_of_the_library(model, tokens, found, legacy):
    """Its old form weighs the other term with beta: the same number, since both terms are equal."""
    quantiser = VectorQuantizer(300, 4, beta=0.25, legacy=legacy)
    quantiser.embedding.weight.data.copy_(model.module.quantize.embedding.weight)
    latents = torch.from_numpy(tokens.latents).permute(2, 0, 1)[None]
    _, theirs, _ = quantiser(latents)
    assert found.beta == 0.25
    assert found.codebook_loss + found.commitment_loss == pytest.approx(float(theirs.detach()), rel=1e-5)
    assert found.codebook_loss == pytest.approx(found.errors.mean() / 4, rel=1e-5)


def test_a_cell_holds_the_numbers_of_its_place(model, tokens, found):
    cell = found.cell(2, 5)
    book = model.module.quantize.embedding.weight.numpy()
    assert np.array_equal(cell.latent, tokens.latents[2, 5])
    assert cell.index == tokens.indices[2, 5]
    assert np.array_equal(cell.code, book[cell.index])
    exact = np.square(cell.latent.astype(np.float64) - cell.code).sum()
    assert cell.codebook == pytest.approx(exact)
    assert cell.commitment == pytest.approx(0.25 * exact)
    assert cell.distances[0] == pytest.approx(exact, rel=1e-6)
    assert found.errors[2, 5] == pytest.approx(exact, rel=1e-6)
    np.testing.assert_allclose(cell.straight, cell.code, atol=1e-6)


@pytest.mark.parametrize(("row", "column"), [(-1, 0), (6, 0), (0, 8)])
def test_a_cell_outside_is_refused(found, row, column):
    with pytest.raises(UserError) as refused:
        found.cell(row, column)
    assert refused.value.key == "errors.token_outside"


def test_the_straight_through_step_has_the_codes_numbers_and_the_identity_as_gradient(model):
    latents = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    codes = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(straight_through(latents, codes), codes)
    jacobian = torch.autograd.functional.jacobian(lambda z: straight_through(z, codes), latents)
    assert torch.equal(jacobian.view(20, 20), torch.eye(20, dtype=torch.float64))
    straight_through(latents, codes).sum().backward()
    assert codes.grad is None
    assert torch.equal(latents.grad, torch.ones_like(latents))


def test_the_gradient_at_the_latents_is_that_at_the_codes_as_in_the_library(model):
    """Through the library's own quantiser, into its decoder: what the decoder asks of the code reaches z unchanged."""
    module = model.module
    latents = (torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(0)) / 4).requires_grad_()
    quantised, _, _ = module.quantize(latents)
    module.decode(quantised, force_not_quantize=True).sample.square().sum().backward()
    codes = quantised.detach().requires_grad_()
    module.decode(codes, force_not_quantize=True).sample.square().sum().backward()
    torch.testing.assert_close(latents.grad, codes.grad)
    torch.testing.assert_close(straight_through(latents, codes), quantised)
