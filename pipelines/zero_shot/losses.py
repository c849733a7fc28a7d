"""The two losses that make a CLIP: softmax over the batch (arXiv 2103.00020) and sigmoid a pair (arXiv 2303.15343)."""

import torch
from torch.nn.functional import log_softmax, logsigmoid


def _check(image_features: torch.Tensor, text_features: torch.Tensor, positives: torch.Tensor) -> None:
    expected = (image_features.shape[0], text_features.shape[0])
    if positives.shape != expected:
        raise ValueError(f"positives must be {expected}, got {tuple(positives.shape)}")


def diagonal(count: int) -> torch.Tensor:
    """Positives of a batch in which picture i goes with text i alone: (count, count) bool."""
    return torch.eye(count, dtype=torch.bool)


def clip_loss(
    image_features: torch.Tensor,
    text_features: torch.Tensor,
    *,
    logit_scale: torch.Tensor | float,
    positives: torch.Tensor,
) -> torch.Tensor:
    """InfoNCE in both directions, with any number of positives (arXiv 2103.00020, figure 3; 2004.11362, eq. (2)).

    z_ij = logit_scale <image_i, text_j>. Of each picture the target is spread evenly over its texts, of each text
    over its pictures; the cross entropies of the two directions are averaged. With one text a picture this is CLIP's
    loss. A row or column without a positive only serves as a negative.

    Args:
        image_features: (B, D), unit length.
        text_features: (T, D), unit length.
        logit_scale: exponential already taken.
        positives: (B, T) bool, true where the text names the picture.

    Returns:
        Scalar, nats.

    Raises:
        ValueError: positives of another shape.
    """
    _check(image_features, text_features, positives)
    logits = logit_scale * image_features @ text_features.T  # (B, T)
    return 0.5 * (_spread_cross_entropy(logits, positives) + _spread_cross_entropy(logits.T, positives.T))


def _spread_cross_entropy(logits: torch.Tensor, positives: torch.Tensor) -> torch.Tensor:
    """Mean over the rows that have a positive of -1/|P(i)| sum_{j in P(i)} log softmax(z_i)_j."""
    counts = positives.sum(dim=1)
    rows = -(log_softmax(logits, dim=1) * positives).sum(dim=1) / counts.clamp(min=1)
    return rows.sum() / (counts > 0).sum().clamp(min=1)


def siglip_loss(
    image_features: torch.Tensor,
    text_features: torch.Tensor,
    *,
    logit_scale: torch.Tensor | float,
    logit_bias: torch.Tensor | float,
    positives: torch.Tensor,
) -> torch.Tensor:
    """Sigmoid loss (arXiv 2303.15343, algorithm 1): every pair is a yes-or-no question of its own.

    L = -1/B sum_ij log sigma(y_ij (logit_scale <image_i, text_j> + logit_bias)), y_ij = 1 for a positive, else -1.
    Here several texts of a row may be positive.

    Args:
        image_features: (B, D), unit length.
        text_features: (T, D), unit length.
        logit_scale: exponential already taken.
        logit_bias: added to every logit; about -log(T) at the start, since nearly all pairs are negative.
        positives: (B, T) bool.

    Returns:
        Scalar: nats a picture.

    Raises:
        ValueError: positives of another shape.
    """
    _check(image_features, text_features, positives)
    logits = logit_scale * image_features @ text_features.T + logit_bias  # (B, T)
    signs = torch.where(positives, 1.0, -1.0)
    return -logsigmoid(signs * logits).sum() / len(logits)
