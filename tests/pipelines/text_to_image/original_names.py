"""Small Stable Diffusion models written in the tensor names of the original code (CompVis, Stability AI).

The inverse of what diffusers reads, put down from the original classes: ``openaimodel.UNetModel`` counts its blocks in
one row, the autoencoder numbers its upper levels from the finest, and open_clip keeps query, key and value together.
"""

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipelines.text_to_image.single_file import CONFIGS

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
UNET_ENDS = {
    "conv_in.": "input_blocks.0.0.",
    "conv_norm_out.": "out.0.",
    "conv_out.": "out.2.",
    "time_embedding.linear_1.": "time_embed.0.",
    "time_embedding.linear_2.": "time_embed.2.",
    "add_embedding.linear_1.": "label_emb.0.0.",
    "add_embedding.linear_2.": "label_emb.0.2.",
}
OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def small_config(family: str, folder: Path) -> Path:
    """The shipped config folder of a family with few and narrow layers; returns the folder that holds it."""
    small = {
        "unet": {"block_out_channels": [32, 64], "layers_per_block": 1, "sample_size": 32},
        "vae": {"block_out_channels": [32, 32], "layers_per_block": 1, "sample_size": 16},
        "text_encoder": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
    }
    small["vae"] |= {"down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2}
    small["unet"]["cross_attention_dim"] = 32 if family != "sdxl" else 32 + 48
    if family == "sdxl":
        small["unet"] |= {
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
            "attention_head_dim": [2, 4],
            "transformer_layers_per_block": [1, 2],
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 48 + 6 * 8,
        }
        small["text_encoder_2"] = small["text_encoder"] | {"hidden_size": 48, "projection_dim": 48}
    else:
        small["unet"] |= {
            "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
            "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
            "attention_head_dim": 2,
        }
    for source in (CONFIGS / family).rglob("*.json"):
        target = folder / family / source.relative_to(CONFIGS / family)
        target.parent.mkdir(parents=True, exist_ok=True)
        config = json.loads(source.read_text()) | small.get(target.parent.name, {})
        target.write_text(json.dumps(config))
    return folder


def random_parts(family: str, configs: Path, *, seed: int = 1) -> dict[str, torch.nn.Module]:
    """The family's models from their configs, with random weights."""
    torch.manual_seed(seed)
    home = configs / family
    parts = {
        "unet": UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(home / "unet")),
        "vae": AutoencoderKL.from_config(AutoencoderKL.load_config(home / "vae")),
        "text_encoder": CLIPTextModel(CLIPTextConfig.from_pretrained(home / "text_encoder")),
    }
    if family == "sdxl":
        parts["text_encoder_2"] = CLIPTextModelWithProjection(CLIPTextConfig.from_pretrained(home / "text_encoder_2"))
    return {name: part.eval().requires_grad_(False) for name, part in parts.items()}


def write(family: str, parts: dict[str, torch.nn.Module], path: Path, **changes: torch.Tensor | None) -> None:
    """Save the parts as one file; ``changes`` sets tensors by their original names, or leaves them out (None)."""
    state = {f"model.diffusion_model.{key}": value for key, value in unet_state(parts["unet"]).items()}
    state |= {f"first_stage_model.{key}": value for key, value in vae_state(parts["vae"]).items()}
    text = {key.removeprefix("text_model."): value for key, value in parts["text_encoder"].state_dict().items()}
    if family == "sd1":
        state |= {f"cond_stage_model.transformer.text_model.{key}": value for key, value in text.items()}
    elif family == "sd2":
        state |= {f"cond_stage_model.model.{key}": value for key, value in open_clip_state(text).items()}
    else:
        state |= {f"conditioner.embedders.0.transformer.text_model.{key}": value for key, value in text.items()}
        text = {key.removeprefix("text_model."): v for key, v in parts["text_encoder_2"].state_dict().items()}
        state |= {f"conditioner.embedders.1.model.{key}": value for key, value in open_clip_state(text).items()}
    state |= changes
    save_file({key: value.clone().contiguous() for key, value in state.items() if value is not None}, path)


def unet_state(unet: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    """A UNet's tensors under the names of ``UNetModel``."""
    layers, levels = unet.config.layers_per_block, len(unet.config.block_out_channels)
    places = {"mid_block.resnets.0.": "middle_block.0.", "mid_block.attentions.0.": "middle_block.1."}
    places |= {"mid_block.resnets.1.": "middle_block.2."} | UNET_ENDS
    for level in range(levels):
        for layer in range(layers):
            number = (layers + 1) * level + layer + 1
            places[f"down_blocks.{level}.resnets.{layer}."] = f"input_blocks.{number}.0."
            places[f"down_blocks.{level}.attentions.{layer}."] = f"input_blocks.{number}.1."
        places[f"down_blocks.{level}.downsamplers.0.conv."] = f"input_blocks.{(layers + 1) * (level + 1)}.0.op."
        for layer in range(layers + 1):
            number = (layers + 1) * level + layer
            places[f"up_blocks.{level}.resnets.{layer}."] = f"output_blocks.{number}.0."
            places[f"up_blocks.{level}.attentions.{layer}."] = f"output_blocks.{number}.1."
        behind = 2 if unet.config.up_block_types[level].startswith("Cross") else 1
        last = (layers + 1) * level + layers
        places[f"up_blocks.{level}.upsamplers.0.conv."] = f"output_blocks.{last}.{behind}.conv."
    return {_placed(key, places): value for key, value in unet.state_dict().items()}


def vae_state(vae: AutoencoderKL) -> dict[str, torch.Tensor]:
    """An autoencoder's tensors under the names of ``AutoencoderKL`` of the original code."""
    last = len(vae.config.block_out_channels) - 1
    state = {}
    for key, value in vae.state_dict().items():
        side, _, rest = key.partition(".")
        if rest.startswith("mid_block.attentions.0."):
            end = rest.removeprefix("mid_block.attentions.0.")
            for new, old in {
                "group_norm": "norm",
                "to_q": "q",
                "to_k": "k",
                "to_v": "v",
                "to_out.0": "proj_out",
            }.items():
                end = end.replace(f"{new}.", f"{old}.")
            rest = f"mid.attn_1.{end}"
            value = value[:, :, None, None] if value.ndim == 2 else value
        elif rest.startswith("mid_block.resnets."):
            rest = f"mid.block_{int(rest[18]) + 1}.{rest[20:]}"
        elif rest.startswith(("down_blocks.", "up_blocks.")):
            blocks, level, kind, layer, *end = rest.split(".")
            level = int(level) if blocks == "down_blocks" else last - int(level)
            place = f"block.{layer}" if kind == "resnets" else f"{blocks.split('_')[0]}sample"
            rest = ".".join((blocks.split("_")[0], str(level), place, *end))
        rest = rest.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
        state[f"{side}.{rest}" if side in ("encoder", "decoder") else key] = value
    return state


def open_clip_state(text: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A CLIP text encoder's tensors under open_clip's names, query, key and value in one."""
    state = {
        "token_embedding.weight": text["embeddings.token_embedding.weight"],
        "positional_embedding": text["embeddings.position_embedding.weight"],
        "ln_final.weight": text["final_layer_norm.weight"],
        "ln_final.bias": text["final_layer_norm.bias"],
    }
    if "text_projection.weight" in text:
        state["text_projection"] = text["text_projection.weight"].T
    for key, value in text.items():
        if key.startswith("encoder.layers."):
            layer, _, end = key.removeprefix("encoder.layers.").partition(".")
            home = f"transformer.resblocks.{layer}"
            if "q_proj" in end:
                parts = [text[key.replace("q_proj", name)] for name in ("q_proj", "k_proj", "v_proj")]
                state[f"{home}.attn.in_proj_{key.rsplit('.', 1)[1]}"] = torch.cat(parts)
            elif "k_proj" not in end and "v_proj" not in end:
                for new, old in OPEN_CLIP.items():
                    end = end.replace(new, old)
                state[f"{home}.{end}"] = value
    return state


def _placed(key: str, places: dict[str, str]) -> str:
    start = next(start for start in places if key.startswith(start))
    end = key.removeprefix(start)
    if ".resnets." in start:
        for new, old in RESNET.items():
            end = end.replace(new, old)
    return places[start] + end
