"""Vectors as colours: their first principal components as red, green and blue."""

from dataclasses import dataclass

import numpy as np

LOW, HIGH = 2, 98  # percentiles of a component that become the darkest and the brightest
ROUNDING = 1e-12  # a smaller share of the vectors' squares is no difference between them


@dataclass(frozen=True, eq=False)
class Directions:
    """The three directions in which vectors differ most.

    mean: (D,) float64. axes: (D, 3), unit columns; zeros where there are fewer than three. explained: (3,), the share
    of the variance that each of them has.
    """

    mean: np.ndarray
    axes: np.ndarray
    explained: np.ndarray

    def places(self, vectors: np.ndarray) -> np.ndarray:
        """Where vectors lie along the directions: (..., D) to (..., 3) float32."""
        return ((vectors - self.mean) @ self.axes).astype(np.float32)


def directions(vectors: np.ndarray) -> Directions:
    """PCA by the eigenvectors of the covariance of (n, D) vectors.

    An eigenvector is as good with its sign turned: here its entry of the largest magnitude is positive, so that the
    same vectors always get the same colours.
    """
    vectors = np.asarray(vectors, np.float64)
    mean = vectors.mean(axis=0)
    variances, axes = np.linalg.eigh((vectors - mean).T @ (vectors - mean))
    variances, axes = variances[::-1][:3], axes[:, ::-1][:, :3]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    real = variances > ROUNDING * np.square(vectors).sum()
    explained = np.where(real, variances, 0) / max(np.square(vectors - mean).sum(), np.finfo(float).tiny)
    missing = 3 - axes.shape[1]
    return Directions(mean, np.pad(axes * signs * real, ((0, 0), (0, missing))), np.pad(explained, (0, missing)))


def colours(places: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Places (..., 3) as (..., 3) uint8; the percentiles are those of ``among`` (n, 3). Grey where all are equal."""
    low, high = np.percentile(among, (LOW, HIGH), axis=0)
    spread = np.where(high > low, high - low, 1)
    scaled = np.where(high > low, (places - low) / spread, 0.5)
    return (np.clip(scaled, 0, 1) * 255).round().astype(np.uint8)
