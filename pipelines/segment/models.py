"""SAM through segment_anything's own classes, and the few calls that SAM 2.1 answers too (arXiv 2304.02643).

``square``, ``encode_image`` and ``decode`` are the seam: what builds on them need not know the family of a model.
"""

import copy
import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.utils.transforms import ResizeLongestSide
from torch import nn

from pipelines.runtime.catalogue import read_catalogue
from pipelines.runtime.device import Placement
from pipelines.runtime.errors import UserError
from pipelines.runtime.weights import load_strict, read_published_pickle, read_safetensors
from pipelines.segment import speed

CONFIG_FILE = "config.json"
FULL_SIZE = ("vit_b", "vit_l", "vit_h")  # of segment_anything's registry
MOBILE = "vit_t"
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
    """A loaded SAM in evaluation mode, without gradients.

    family: "sam" (MobileSAM too: its prompt encoder and mask decoder are SAM's) or "sam2". module: segment_anything's
    ``Sam``, which goes into SamPredictor and SamAutomaticMaskGenerator unchanged, or transformers' ``Sam2Model``.
    dtype: of image encoder and mask decoder. The prompt encoder stays in float32: in half precision a click would
    move by up to half a pixel of the square.
    """

    id: str
    family: str
    module: nn.Module
    device: str
    dtype: torch.dtype

    @property
    def image_size(self) -> int:
        """Side of the square that the encoder reads, in pixels."""
        return self.module.prompt_encoder.input_image_size if self.is_sam2 else self.module.image_encoder.img_size

    @property
    def mask_side(self) -> int:
        """Side of the mask logits, in cells: four times that of the embedding."""
        return self.module.prompt_encoder.mask_input_size[0]

    @property
    def channels(self) -> int:
        """Width of the embedding and of the decoder's tokens."""
        return self.module.prompt_encoder.no_mask_embed.weight.shape[1]

    @property
    def is_sam2(self) -> bool:
        """Whether the module is transformers' ``Sam2Model``."""
        return self.family == "sam2"


def input_size(model: SegmentModel, height: int, width: int) -> tuple[int, int]:
    """Rows and columns that a picture takes in the model's square.

    SAM keeps the proportions and pads below and to the right; SAM 2 stretches the picture to the whole square. A
    point (x, y) of the picture lies at (x * columns / width, y * rows / height) in the square for both.
    """
    if model.is_sam2:
        return model.image_size, model.image_size
    return ResizeLongestSide.get_preprocess_shape(height, width, model.image_size)


def square(model: SegmentModel, pixels: np.ndarray) -> torch.Tensor:
    """Resize, normalise and pad a picture as the library does.

    Args:
        pixels: (H, W, 3) uint8, RGB.

    Returns:
        (1, 3, S, S) float32 on the model's device, S = ``image_size``.
    """
    if model.is_sam2:
        from pipelines.segment import sam2

        return sam2.square(pixels, side=model.image_size).to(model.device)
    resized = ResizeLongestSide(model.image_size).apply_image(pixels)
    picture = torch.as_tensor(resized, device=model.device).permute(2, 0, 1).contiguous()[None]
    return model.module.preprocess(picture.float())


def encode_image(model: SegmentModel, squared: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Run the image encoder, the expensive half of a SAM, once a picture.

    Args:
        squared: (1, 3, S, S) float32, from ``square``.

    Returns:
        features (1, C, h, w) in the model's dtype; and SAM 2's two high-resolution maps, (1, C/8, 4h, 4w) and
        (1, C/4, 2h, 2w), which its decoder adds on the way up; nothing for SAM. What overflows in half precision is
        computed again in float32, on a copy. It may still not be finite: see ``prompt.encode``.
    """
    with torch.inference_mode():
        features, extra = _encode(model.module, squared.to(model.dtype), is_sam2=model.is_sam2)
        if model.dtype != torch.float32 and not features.isfinite().all():
            features, extra = _encode(copy.deepcopy(model.module).float(), squared, is_sam2=model.is_sam2)
            features, extra = features.to(model.dtype), tuple(one.to(model.dtype) for one in extra)
        return features, extra


def _encode(module: nn.Module, squared: torch.Tensor, *, is_sam2: bool):
    if is_sam2:
        from pipelines.segment import sam2

        return sam2.encode_image(module, squared)
    return module.image_encoder(squared), ()


def decode(
    model: SegmentModel,
    features: torch.Tensor,
    *,
    points: torch.Tensor | None = None,
    labels: torch.Tensor | None = None,
    boxes: torch.Tensor | None = None,
    masks: torch.Tensor | None = None,
    extra: tuple[torch.Tensor, ...] = (),
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run prompt encoder and mask decoder for B prompts on one picture, all four mask tokens of each.

    The library's ``forward`` returns tokens 1 to 3 (multimask) or token 0 of the same computation.

    Args:
        features, extra: from ``encode_image``.
        points: (B, N, 2) float32, x and y in pixels of the model's square, counted like an array's indices: the
            encoder itself adds the half pixel to the middle. labels: (B, N), 1 for a positive click, 0 negative.
        boxes: (B, 4) float32, left, top, right, bottom in the same pixels.
        masks: (B, 1, m, m) float32, logits of an earlier answer, m = ``mask_side``.

    Returns:
        logits (B, 4, m, m) and predicted IoU (B, 4), both float32.
    """
    with torch.inference_mode():
        if model.is_sam2:
            from pipelines.segment import sam2

            logits, iou = sam2.decode(model.module, features, extra, points, labels, boxes, masks)
        else:
            prompts, decoder = model.module.prompt_encoder, model.module.mask_decoder
            clicks = None if points is None else (points, labels)
            sparse, dense = prompts(points=clicks, boxes=boxes, masks=masks)
            logits, iou = decoder.predict_masks(
                image_embeddings=features,
                image_pe=prompts.get_dense_pe().to(model.dtype),
                sparse_prompt_embeddings=sparse.to(model.dtype),
                dense_prompt_embeddings=dense.to(model.dtype),
            )
        return logits.float(), iou.float()


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
    return wrap(model_id, module, placement=placement)


def load_checkpoint(model_id: str, architecture: str, weights: Path, *, placement: Placement) -> SegmentModel:
    """Load a full-size SAM or MobileSAM strictly.

    Args:
        architecture: a name of segment_anything's ``sam_model_registry`` (vit_b, vit_l, vit_h), or vit_t for MobileSAM.
        weights: the published checkpoint, told by its SHA-256; or the same tensors as safetensors.

    Raises:
        UserError: ``errors.weights_pickle`` for any other pickle, unread; ``errors.weights_*``;
            ``errors.sam_unknown``.
    """
    if architecture not in (*FULL_SIZE, MOBILE):
        raise UserError("errors.sam_unknown", architecture=architecture[:40], choices=", ".join((*FULL_SIZE, MOBILE)))
    if weights.suffix == ".safetensors":
        state = read_safetensors(weights)
    else:
        state = read_published_pickle(weights, published=read_catalogue().published)
    if architecture == MOBILE:
        from pipelines.segment import mobile_sam

        module, state = mobile_sam.create(), mobile_sam.rename(state)
    else:
        module = create_published(architecture)
    load_strict(module, state, name=weights.name)
    return wrap(model_id, module, placement=placement)


def create_published(architecture: str) -> Sam:
    """segment_anything's own shape of this name, with memory for weights that are not set.

    Built without memory first: drawing 640 million random numbers that are overwritten takes longer than reading them.
    """
    with torch.device("meta"):
        sam = sam_model_registry[architecture]()
    return with_memory(sam)


def with_memory(sam: Sam) -> Sam:
    """Give a Sam without memory some on the CPU, and set the two buffers that no checkpoint holds."""
    sam = sam.to_empty(device="cpu")
    sam.pixel_mean, sam.pixel_std = (torch.tensor(values).view(-1, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
    return sam


def wrap(model_id: str, module: nn.Module, *, placement: Placement, family: str = "sam") -> SegmentModel:
    """Move a filled module to its device and number format (see ``SegmentModel``); on a GPU, fuse its attention.

    SAM 2 has fused attention and safe norms already, MobileSAM fused attention. On a CPU nothing is exchanged, so that
    the masks are the library's to the bit.
    """
    dtype = speed.compute_dtype(placement)
    encoder = module.vision_encoder if family == "sam2" else module.image_encoder
    if placement.device == "cuda" and isinstance(encoder, ImageEncoderViT):
        speed.fuse_attention(encoder)
    for part in (encoder, module.mask_decoder):
        if dtype != torch.float32:
            speed.fuse_norms(part)
        part.to(dtype)
    module = module.to(device=placement.device).eval().requires_grad_(False)
    return SegmentModel(model_id, family, module, placement.device, dtype)


def load(entry, placement: Placement) -> SegmentModel:
    """Load a model of the catalogue. The runtime calls this under its lock, once a model.

    Args:
        entry: a bundled folder; a published checkpoint with the architecture vit_b, vit_l, vit_h or vit_t; or a
            folder with SAM 2's ``config.json`` beside its weights, architecture ``Sam2Model``.
        placement: device and dtype.

    Raises:
        UserError: as ``load_folder``, ``load_checkpoint`` and ``sam2.load``.
    """
    if entry.architecture == "Sam":
        return load_folder(entry.id, entry.folder, placement=placement)
    if entry.architecture == "Sam2Model":
        from pipelines.segment import sam2

        return wrap(entry.id, sam2.load(entry.folder, entry.weights), placement=placement, family="sam2")
    return load_checkpoint(entry.id, entry.architecture, entry.weights, placement=placement)
