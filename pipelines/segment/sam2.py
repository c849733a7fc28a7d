"""SAM 2.1 through transformers' ``Sam2Model``: pictures only, no video (arXiv 2408.00714)."""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import Sam2Config, Sam2ImageProcessor, Sam2Model

from pipelines.runtime.errors import UserError
from pipelines.runtime.weights import load_strict, read_safetensors

# Parts of the published files that only video needs.
VIDEO = (
    "memory_",
    "mask_downsample.",
    "object_pointer_proj.",
    "temporal_positional_encoding_projection_layer.",
    "no_memory_positional_encoding",
    "no_object_pointer",
    "occlusion_spatial_embedding_parameter",
)


def load(folder: Path, weights: Path) -> Sam2Model:
    """Load ``config.json`` and a safetensors file strictly, on the CPU; tensors that only video needs are left out.

    Raises:
        UserError: ``errors.sam2_config``, ``errors.weights_*``.
    """
    try:
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        parts = {name: values[name] for name in ("vision_config", "prompt_encoder_config", "mask_decoder_config")}
        module = Sam2Model(Sam2Config(**parts))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise UserError("errors.sam2_config", name=folder.name) from error
    state = {name: tensor for name, tensor in read_safetensors(weights).items() if not name.startswith(VIDEO)}
    load_strict(module, state, name=weights.name)
    return return_all_tokens(module)


def square(pixels: np.ndarray, *, side: int) -> torch.Tensor:
    """Stretch a picture to the square and normalise it, by transformers' own processor.

    Args:
        pixels: (H, W, 3) uint8, RGB.

    Returns:
        (1, 3, side, side) float32.
    """
    processor = Sam2ImageProcessor(size={"height": side, "width": side})
    return processor(images=pixels, return_tensors="pt", input_data_format="channels_last")["pixel_values"]


def encode_image(module: Sam2Model, squared: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """Embed (1, 3, S, S): features (1, C, S/16, S/16), and the maps (1, C/8, S/4, S/4) and (1, C/4, S/8, S/8)."""
    *high_resolution, features = module.get_image_embeddings(squared)
    return features.to(squared.dtype), tuple(high_resolution)  # the float32 no-memory embedding was added


def decode(
    module: Sam2Model,
    features: torch.Tensor,
    extra: tuple[torch.Tensor, ...],
    points: torch.Tensor | None,
    labels: torch.Tensor | None,
    boxes: torch.Tensor | None,
    masks: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """All four masks of B prompts; arguments and result as those of ``models.decode``.

    transformers lays prompts out as (pictures, prompts a picture, points). Here a prompt is a row of pictures that
    all share one embedding, so that every prompt may bring a mask of its own.
    """
    count = next(len(given) for given in (points, boxes, masks) if given is not None)
    if points is None and boxes is None:
        points, labels = features.new_zeros(count, 1, 2), torch.full((count, 1), -1, device=features.device)
    sparse, dense = module.prompt_encoder(
        input_points=None if points is None else points[:, None].float(),
        input_labels=None if labels is None else labels[:, None].int(),
        input_boxes=None if boxes is None else boxes[:, None].float(),
        input_masks=masks,
    )
    dtype = features.dtype
    logits, iou, *_ = module.mask_decoder(
        image_embeddings=features.expand(count, -1, -1, -1),
        image_positional_embeddings=module.get_image_wide_positional_embeddings().to(dtype).expand(count, -1, -1, -1),
        sparse_prompt_embeddings=sparse.to(dtype),
        dense_prompt_embeddings=dense.to(dtype),
        multimask_output=False,
        high_resolution_features=[one.expand(count, -1, -1, -1) for one in extra],
    )
    return logits[:, 0], iou[:, 0]


def return_all_tokens(module: Sam2Model) -> Sam2Model:
    """Make ``mask_decoder(..., multimask_output=False)`` return all four masks instead of choosing one.

    Its single answer is chosen among all of them in one last method (token 0, or the best of the others when token 0
    is unstable). That method is replaced on this module; with ``multimask_output=True`` nothing changes.
    """
    decoder = module.mask_decoder
    decoder.dynamic_multimask_via_stability = True
    decoder._dynamic_multimask_via_stability = lambda logits, iou: (logits, iou)
    return module
