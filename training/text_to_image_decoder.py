"""Gives a trained pipeline another decoder: that of an autoencoder with the same encoder and scale.

    python -m training.text_to_image_autoencoder --data FOLDER --teachers FOLDER --decoder-only \\
        --start runs/text_to_image/autoencoder/vae --out runs/text_to_image/decoder
    python -m training.text_to_image_decoder
"""

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline

from training.text_to_image_model import save_pipeline

PIPELINE = Path("runs/text_to_image/painter/pipeline")
VAE = Path("runs/text_to_image/decoder/vae")


def check_same_latents(old: AutoencoderTiny, new: AutoencoderTiny) -> None:
    """Whether both make the same latents; the old one may have been rounded to float16.

    Raises:
        ValueError: another encoder or another scale.
    """
    if abs(old.config.scaling_factor / new.config.scaling_factor - 1) > 1e-6:
        raise ValueError(f"scaling factors differ: {old.config.scaling_factor} and {new.config.scaling_factor}")
    weights, others = old.encoder.state_dict(), new.encoder.state_dict()
    if weights.keys() != others.keys() or any(not torch.equal(weights[key], others[key].half()) for key in weights):
        raise ValueError("the encoders differ: these latents are not the ones the painter learnt")


def replace_decoder(pipeline: Path, vae: Path, out: Path) -> int:
    """Write the pipeline with the autoencoder of ``vae`` to ``out``, perhaps the same folder; returns its bytes."""
    old = StableDiffusionPipeline.from_pretrained(pipeline, dtype=torch.float16, use_safetensors=True)
    new = AutoencoderTiny.from_pretrained(vae)
    check_same_latents(old.vae, new)
    parts = dict(old.components) | {"vae": new}
    return save_pipeline(StableDiffusionPipeline(**parts, requires_safety_checker=False), out)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipeline", type=Path, default=PIPELINE)
    parser.add_argument("--vae", type=Path, default=VAE, help="what the autoencoder's script wrote")
    parser.add_argument("--out", type=Path, default=PIPELINE)
    options = parser.parse_args(arguments)
    print(f"{replace_decoder(options.pipeline, options.vae, options.out)} bytes in {options.out}")


if __name__ == "__main__":
    main()
