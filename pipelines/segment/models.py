"""SAM through segment_anything's own classes: from a small config to a ``Sam`` of any size (arXiv 2304.02643)."""

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import nn

from pipelines.runtime.device import Placement
from pipelines.runtime.weights import load_strict, read_safetensors

CONFIG_FILE = "config.json"
PIXEL_MEAN = (123.675, 116.28, 103.53)  # of RGB bytes, as the published checkpoints have them
PIXEL_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class SamConfig:
    """Shape of a SAM. The published sizes: 1,024 px, patches of 16 px, 768 to 1,280 wide, 256 out channels.

    image_size, patch_size: pixels. window: side of local attention, in patches. global_blocks: blocks that see the
    whole picture. out_channels: width of the embedding and of the decoder.
    """

    image_size: int = 256
    patch_size: int = 8
    width: int = 160
    depth: int = 6
    heads: int = 5
    window: int = 8
    global_blocks: tuple[int, ...] = (2, 5)
    out_channels: int = 96
    decoder_mlp: int = 384
    decoder_heads: int = 4
    iou_width: int = 96

    @property
    def grid(self) -> int:
        """Side of the embedding, in cells."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, eq=False)
class SegmentModel:
    """A loaded SAM in evaluation mode. module: goes into SamPredictor and SamAutomaticMaskGenerator unchanged."""

    id: str
    module: Sam
    device: str
    dtype: torch.dtype


def create_sam(config: SamConfig) -> Sam:
    """Build segment_anything's ``Sam`` with random weights, as its own ``build_sam`` does for the published sizes."""
    encoder = ImageEncoderViT(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.width,
        depth=config.depth,
        num_heads=config.heads,
        mlp_ratio=4,
        out_chans=config.out_channels,
        qkv_bias=True,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=config.window,
        global_attn_indexes=config.global_blocks,
    )
    prompts = PromptEncoder(
        embed_dim=config.out_channels,
        image_embedding_size=(config.grid, config.grid),
        input_image_size=(config.image_size, config.image_size),
        mask_in_chans=16,
    )
    transformer = TwoWayTransformer(
        depth=2, embedding_dim=config.out_channels, mlp_dim=config.decoder_mlp, num_heads=config.decoder_heads
    )
    decoder = MaskDecoder(
        transformer_dim=config.out_channels,
        transformer=transformer,
        num_multimask_outputs=3,
        iou_head_depth=3,
        iou_head_hidden_dim=config.iou_width,
    )
    return Sam(encoder, prompts, decoder, pixel_mean=list(PIXEL_MEAN), pixel_std=list(PIXEL_STD))


def write_config(config: SamConfig, folder: Path) -> None:
    """Write ``config.json``, from which ``read_config`` builds the same shape."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8")


def read_config(folder: Path) -> SamConfig:
    """Read the shape of a bundled SAM.

    Raises:
        TypeError: the file names something that a SAM of ours does not have.
    """
    values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    return SamConfig(**values | {"global_blocks": tuple(values["global_blocks"])})


def load_folder(model_id: str, folder: Path, *, placement: Placement) -> SegmentModel:
    """Load ``config.json`` and ``model.safetensors`` strictly.

    Raises:
        UserError: the weights are missing, altered or do not fit the config.
    """
    module = create_sam(read_config(folder))
    weights = folder / "model.safetensors"
    load_strict(module, read_safetensors(weights), name=weights.name)
    module = module.to(device=placement.device, dtype=placement.torch_dtype).eval().requires_grad_(False)
    return SegmentModel(model_id, module, placement.device, placement.torch_dtype)


def load(entry, placement: Placement) -> SegmentModel:
    """Load a bundled model of the catalogue. The runtime calls this under its lock, once a model.

    Raises:
        UserError: as ``load_folder``.
    """
    return load_folder(entry.id, entry.folder, placement=placement)
