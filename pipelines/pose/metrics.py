"""PCK: the share of joints found within a part of the torso's diagonal."""

import numpy as np

from pipelines.pose.joints import TORSO


def torso_px(joints: np.ndarray) -> np.ndarray:
    """Length from right shoulder to left hip: joints (..., 14, 2) to (...), in their unit."""
    return np.linalg.norm(joints[..., TORSO[0], :] - joints[..., TORSO[1], :], axis=-1)


def found(predicted: np.ndarray, truth: np.ndarray, *, within: float = 0.2) -> np.ndarray:
    """Which joints lie within 0.2 of the torso from the truth: (..., 14, 2) twice, one unit, to (..., 14) bool."""
    return np.linalg.norm(predicted - truth, axis=-1) <= within * torso_px(truth)[..., None]
