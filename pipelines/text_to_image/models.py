"""Stable Diffusion and its kin through diffusers: one way to hold them, whatever their size (arXiv 2112.10752).

The pipeline object is diffusers' own. It is never called for sampling (sample.py does that, step by step); it holds
tokenizers, text encoders, UNet, autoencoder and the noise schedule. Nothing here opens a network connection.
"""

from dataclasses import dataclass

import torch
from diffusers import DiffusionPipeline

from pipelines.runtime.device import Placement
from pipelines.text_to_image.folders import load_pipeline
from pipelines.text_to_image.preview import Preview, for_pipeline
from pipelines.text_to_image.speed import (
    Plan,
    apply_plan,
    compile_in_background,
    compute_dtype,
    plan_for,
    warm_up_inputs,
)

# Models distilled to a few steps say so in their names only: their configuration is that of the ordinary ones.
FEW_STEP_NAMES = ("turbo", "lightning", "lcm", "hyper")
MOST_PX = 2048


@dataclass(frozen=True, eq=False)
class TextToImageModel:
    """A loaded pipeline with all that sampling needs to know about it.

    family: "sd" (one text encoder) or "sdxl" (two, with pooled text and sizes as further conditions). scale: pixels
    of the picture a latent cell. default_px: the side it was trained for; max_px: the longest side allowed.
    few_step: distilled to 1 to 4 steps without guidance. prediction: what the UNet predicts, "epsilon",
    "v_prediction" or "sample", from the scheduler's configuration. dtype: of UNet and text encoders; the
    autoencoder may have another one. plan: where the parts compute and why.
    """

    id: str
    family: str
    pipeline: DiffusionPipeline
    device: str
    dtype: torch.dtype
    latent_channels: int
    scale: int
    default_px: int
    max_px: int
    default_steps: int
    default_guidance: float
    few_step: bool
    prediction: str
    preview: Preview
    plan: Plan


def load(entry, placement: Placement) -> TextToImageModel:
    """Load a model of the catalogue. The runtime calls this under its lock, once a model.

    Args:
        entry: catalogue entry of this topic: a diffusers folder or a single file on this machine.
        placement: device and dtype.

    Raises:
        UserError: as ``folders.load_pipeline``.
    """
    pipeline = load_pipeline(entry, dtype=compute_dtype(placement))
    few_step = any(name in entry.id.lower() for name in FEW_STEP_NAMES)
    model = wrap(entry.id, pipeline, placement, few_step=few_step)
    if model.plan.compiled:
        inputs = warm_up_inputs(pipeline)
        compile_in_background(pipeline, lambda unet: unet(**inputs))
    return model


def wrap(
    model_id: str, pipeline: DiffusionPipeline, placement: Placement, *, few_step: bool = False
) -> TextToImageModel:
    """Move any diffusers pipeline object of the two families to its device and note what sampling needs."""
    pipeline.set_progress_bar_config(disable=True)
    plan = plan_for(pipeline, placement)
    apply_plan(pipeline, plan)
    family = "sdxl" if getattr(pipeline, "text_encoder_2", None) is not None else "sd"
    sample_size = pipeline.unet.config.sample_size
    latent_px = sample_size if isinstance(sample_size, int) else max(sample_size)
    default_px = latent_px * pipeline.vae_scale_factor
    steps, guidance = _defaults(family, default_px=default_px, few_step=few_step)
    return TextToImageModel(
        id=model_id,
        family=family,
        pipeline=pipeline,
        device=placement.device,
        dtype=plan.dtype,
        latent_channels=pipeline.vae.config.latent_channels,
        scale=pipeline.vae_scale_factor,
        default_px=default_px,
        max_px=min(2 * default_px, MOST_PX),
        default_steps=steps,
        default_guidance=guidance,
        few_step=few_step,
        prediction=pipeline.scheduler.config.prediction_type,
        preview=for_pipeline(pipeline),
        plan=plan,
    )


def _defaults(family: str, *, default_px: int, few_step: bool) -> tuple[int, float]:
    """(steps, guidance scale) to start with."""
    if few_step:
        return 4, 0.0
    if default_px <= 256:
        return 20, 4.0
    return (25, 7.5) if family == "sd" else (30, 5.0)
