"""Where the parts of a pipeline compute, in which number format, and what makes them faster without another picture.

On a GPU: float16, channels-last, fused query-key-value projections, and blocks compiled in the background, all of
which change nothing but rounding. What is lossy (fewer steps, a tiny autoencoder, caching of features) is never
chosen here; tiled decoding, the one exception, is taken only when a picture could not be decoded otherwise.
"""

import copy
import importlib.util
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import DiffusionPipeline

from pipelines.runtime.device import Placement
from pipelines.runtime.errors import Note

# Numbers alive at the same time at the peak, measured on the models of Stable Diffusion 1.5 (random weights, batch 1,
# 128 to 256 px): decoding 768 for each pixel of the picture, the UNet 134 for each pixel and row of its batch.
DECODER_NUMBERS = 768
UNET_NUMBERS = 134
# Libraries' workspaces and fragments come on top of what is counted.
MARGIN = 1.5
MODELS = ("text_encoder", "text_encoder_2", "unet", "vae")


@dataclass(frozen=True)
class Plan:
    """What is done to a pipeline, and why.

    dtype: of UNet and text encoders; vae_dtype: of the autoencoder. offload: parts lie in main memory and come to the
    GPU one at a time. tiled: the autoencoder works in tiles. compiled: blocks are compiled in the background.
    """

    device: str
    dtype: torch.dtype
    vae_dtype: torch.dtype
    channels_last: bool = False
    fused: bool = False
    compiled: bool = False
    offload: bool = False
    tiled: bool = False
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Sizes:
    """Bytes of the parts' weights and of the work at the model's own picture size, guided, batch 1."""

    weights: int
    largest_part: int
    unet_work: int
    decoder_work: int


def choose_plan(placement: Placement, sizes: Sizes, *, force_upcast: bool, free_bytes: int) -> Plan:
    """Decide from the device and from what fits. Reads nothing of the machine: ``free_bytes`` is given.

    With weights and work in free memory, all parts stay on the GPU. Else they come one at a time; and where the
    largest part of the work, decoding, is too large even alone, the picture is decoded in tiles.

    Args:
        force_upcast: the autoencoder's own word for "overflows in float16" (SDXL): it computes in float32.
        free_bytes: on the device now.
    """
    if placement.device != "cuda":
        return Plan(placement.device, placement.torch_dtype, placement.torch_dtype)
    half = compute_dtype(placement)
    vae_dtype = torch.float32 if force_upcast else half
    whole = sizes.weights + MARGIN * max(sizes.unet_work, sizes.decoder_work)
    offload = whole > free_bytes
    tiled = offload and MARGIN * sizes.decoder_work + sizes.largest_part > free_bytes
    values = {"need_gib": f"{whole / 2**30:.1f}", "free_gib": f"{free_bytes / 2**30:.1f}"}
    notes = [Note("errors.note_offload", values)] if offload else []
    notes += [Note("errors.note_tiled", values)] if tiled else []
    notes += [Note("errors.note_vae_float32")] if force_upcast and half != vae_dtype else []
    return Plan(
        device=placement.device,
        dtype=half,
        vae_dtype=vae_dtype,
        channels_last=True,
        fused=True,
        compiled=not offload and importlib.util.find_spec("triton") is not None,
        offload=offload,
        tiled=tiled,
        notes=tuple(notes),
    )


def compute_dtype(placement: Placement) -> torch.dtype:
    """The number format of UNet and text encoders: float16 wherever the device's own choice is a half.

    The published models are float16 files; bfloat16 would keep three bits less of them, and overflow is repaired.
    """
    return torch.float16 if placement.dtype in ("float16", "bfloat16") else placement.torch_dtype


def measure_sizes(pipeline: DiffusionPipeline, *, dtype: torch.dtype, vae_dtype: torch.dtype) -> Sizes:
    """Count weights and estimate the work for a picture of the size that the model was made for."""
    counts = {
        name: sum(parameter.numel() for parameter in module.parameters())
        * _bytes(vae_dtype if name == "vae" else dtype)
        for name, module in models_of(pipeline).items()
    }
    side = pipeline.unet.config.sample_size
    pixels = ((side if isinstance(side, int) else max(side)) * pipeline.vae_scale_factor) ** 2
    return Sizes(
        weights=sum(counts.values()),
        largest_part=max(counts.values()),
        unet_work=2 * UNET_NUMBERS * pixels * _bytes(dtype),
        decoder_work=DECODER_NUMBERS * pixels * _bytes(vae_dtype),
    )


def plan_for(pipeline: DiffusionPipeline, placement: Placement) -> Plan:
    """``choose_plan`` for this pipeline and what is free on the device now."""
    force_upcast = bool(pipeline.vae.config.get("force_upcast", False)) and "XL" in type(pipeline).__name__
    if placement.device != "cuda":
        return choose_plan(placement, Sizes(0, 0, 0, 0), force_upcast=force_upcast, free_bytes=0)
    half = compute_dtype(placement)
    sizes = measure_sizes(pipeline, dtype=half, vae_dtype=torch.float32 if force_upcast else half)
    free_bytes, _ = torch.cuda.mem_get_info()
    return choose_plan(placement, sizes, force_upcast=force_upcast, free_bytes=free_bytes)


def apply_plan(pipeline: DiffusionPipeline, plan: Plan) -> None:
    """Convert and move the parts as planned; compiling is left to ``compile_in_background``."""
    for name, module in models_of(pipeline).items():
        module.eval().requires_grad_(False)
        dtype = plan.vae_dtype if name == "vae" else plan.dtype
        if module.dtype != dtype:
            module.to(dtype=dtype)
        if plan.channels_last and name in ("unet", "vae"):
            module.to(memory_format=torch.channels_last)
        if plan.fused and hasattr(module, "fuse_qkv_projections"):
            module.fuse_qkv_projections()
    if plan.tiled:
        pipeline.vae.enable_tiling()
    if plan.offload:
        pipeline.enable_model_cpu_offload(device=plan.device)
    else:
        for module in models_of(pipeline).values():
            module.to(plan.device)


def models_of(pipeline: DiffusionPipeline) -> dict[str, torch.nn.Module]:
    """The pipeline's models by name; parts that it has not are left out."""
    found = {name: getattr(pipeline, name, None) for name in MODELS}
    return {name: module for name, module in found.items() if module is not None}


def eager(module: torch.nn.Module) -> torch.nn.Module:
    """The module as it was before it was compiled; itself when it was not. Same weights, not a copy of them."""
    return getattr(module, "uncompiled", module)


def compiled_twin(module: torch.nn.Module, *, backend: str = "inductor") -> torch.nn.Module:
    """A second module on the same weights whose repeated blocks are compiled; the first one stays as it is.

    Compiling by block takes seconds where the whole UNet takes a minute, for nearly the same speed (diffusers,
    ``compile_repeated_blocks``). Sizes are left open, so that another picture size compiles nothing anew.
    """
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    twin = copy.deepcopy(module, memo=shared)
    twin.compile_repeated_blocks(fullgraph=True, dynamic=True, backend=backend)
    object.__setattr__(twin, "uncompiled", module)  # not as a submodule: its weights are the twin's own
    return twin


def compile_in_background(
    pipeline: DiffusionPipeline, warm_up: Callable[[torch.nn.Module], object], *, backend: str = "inductor"
) -> threading.Thread:
    """Compile a twin of the UNet in a thread of its own, and put it into the pipeline once it has run.

    Until then, and for ever when compiling fails (which is logged), pictures are drawn by the module that is there.
    A run takes ``pipeline.unet`` anew at each call, so that it may be exchanged in the middle: only rounding changes.

    Args:
        warm_up: calls the module that it is given with inputs of the usual shapes; compiling happens in this call.

    Returns:
        The thread, started; it ends when the twin is in place.
    """

    def work() -> None:
        try:
            twin = compiled_twin(pipeline.unet, backend=backend)
            with torch.inference_mode():
                warm_up(twin)
        except (RuntimeError, ValueError, OSError, ImportError):
            logging.getLogger(__name__).exception("the UNet was not compiled; it goes on uncompiled")
            return
        pipeline.unet = twin

    thread = threading.Thread(target=work, name="compile-unet", daemon=True)
    thread.start()
    return thread


def warm_up_inputs(pipeline: DiffusionPipeline, *, rows: int = 2) -> dict:
    """Keyword arguments for one call of the UNet in the shapes of a guided picture of the model's own size."""
    unet = pipeline.unet
    device, dtype = next(unet.parameters()).device, unet.dtype
    side = unet.config.sample_size
    height, width = (side, side) if isinstance(side, int) else side
    tokens, context = pipeline.tokenizer.model_max_length, unet.config.cross_attention_dim
    inputs = {
        "sample": torch.zeros(rows, unet.config.in_channels, height, width, device=device, dtype=dtype),
        "timestep": torch.tensor(500, device=device),
        "encoder_hidden_states": torch.zeros(rows, tokens, context, device=device, dtype=dtype),
    }
    if unet.config.addition_embed_type == "text_time":
        pooled = pipeline.text_encoder_2.config.projection_dim
        inputs["added_cond_kwargs"] = {
            "text_embeds": torch.zeros(rows, pooled, device=device, dtype=dtype),
            "time_ids": torch.zeros(rows, 6, device=device, dtype=dtype),
        }
    return inputs


def _bytes(dtype: torch.dtype) -> int:
    return torch.empty((), dtype=dtype).element_size()
