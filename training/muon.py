"""Muon: momentum whose matrix is brought to orthogonal form before each step (Jordan et al. 2024, arXiv 2502.16982).

``torch.optim.Muon`` takes matrices alone and computes in bfloat16; here the kernels of convolutions are matrices too,
and all matrices of one shape are computed together in their own dtype, which is what a CPU wants.
"""

from collections.abc import Iterable

import torch
from torch import nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of a quintic with a steep slope at zero
ITERATIONS = 5
LIKE_ADAM = 0.2  # root mean square of an AdamW step over its rate (arXiv 2502.16982, section 2.2)


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """Bring (N, rows, columns) near U V^T of their singular value decompositions by five Newton-Schulz iterations.

    Singular values come out between about 0.7 and 1.2; those that were zero stay zero.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Trained parameters that are matrices to Muon (linear layers, convolutions), and the rest for AdamW.

    Rows of embeddings are looked up one by one: they are no matrix that maps anything.
    """
    rows = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim >= 2 and id(parameter) not in rows]
    taken = {id(parameter) for parameter in matrices}
    return matrices, [parameter for parameter in trained if id(parameter) not in taken]


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum, steps scaled to the size of AdamW's, so that both take the same rate and decay.

    A parameter (out, ...) is the matrix (out, product of the rest).
    """

    def __init__(self, params: Iterable[nn.Parameter], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        """One update; parameters without a gradient stay."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[tuple[nn.Parameter, torch.Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    ahead = self._ahead(parameter, group["momentum"])
                    by_shape.setdefault(ahead.shape, []).append((parameter, ahead))
            for shape, items in by_shape.items():
                updates = orthogonalise(torch.stack([ahead for _, ahead in items]))
                size = LIKE_ADAM * max(shape) ** 0.5 * group["lr"]
                for (parameter, _), update in zip(items, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.sub_(update.view_as(parameter), alpha=size)

    def _ahead(self, parameter: nn.Parameter, momentum: float) -> torch.Tensor:
        """The gradient where the momentum leads, as a matrix."""
        mean = self.state[parameter].setdefault("mean", torch.zeros_like(parameter))
        mean.lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(mean, momentum).flatten(1)
