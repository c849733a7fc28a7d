import pytest
import torch
from torch import nn

from training.loop import LoopConfig, Trainer
from training.muon import Muon, orthogonalise, split_parameters


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 6, 20), (2, 20, 6)])
def test_orthogonal_form_is_near_that_of_the_singular_value_decomposition(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonalise(matrices)
    values = torch.linalg.svdvals(found)
    assert 0.3 < values.min() <= values.max() < 1.3  # the smallest singular values are still on their way
    cosine = nn.functional.cosine_similarity(found.flatten(1), (u @ v).flatten(1))
    assert cosine.min() > 0.95


def test_scale_of_the_gradient_does_not_matter():
    matrix = torch.randn(1, 5, 7, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(orthogonalise(matrix), orthogonalise(1000 * matrix))


def test_first_step_has_the_size_of_an_adamw_step():
    layer = nn.Conv2d(16, 16, 3, bias=False)
    before = layer.weight.detach().clone()
    layer(torch.randn(4, 16, 8, 8)).square().mean().backward()
    Muon([layer.weight], lr=0.01).step()
    size = (layer.weight.detach() - before).square().mean().sqrt().item()
    assert size == pytest.approx(0.2 * 0.01, rel=0.3)


def test_decay_shrinks_the_weights_towards_zero():
    weight = nn.Parameter(torch.full((2, 2), 3.0))
    weight.grad = torch.zeros(2, 2)
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(weight.detach(), torch.full((2, 2), 3.0 * 0.95))


def test_embeddings_norms_and_biases_are_left_to_adamw():
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3), nn.LayerNorm(3), nn.Conv1d(3, 2, 1))
    matrices, others = split_parameters(model)
    assert {id(p) for p in matrices} == {id(model[1].weight), id(model[3].weight)}
    assert len(others) == 5


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_resumed_run_ends_at_the_same_weights(tmp_path, optimiser):
    def make(folder) -> Trainer:
        torch.manual_seed(0)
        model, average = nn.Linear(3, 2), nn.Linear(3, 2)
        return Trainer(LoopConfig(folder, 60, steps=10, optimiser=optimiser), model, average.requires_grad_(False))

    def loss_of(model, generator):
        return {"fit": model(torch.randn(4, 3, generator=generator)).square().mean()}

    whole, first, second = make(tmp_path / "a"), make(tmp_path / "b"), make(tmp_path / "b")
    for _ in range(10):
        whole.step(loss_of)
    for _ in range(4):
        first.step(loss_of)
    first.save()
    assert second.restore()
    for _ in range(6):
        second.step(loss_of)
    torch.testing.assert_close(second.model.weight, whole.model.weight, rtol=0, atol=0)


def test_an_unknown_optimiser_is_refused(tmp_path):
    with pytest.raises(ValueError, match="adamw or muon"):
        Trainer(LoopConfig(tmp_path, 60, optimiser="sgd"), nn.Linear(1, 1), nn.Linear(1, 1))
