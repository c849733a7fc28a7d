"""SAM for training: the library's modules computed for a whole batch of pictures with many prompts each.

``Sam.forward`` has no gradients and its decoder takes one embedding at a time; these functions are the same arithmetic
without those limits, and for pictures of any side that is a multiple of the window (early training sees small ones).
"""

import timm
import torch
from segment_anything.modeling import ImageEncoderViT, PromptEncoder, Sam
from torch import nn
from torch.nn import functional

from pipelines.segment.models import SamConfig, create_sam
from pipelines.zero_shot.trunk import TIMM_NAME, load_trunk_state

POSITIVE, NEGATIVE, TOP_LEFT, BOTTOM_RIGHT, PAD = 1, 0, 2, 3, -1
TEACHER_LEVELS = (2, 3)  # of EfficientNet-Lite0: strides 8 and 16
TEACHER_CHANNELS = (40, 112)


class Student(nn.Module):
    """The SAM that ships, and the linear heads that only compare its embedding with the teacher's features."""

    def __init__(self, config: SamConfig):
        super().__init__()
        self.config = config
        self.sam = create_sam(config)
        self.compare = nn.ModuleList(nn.Conv2d(config.out_channels, channels, 1) for channels in TEACHER_CHANNELS)


class Teacher(nn.Module):
    """Features of the ImageNet network at strides 8 and 16, each channel scaled to unit variance over the batch."""

    def __init__(self):
        super().__init__()
        trunk = timm.create_model(TIMM_NAME, features_only=True, out_indices=TEACHER_LEVELS)
        wanted = set(trunk.state_dict())
        trunk.load_state_dict({name: value for name, value in load_trunk_state().items() if name in wanted})
        self.trunk = trunk.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, S, S) bytes as floats to (B, 40, S/8, S/8) and (B, 112, S/16, S/16)."""
        maps = self.trunk(pictures / 127.5 - 1)
        return [functional.batch_norm(one, None, None, training=True) for one in maps]


def encode(encoder: ImageEncoderViT, pictures: torch.Tensor) -> torch.Tensor:
    """Embed normalised pictures (B, 3, S, S) of any size: (B, C, S/8, S/8). At its own size, ``encoder(pictures)``."""
    x = encoder.patch_embed(pictures)  # (B, h, w, width)
    position = encoder.pos_embed
    if position.shape[1:3] != x.shape[1:3]:
        channels_first = position.permute(0, 3, 1, 2)
        position = functional.interpolate(channels_first, x.shape[1:3], mode="bilinear", antialias=True)
        position = position.permute(0, 2, 3, 1)
    x = x + position
    for block in encoder.blocks:
        x = block(x)
    return encoder.neck(x.permute(0, 3, 1, 2))


def embed_prompts(encoder: PromptEncoder, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Embed clicks, box corners and padding: points (B, N, 2) x, y in pixels of the full size, labels (B, N).

    Returns (B, N, C). The library's own encoder gives the same for all its combinations of clicks and boxes.
    """
    with torch.autocast(points.device.type, enabled=False):  # bfloat16 would move a click by half a pixel
        embedded = encoder.pe_layer.forward_with_coords(points + 0.5, encoder.input_image_size)
    embedded = torch.where((labels == PAD)[..., None], 0.0, embedded)
    kinds = [encoder.not_a_point_embed, *encoder.point_embeddings]  # padding, negative, positive, corners
    table = torch.cat([kind.weight for kind in kinds])
    return embedded + functional.embedding(labels + 1, table)


def decode(
    sam: Sam, embedding: torch.Tensor, sparse: torch.Tensor, previous: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """All four masks of every prompt.

    Args:
        embedding: (B, C, h, w).
        sparse: (B * P, N, C), P prompts a picture, those of one picture together.
        previous: (B * P, 1, 4h, 4w) logits of the mask before, or None.

    Returns:
        Logits (B * P, 4, 4h, 4w), the single-mask token first, and predicted IoU (B * P, 4).
    """
    decoder, prompts = sam.mask_decoder, sam.prompt_encoder
    count, (_, channels, height, width) = len(sparse), embedding.shape
    if previous is None:
        dense = prompts.no_mask_embed.weight.reshape(1, -1, 1, 1)
    else:
        dense = prompts.mask_downscaling(previous)
    source = embedding.repeat_interleave(count // len(embedding), dim=0) + dense
    with torch.autocast(embedding.device.type, enabled=False):
        position = prompts.pe_layer((height, width))[None].expand(count, -1, -1, -1)
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([own.expand(count, -1, -1), sparse], dim=1)
    tokens, source = decoder.transformer(source, position, tokens)
    mask_tokens = tokens[:, 1 : 1 + decoder.num_mask_tokens]
    maps = decoder.output_upscaling(source.transpose(1, 2).view(count, channels, height, width))
    heads = decoder.output_hypernetworks_mlps
    weights = torch.stack([head(mask_tokens[:, place]) for place, head in enumerate(heads)], dim=1)
    masks = (weights @ maps.flatten(2)).unflatten(2, maps.shape[-2:])
    return masks, decoder.iou_prediction_head(tokens[:, 0])
