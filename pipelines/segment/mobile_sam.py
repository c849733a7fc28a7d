"""MobileSAM: SAM's prompt encoder and mask decoder behind a TinyViT of 5 M parameters (arXiv 2306.14289).

The image encoder is timm's TinyViT. The published checkpoint names the same tensors otherwise (it descends from
microsoft/Cream), keeps the classifier of its ImageNet days, which is never used, and has one stride that differs.
"""

import re

import timm
import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import Sam
from segment_anything.modeling.common import LayerNorm2d
from torch import nn

from pipelines.segment.models import with_memory

IMAGE_SIZE = 1024
CHANNELS = 256
CLASSIFIER = ("image_encoder.norm_head.", "image_encoder.head.")
# (published name, timm's name), in this order. The published layer i ends with the step down to layer i + 1; timm's
# stage i + 1 begins with it.
NAMES = (
    (r"\.c\.weight$", ".conv.weight"),
    (r"^image_encoder\.patch_embed\.seq\.0\.", "image_encoder.trunk.patch_embed.conv1."),
    (r"^image_encoder\.patch_embed\.seq\.2\.", "image_encoder.trunk.patch_embed.conv2."),
    (r"^image_encoder\.layers\.(\d)\.blocks\.", r"image_encoder.trunk.stages.\1.blocks."),
    (r"^image_encoder\.layers\.0\.downsample\.", "image_encoder.trunk.stages.1.downsample."),
    (r"^image_encoder\.layers\.1\.downsample\.", "image_encoder.trunk.stages.2.downsample."),
    (r"^image_encoder\.layers\.2\.downsample\.", "image_encoder.trunk.stages.3.downsample."),
)


class TinyVitEncoder(nn.Module):
    """(B, 3, 1024, 1024) normalised -> (B, 256, 64, 64), in the place of SAM's ``ImageEncoderViT``."""

    def __init__(self):
        super().__init__()
        self.img_size = IMAGE_SIZE
        self.trunk = timm.create_model("tiny_vit_5m_224", num_classes=0)
        self.trunk.head = nn.Identity()  # has a norm of its own even without classes
        # The last step down keeps the size: the embedding has cells of 16 px, as SAM's, not of 32.
        self.trunk.stages[3].downsample.conv2.conv.stride = (1, 1)
        self.neck = nn.Sequential(
            nn.Conv2d(self.trunk.num_features, CHANNELS, kernel_size=1, bias=False),
            LayerNorm2d(CHANNELS),
            nn.Conv2d(CHANNELS, CHANNELS, kernel_size=3, padding=1, bias=False),
            LayerNorm2d(CHANNELS),
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Embed normalised pictures."""
        return self.neck(self.trunk.stages(self.trunk.patch_embed(pictures)))


def create() -> Sam:
    """MobileSAM with memory for weights that are not set: vit_b's ``Sam`` with another image encoder."""
    with torch.device("meta"):
        sam = sam_model_registry["vit_b"]()
    sam.image_encoder = nn.Identity()
    sam = with_memory(sam)
    sam.image_encoder = TinyVitEncoder()  # has its own memory, and tables that are computed when it is made
    return sam


def rename(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of the published checkpoint under the names that ``create`` gives them, without the classifier."""
    return {_renamed(name): value for name, value in state.items() if not name.startswith(CLASSIFIER)}


def _renamed(name: str) -> str:
    if name.startswith("image_encoder."):
        for published, ours in NAMES:
            name = re.sub(published, ours, name)
    return name
