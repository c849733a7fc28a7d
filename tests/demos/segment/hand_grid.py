"""A grid pass made by hand: rectangles with random scores, some of them twice, some with a hole and specks."""

import numpy as np
import torch

from pipelines.segment.grid import Frame, GridPass, measured_by_numpy

FRAME = Frame(side=32, square=64, input_size=(43, 64), size=(129, 192), extent=(21.5, 32.0))
FULL = (258, 384)


def rectangles(count: int, *, seed: int = 0) -> np.ndarray:
    """(count, 22, 32) float32: logits 6 inside and -6 outside, and every seventh candidate empty."""
    random, logits = np.random.default_rng(seed), np.full((count, *FRAME.needed), -6.0, np.float32)
    for place in range(count):
        y, x, high, wide = random.integers(0, (14, 22, 8, 10), size=4)
        logits[place, y : y + high + 2, x : x + wide + 2] = 6
        if place % 4 == 1:
            logits[place] = logits[place - 1]  # a duplicate
        if place % 5 == 2:
            logits[place, y + 1, x + 1] = -6  # a hole
            logits[place, 20, 30] = 6  # a speck
        if place % 7 == 3:
            logits[place] = -6
    return logits


def grid(side: int = 4, *, seed: int = 0) -> GridPass:
    """3 side² candidates, their numbers measured as the pipeline does. Scores of two digits, so that some are equal."""
    count, random = 3 * side * side, np.random.default_rng(seed + 1)
    logits = rectangles(count, seed=seed)
    square = np.full((count, FRAME.side, FRAME.side), -6.0, np.float32)
    square[:, : logits.shape[1], : logits.shape[2]] = logits
    enlarged = FRAME.enlarge(FRAME.on_square(torch.from_numpy(square)[:, None]))[:, 0].numpy()
    stability, boxes, areas = measured_by_numpy(enlarged)
    places = (np.arange(side) + 0.5) / side
    return GridPass(
        points=np.stack(np.meshgrid(places * FULL[1], places * FULL[0]), axis=-1).reshape(-1, 2) - 0.5,
        logits=logits.astype(np.float16),
        iou=np.round(random.uniform(0.5, 1, count), 2).astype(np.float32),
        stability=stability,
        boxes=boxes,
        areas=areas,
        side=side,
        batches=1,
        frame=FRAME,
        full_size=FULL,
        ms=12.0,
        model_id="lucida-sam",
        picture_key="0" * 32,
    )
