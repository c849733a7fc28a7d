"""Pictures of latents, cheap enough for every step: a linear decoder, or a published tiny autoencoder.

The linear decoder gives each latent cell a patch of pixels as a linear function of the 3 x 3 cells around it. It is
fitted once, by least squares on the autoencoder's own decodes of made-up pictures, so that it suits any autoencoder.
A tiny autoencoder (TAESD) is a second, lossy decoder; for Stable Diffusion's sizes it shows more.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny, DiffusionPipeline
from torch.nn import functional

FIT_PICTURES = 24
FIT_PX = 96
RIDGE = 1e-3  # of a unit-variance latent: keeps the fit calm where the made-up pictures leave a direction out


@dataclass(frozen=True, eq=False)
class Preview:
    """Latents to pictures.

    kind: "linear" or "tiny" (a second autoencoder). decode: (B, C, h, w) scaled latents, as the UNet knows them, to
    (B, 3, s h, s w), s pixels a cell, on the latents' device, about -1..1.
    """

    kind: str
    decode: Callable[[torch.Tensor], torch.Tensor]

    def __call__(self, latents: torch.Tensor) -> np.ndarray:
        """(B, C, h, w) float, of the scale in which the UNet knows a finished picture, to (B, H, W, 3) uint8.

        x_t and the predicted x_0 go through it alike, whatever device they are on.
        """
        with torch.inference_mode():
            return to_uint8(self.decode(latents))


def to_uint8(decoded: torch.Tensor) -> np.ndarray:
    """(B, 3, H, W) about -1..1 to (B, H, W, 3) uint8, as diffusers' image processor rounds; NaN becomes black."""
    unit = (decoded.float() / 2 + 0.5).nan_to_num(0.0).clamp(0, 1)
    return (unit * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def for_pipeline(pipeline: DiffusionPipeline) -> Preview:
    """The linear preview of a pipeline's own autoencoder, fitted now: 0.2 s for the bundled one."""
    vae = pipeline.vae
    pixels = made_up_pictures(FIT_PICTURES, FIT_PX)
    latents, decoded = [], []
    with torch.inference_mode():
        for batch in pixels.split(8):
            latents.append(encode_pixels(vae, batch).float().cpu())
            decoded.append(vae.decode(unscale(vae, latents[-1].to(vae.device, vae.dtype)), return_dict=False)[0])
    return fit(torch.cat(latents), torch.cat([batch.float().cpu() for batch in decoded]))


def fit(latents: torch.Tensor, pictures: torch.Tensor) -> Preview:
    """The linear decoder that is nearest to a decoder, in least squares over some of its pictures.

    latents: (N, C, h, w). pictures: (N, 3, s h, s w), -1..1, what the autoencoder decodes from them.
    """
    scale = pictures.shape[-1] // latents.shape[-1]
    rows = functional.unfold(_rim(latents), 3)  # (N, 9 C, cells)
    rows = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1).transpose(1, 2).flatten(0, 1).double()
    targets = functional.pixel_unshuffle(pictures, scale).flatten(2).transpose(1, 2).flatten(0, 1).double()
    gram = rows.T @ rows + RIDGE * len(rows) * torch.eye(rows.shape[1], dtype=torch.float64)
    solution = torch.linalg.solve(gram, rows.T @ targets).T.float()  # (3 s s, 9 C + 1)
    kernel = solution[:, :-1].reshape(-1, latents.shape[1], 3, 3).contiguous()
    bias = solution[:, -1].contiguous()

    def decode(values: torch.Tensor) -> torch.Tensor:
        values = _rim(values.float())
        patches = functional.conv2d(values, kernel.to(values.device), bias.to(values.device))
        return functional.pixel_shuffle(patches, scale)

    return Preview("linear", decode)


def load_tiny(folder: Path, *, device: str, dtype: torch.dtype) -> Preview:
    """The tiny autoencoder of a diffusers folder on this machine (madebyollin/taesd, taesdxl) as preview.

    Raises:
        OSError: no such autoencoder there.
    """
    tiny = AutoencoderTiny.from_pretrained(folder, dtype=dtype, use_safetensors=True, local_files_only=True)
    return tiny_preview(tiny.to(device).eval().requires_grad_(False))


def tiny_preview(tiny: AutoencoderTiny) -> Preview:
    """A tiny autoencoder as preview; it takes the big one's scaled latents and does not scale them itself."""

    def decode(values: torch.Tensor) -> torch.Tensor:
        return tiny.decode(unscale(tiny, values.to(tiny.device, tiny.dtype)), return_dict=False)[0]

    return Preview("tiny", decode)


def with_preview(model, preview: Preview):
    """The model with another preview; weights are shared."""
    return replace(model, preview=preview)


def encode_pixels(vae, pixels: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W), -1..1, to scaled latents (B, C, h, w), the mean of an autoencoder that draws them at random."""
    output = vae.encode(pixels.to(vae.device, vae.dtype))
    latents = output.latents if hasattr(output, "latents") else output.latent_dist.mode()
    return latents * vae.config.scaling_factor


def unscale(vae, latents: torch.Tensor) -> torch.Tensor:
    """Scaled latents to those that the autoencoder's decoder takes."""
    return latents / vae.config.scaling_factor


def made_up_pictures(count: int, side_px: int) -> torch.Tensor:
    """(count, 3, side, side), -1..1: even ones soft clouds of colour, odd ones flat shapes on white; always the same.

    They need not look like anything: a patch of a picture is a colour, a slope or an edge.
    """
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(*[torch.linspace(0, 1, side_px)] * 2, indexing="ij")
    pictures = []
    for number in range(count):
        if number % 2 == 0:
            cells = 3 + number % 6
            cloud = torch.rand(1, 3, cells, cells, generator=generator)
            smooth = functional.interpolate(cloud, (side_px, side_px), mode="bicubic", align_corners=False)
            pictures.append(smooth[0] * 2.4 - 1.2)
            continue
        picture = torch.ones(3, side_px, side_px)
        for _ in range(10):
            y, x, height, width = torch.rand(4, generator=generator) * torch.tensor([1, 1, 0.4, 0.4])
            away = ((rows - y) / (height + 0.03)) ** 2 + ((columns - x) / (width + 0.03)) ** 2
            colour = torch.rand(3, 1, 1, generator=generator).round(decimals=1) * 2 - 1
            picture = torch.where(away < 1, colour, picture)
        pictures.append(picture)
    return torch.stack(pictures).clamp(-1, 1)


def _rim(latents: torch.Tensor) -> torch.Tensor:
    """One more cell on each side, equal to its neighbour."""
    return functional.pad(latents, (1, 1, 1, 1), mode="replicate")
