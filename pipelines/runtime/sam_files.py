"""SAM checkpoints told by the names and shapes of their tensors, from the header alone; no tensor is read."""

from collections.abc import Mapping

from pipelines.runtime.weights import TensorInfo

ENCODERS = {(768,): "vit_b", (1024,): "vit_l", (1280,): "vit_h"}  # width of the image encoder, segment_anything's name
PATCHES = "image_encoder.patch_embed.proj.weight"
TINY_PATCHES = "image_encoder.patch_embed.seq.0.c.weight"
DECODER = "mask_decoder.iou_token.weight"
IMAGE_PX = 1024


def architecture_of(header: Mapping[str, TensorInfo]) -> str | None:
    """vit_b, vit_l or vit_h for a SAM, vit_t for MobileSAM, None for anything else.

    Whether all other tensors fit is found out when the file is loaded.
    """
    if DECODER not in header:
        return None
    if TINY_PATCHES in header:
        return "vit_t"
    return ENCODERS.get(header[PATCHES].shape[:1]) if PATCHES in header else None
