"""Real SAMs, small enough to answer in milliseconds, with random weights of a fixed seed."""

import numpy as np
import pytest
import torch

pytest.importorskip("segment_anything", reason="requirements.txt is not installed: no segment_anything")

from pipelines.runtime.device import CPU
from pipelines.segment.models import SamConfig, SegmentModel, create_sam, wrap

TINY = SamConfig(
    image_size=64, width=16, depth=2, heads=2, window=4, global_blocks=(1,), out_channels=16, decoder_mlp=16
)


def make_sam(*, seed: int = 1):
    """A ``Sam`` of 64 px: embedding 16 x 8 x 8, logits 32 x 32.

    Fresh weights give logits near 0; the last layers are made stronger, so that a threshold of 1 cuts something.
    """
    torch.manual_seed(seed)
    sam = create_sam(TINY)
    with torch.no_grad():
        for head in sam.mask_decoder.output_hypernetworks_mlps:
            head.layers[-1].weight *= 200
        sam.mask_decoder.iou_prediction_head.layers[-1].weight *= 5
    return sam


def make_model(model_id: str = "tiny", *, seed: int = 1) -> SegmentModel:
    """``make_sam`` as the app holds it."""
    return wrap(model_id, make_sam(seed=seed), placement=CPU)


def make_picture(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: bright and dark blobs, so that masks have shapes."""
    coarse = np.random.default_rng(seed).random((3, 1, 6, 6), dtype=np.float32)
    smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse), (height, width), mode="bicubic")
    return (smooth.clamp(0, 1)[:, 0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)


@pytest.fixture(scope="session")
def tiny_model() -> SegmentModel:
    """A SAM of 64 px on the CPU; tests leave it as it is."""
    return make_model()
