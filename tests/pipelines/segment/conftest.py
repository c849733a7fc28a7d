"""Real SAMs, small enough to answer in milliseconds, with random weights of a fixed seed."""

import numpy as np
import pytest
import torch

pytest.importorskip("segment_anything", reason="requirements.txt is not installed: no segment_anything")

from pipelines.runtime.device import CPU
from pipelines.segment.models import SamConfig, SegmentModel, create_sam, wrap
from pipelines.segment.sam2 import return_all_tokens

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


def make_sam2(*, seed: int = 3):
    """A ``Sam2Model`` of 64 px: embedding 32 x 4 x 4, logits 16 x 16, weights strong enough to give shapes."""
    from transformers import Sam2Config, Sam2HieraDetConfig, Sam2Model, Sam2VisionConfig

    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[64, 64],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 4, 4, 2],
        global_attention_blocks=[3],
    )
    config = Sam2Config(
        vision_config=Sam2VisionConfig(
            backbone_config=backbone,
            backbone_channel_list=[64, 32, 16, 8],
            backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
            fpn_hidden_size=32,
        ),
        prompt_encoder_config={"hidden_size": 32, "image_size": 64},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 4, "iou_head_hidden_dim": 32},
    )
    torch.manual_seed(seed)
    module = Sam2Model(config).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter *= 6
        for head in module.mask_decoder.output_hypernetworks_mlps:
            head.proj_out.weight *= 50
    return module


def make_sam2_model(model_id: str = "tiny-2", *, seed: int = 3) -> SegmentModel:
    """``make_sam2`` as the app holds it."""
    return wrap(model_id, return_all_tokens(make_sam2(seed=seed)), placement=CPU, family="sam2")


def make_picture(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: bright and dark blobs, so that masks have shapes."""
    coarse = np.random.default_rng(seed).random((3, 1, 6, 6), dtype=np.float32)
    smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse), (height, width), mode="bicubic")
    bright = smooth.clamp(0, 1)[:, 0].permute(1, 2, 0).numpy()
    return np.ascontiguousarray((bright * 255).astype(np.uint8))


@pytest.fixture(scope="session")
def tiny_model() -> SegmentModel:
    """A SAM of 64 px on the CPU; tests leave it as it is."""
    return make_model()


@pytest.fixture(scope="session")
def tiny_sam2_model() -> SegmentModel:
    """A SAM 2.1 of 64 px on the CPU; tests leave it as it is."""
    return make_sam2_model()
