"""Means with 95 % intervals, where several measured things come from one picture."""

import numpy as np

RESAMPLES = 1000


def estimate(values: np.ndarray, pictures: np.ndarray, *, seed: int = 0) -> dict[str, list[float]]:
    """Means of columns over objects with 95 % intervals: pictures, which hold several objects, are resampled.

    values: (N, K) float64, NaN where an object has no value. pictures: (N,) which picture each object is of.
    """
    _, place = np.unique(pictures, return_inverse=True)
    member = np.eye(place.max() + 1)[:, place]  # (P, N)
    sums, counts = member @ np.nan_to_num(values), member @ ~np.isnan(values)
    draws = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=RESAMPLES)
    with np.errstate(invalid="ignore"):
        means = (draws @ sums) / (draws @ counts)
        mean = sums.sum(axis=0) / counts.sum(axis=0)
    low, high = np.nanpercentile(means, (2.5, 97.5), axis=0)
    return {name: row.round(4).tolist() for name, row in (("mean", mean), ("low", low), ("high", high))}
