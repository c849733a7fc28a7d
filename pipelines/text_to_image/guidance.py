"""Guidance, and what a prediction says in other words: noise, velocity, picture.

Symbols: x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps (arXiv 2006.11239, eq. (4)), and the velocity
v = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0 (arXiv 2202.00512, appendix D).
"""

import torch

PREDICTIONS = ("epsilon", "v_prediction", "sample")


def guide(uncond: torch.Tensor, cond: torch.Tensor, guidance_scale: float) -> torch.Tensor:
    """Classifier-free guidance: uncond + w (cond - uncond), arXiv 2207.12598, eq. (6) with w = 1 + its w.

    uncond, cond: (B, C, h, w), what the UNet predicts without and with the prompt. A scale of 1 gives cond, 0 uncond.
    """
    return uncond + guidance_scale * (cond - uncond)


def to_x0(output: torch.Tensor, x_t: torch.Tensor, *, alpha_bar: float, prediction: str) -> torch.Tensor:
    """The picture x_0 that a prediction means, (B, C, h, w) in latent units.

    output: what the UNet predicts, of the kind ``prediction``. x_t: of variance-preserving scale.

    Raises:
        ValueError: another kind of prediction.
    """
    match prediction:
        case "epsilon":
            return (x_t - (1 - alpha_bar) ** 0.5 * output) / alpha_bar**0.5
        case "v_prediction":
            return alpha_bar**0.5 * x_t - (1 - alpha_bar) ** 0.5 * output
        case "sample":
            return output
    raise ValueError(f"prediction {prediction!r} is none of {PREDICTIONS}")


def to_eps(output: torch.Tensor, x_t: torch.Tensor, *, alpha_bar: float, prediction: str) -> torch.Tensor:
    """The noise eps that a prediction means, (B, C, h, w), of unit variance. See ``to_x0``."""
    match prediction:
        case "epsilon":
            return output
        case "v_prediction":
            return alpha_bar**0.5 * output + (1 - alpha_bar) ** 0.5 * x_t
        case "sample":
            return (x_t - alpha_bar**0.5 * output) / (1 - alpha_bar) ** 0.5
    raise ValueError(f"prediction {prediction!r} is none of {PREDICTIONS}")


def mix(x0: torch.Tensor, eps: torch.Tensor, *, alpha_bar: float) -> torch.Tensor:
    """x_t of variance-preserving scale: sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps."""
    return alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * eps
