"""The text-to-image model before it is trained, its noise schedule, and the pipeline folder it becomes.

Schedule: zero terminal SNR (arXiv 2305.08891, algorithm 1) with v-prediction (arXiv 2202.00512).
"""

import copy
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file
from torch import nn
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerBase

TIMESTEPS = 1000
LEAST_ALPHA_BAR = 2.0**-24  # samplers divide by its root: zero itself would be infinite noise levels
SHARD_SIZE = "9MB"


@dataclass(frozen=True)
class ShapeConfig:
    """Widths of text encoder and UNet. ``attention`` names the levels (0 is the finest) with cross-attention."""

    channels: tuple[int, ...] = (64, 128, 160)
    attention: tuple[int, ...] = (1,)
    layers_per_block: int = 1
    heads: int = 4
    text_width: int = 224
    text_layers: int = 3
    text_heads: int = 7


def trained_betas() -> list[float]:
    """The 1,000 betas of Stable Diffusion, rescaled so that alpha-bar ends at 2^-24 (arXiv 2305.08891, algorithm 1).

    The root of alpha-bar is shifted and stretched: its first value stays, its last becomes zero, here that of 2^-24.
    """
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, TIMESTEPS, dtype=torch.float64) ** 2
    root = (1 - betas).cumprod(dim=0).sqrt()
    first, last = root[0], root[-1]
    alpha_bar = ((root - last) * first / (first - last)).square().clamp_min(LEAST_ALPHA_BAR)
    alphas = torch.cat([alpha_bar[:1], alpha_bar[1:] / alpha_bar[:-1]])
    return (1 - alphas).tolist()


def create_scheduler() -> DDIMScheduler:
    """The pipeline's own scheduler; every other sampler is made from its configuration."""
    return DDIMScheduler(
        num_train_timesteps=TIMESTEPS,
        trained_betas=trained_betas(),
        prediction_type="v_prediction",
        timestep_spacing="trailing",  # the first step starts at the last timestep, from pure noise
        clip_sample=False,
        steps_offset=1,
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The bilingual tokenizer, 32 tokens long."""
    return AutoTokenizer.from_pretrained(folder)


def create_text_encoder(shape: ShapeConfig, tokenizer: PreTrainedTokenizerBase) -> CLIPTextModel:
    """A CLIP text encoder of the shape of the bilingual tower: causal, GELU."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=shape.text_width,
            intermediate_size=4 * shape.text_width,
            projection_dim=shape.text_width,
            num_hidden_layers=shape.text_layers,
            num_attention_heads=shape.text_heads,
            max_position_embeddings=tokenizer.model_max_length,
            hidden_act="gelu",
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )


def create_unet(shape: ShapeConfig, *, latent_channels: int, latent_px: int) -> UNet2DConditionModel:
    """A UNet with cross-attention at the named levels and in the middle."""
    down = [
        "CrossAttnDownBlock2D" if level in shape.attention else "DownBlock2D" for level in range(len(shape.channels))
    ]
    up = [name.replace("Down", "Up") for name in reversed(down)]
    return UNet2DConditionModel(
        sample_size=latent_px,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=shape.channels,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        layers_per_block=shape.layers_per_block,
        attention_head_dim=shape.heads,  # diffusers reads it as the number of heads
        cross_attention_dim=shape.text_width,
        norm_num_groups=min(32, shape.channels[0]),
    )


class Painter(nn.Module):
    """What is trained together: text encoder and UNet."""

    def __init__(self, text_encoder: CLIPTextModel, unet: UNet2DConditionModel):
        super().__init__()
        self.text_encoder, self.unet = text_encoder, unet

    def forward(self, noisy: torch.Tensor, timesteps: torch.Tensor, token_ids: torch.Tensor) -> torch.Tensor:
        """Predicted v: noisy (B, C, h, w), timesteps (B,), token_ids (B, 32) to (B, C, h, w)."""
        words = self.text_encoder(token_ids).last_hidden_state  # (B, 32, text_width)
        return self.unet(noisy, timesteps, encoder_hidden_states=words).sample


def tower_state(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Name the tensors of open_clip's text tower as transformers does; its final projection has no place here."""
    renamed = {
        "embeddings.token_embedding.weight": state["text.token_embedding.weight"],
        "embeddings.position_embedding.weight": state["text.positional_embedding"],
    }
    for end in ("weight", "bias"):
        renamed[f"final_layer_norm.{end}"] = state[f"text.ln_final.{end}"]
    blocks = {name.split(".")[3] for name in state if name.startswith("text.transformer.resblocks.")}
    parts = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj"}
    parts |= {"mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    for block in blocks:
        old, new = f"text.transformer.resblocks.{block}", f"encoder.layers.{block}"
        for end in ("weight", "bias"):
            for before, after in parts.items():
                renamed[f"{new}.{after}.{end}"] = state[f"{old}.{before}.{end}"]
            together = state[f"{old}.attn.in_proj_{end}"].chunk(3)
            for name, value in zip(("q_proj", "k_proj", "v_proj"), together, strict=True):
                renamed[f"{new}.self_attn.{name}.{end}"] = value
    return {name: value.float() for name, value in renamed.items()}


def start_from_tower(text_encoder: CLIPTextModel, folder: Path) -> None:
    """Give the text encoder the weights of a bundled CLIP's text tower (of the same shape)."""
    text_encoder.load_state_dict(tower_state(load_file(folder / "model.safetensors")))


def create_pipeline(
    painter: Painter, vae: AutoencoderTiny, tokenizer: PreTrainedTokenizerBase
) -> StableDiffusionPipeline:
    """The models as a diffusers pipeline, without copies."""
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=painter.text_encoder,
        tokenizer=tokenizer,
        unet=painter.unet,
        scheduler=create_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def save_pipeline(pipeline: StableDiffusionPipeline, folder: Path) -> int:
    """Write the folder in float16, in files of at most 9 MB, and return its size in bytes.

    The pipeline's own models are left as they are. A killed run leaves the old folder whole.
    """
    halves = {
        name: copy.deepcopy(part).to("cpu", torch.float16) if isinstance(part, nn.Module) else part
        for name, part in pipeline.components.items()
    }
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    StableDiffusionPipeline(**halves, requires_safety_checker=False).save_pretrained(partial, max_shard_size=SHARD_SIZE)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
