import pytest
import torch

from pipelines.pose.flow import RealNVP, laplace_log_density, log_likelihood, log_normaliser


@pytest.fixture(scope="module")
def flow():
    """A flow that bends: its last layers begin at zero, here they do not."""
    torch.manual_seed(0)
    flow = RealNVP(couplings=3, width=16)
    for coupling in flow.couplings:
        torch.nn.init.normal_(coupling.net[-1].weight, std=0.3)
        torch.nn.init.normal_(coupling.net[-1].bias, std=0.3)
    return flow.double().requires_grad_(False)


def grid(span: float, steps: int) -> tuple[torch.Tensor, float]:
    side = (torch.arange(steps, dtype=torch.float64) + 0.5) * 2 * span / steps - span
    return torch.cartesian_prod(side, side), (2 * span / steps) ** 2


def test_the_inverse_comes_back_with_the_opposite_determinant(flow):
    points = torch.randn(50, 2, dtype=torch.float64)
    there, forwards = flow(points)
    back, backwards = flow.inverse(there)
    torch.testing.assert_close(back, points)
    torch.testing.assert_close(forwards, -backwards)
    assert (there - points).abs().max() > 0.1


def test_the_determinant_is_autograds(flow):
    points = torch.randn(5, 2, dtype=torch.float64)
    _, log_determinant = flow(points)
    for point, ours in zip(points, log_determinant, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: flow(x[None])[0][0], point)
        assert ours.item() == pytest.approx(jacobian.det().abs().log().item(), abs=1e-9)


def test_a_flow_begins_as_the_normal_distribution():
    points = torch.randn(7, 2)
    expected = torch.distributions.Normal(0, 1).log_prob(points).sum(dim=1)
    torch.testing.assert_close(RealNVP().log_density(points), expected)


def test_densities_integrate_to_one(flow):
    points, cell = grid(12, 400)
    assert (flow.log_density(points).exp().sum() * cell).item() == pytest.approx(1, abs=1e-3)
    assert (laplace_log_density(points).exp().sum() * cell).item() == pytest.approx(1, abs=1e-3)


def test_the_likelihood_of_a_position_integrates_to_one_over_positions(flow):
    points, cell = grid(3, 600)
    mean, sigma = torch.tensor([0.3, -0.2]).double(), torch.tensor([0.25, 0.4]).double()
    values = log_likelihood(flow, points, mean.expand_as(points), sigma.expand_as(points))
    assert (values.exp().sum() * cell).item() == pytest.approx(1, abs=2e-2)
    assert log_normaliser(flow).isfinite()


def test_the_right_sigma_is_the_likeliest():
    flow, generator = RealNVP(), torch.Generator().manual_seed(0)
    truth = 0.1 * torch.randn(4000, 2, generator=generator)
    zeros = torch.zeros_like(truth)
    mean_of = {
        s: log_likelihood(flow, truth, zeros, torch.full_like(truth, s)).mean().item() for s in (0.03, 0.16, 0.8)
    }
    assert max(mean_of, key=mean_of.get) == 0.16  # Q narrows the normal, so sigma is larger than the deviation
