"""Pictures of latents, cheap enough for every step: a linear decoder, or a published tiny autoencoder.

The linear decoder gives each latent cell a patch of pixels as a linear function of the 3 x 3 cells around it. It is
fitted once, by least squares on the autoencoder's own decodes of made-up pictures, so that it suits any autoencoder.
A tiny autoencoder (TAESD) is a second, lossy decoder; for Stable Diffusion's sizes it shows more.
"""

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from accelerate.hooks import remove_hook_from_module
from diffusers import AutoencoderTiny, DiffusionPipeline
from torch import nn
from torch.nn import functional

from pipelines.runtime.device import Placement
from pipelines.text_to_image.autoencode import decode, device_of, encode_mean, to_uint8

FIT_PICTURES = 12
FIT_PX = 64
TINY = {"sd": "taesd", "sdxl": "taesdxl"}  # ids in the catalogue
LEAST_TINY_PX = 512  # trained sides of the published models whose latents the tiny autoencoders share
RIDGE = 1e-3  # of a unit-variance latent: keeps the fit calm where the made-up pictures leave a direction out


@dataclass(frozen=True, eq=False)
class Preview:
    """Latents to pictures.

    kind: "linear" or "tiny" (a second autoencoder). module: (B, C, h, w) scaled latents, as the UNet knows them, to
    (B, 3, s h, s w), s pixels a cell, about -1..1.
    """

    kind: str
    module: nn.Module

    def __call__(self, latents: torch.Tensor) -> np.ndarray:
        """(B, C, h, w) float, of the scale in which the UNet knows a finished picture, to (B, H, W, 3) uint8.

        x_t and the predicted x_0 go through it alike, whatever device they are on.
        """
        with torch.inference_mode():
            return to_uint8(self.module(latents))


def for_pipeline(pipeline: DiffusionPipeline) -> Preview:
    """The linear preview of a pipeline's own autoencoder, fitted now: 0.3 s for the bundled one."""
    vae, device = pipeline.vae, device_of(pipeline.vae)
    if vae.dtype != torch.float32:  # SDXL's overflows in half precision
        vae = remove_hook_from_module(copy.deepcopy(vae), recurse=True).to(device, torch.float32)
    latents = encode_mean(vae, made_up_pictures(FIT_PICTURES, FIT_PX))
    drawn = fit(latents.cpu(), decode(vae, latents).cpu())
    return replace(drawn, module=drawn.module.to(device))


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
    decoder = LinearDecoder(latents.shape[1], scale)
    decoder.patches.weight.copy_(solution[:, :-1].reshape(-1, latents.shape[1], 3, 3))
    decoder.patches.bias.copy_(solution[:, -1])
    return Preview("linear", decoder)


class LinearDecoder(nn.Module):
    """A patch of s x s pixels for each cell, as a linear function of the 3 x 3 cells around it."""

    def __init__(self, latent_channels: int, scale: int):
        super().__init__()
        self.patches = nn.Conv2d(latent_channels, 3 * scale**2, 3).requires_grad_(False)
        self.scale = scale

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w), on any device, to (B, 3, s h, s w) on its own."""
        patches = self.patches(_rim(latents.to(self.patches.weight.device, torch.float32)))
        return functional.pixel_shuffle(patches, self.scale)


class TinyDecoder(nn.Module):
    """The decoder of a tiny autoencoder that was trained to share another one's scaled latents."""

    def __init__(self, tiny: AutoencoderTiny):
        super().__init__()
        self.tiny = tiny.eval().requires_grad_(False)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to (B, 3, 8 h, 8 w) on the tiny autoencoder's device."""
        latents = latents.to(self.tiny.device, self.tiny.dtype)
        return self.tiny.decode(latents / self.tiny.config.scaling_factor, return_dict=False)[0]


def load(entry, placement: Placement) -> Preview:
    """Load a tiny autoencoder of the catalogue (madebyollin/taesd, taesdxl); the runtime calls this under its lock.

    entry: ``folder`` is a diffusers folder of an AutoencoderTiny on this machine.
    """
    tiny = AutoencoderTiny.from_pretrained(
        entry.folder, dtype=placement.torch_dtype, use_safetensors=True, local_files_only=True
    )
    return Preview("tiny", TinyDecoder(tiny.to(placement.device)))


def with_tiny(model, runtime):
    """The model with the tiny autoencoder of its family as preview, where its files are on this machine.

    Else the model as it is, with its linear preview: ``model.preview.kind`` tells the page. Never downloads.
    A bundled model keeps the linear one: its latents are its own.
    """
    if model.default_px < LEAST_TINY_PX:
        return model
    tiny_id = TINY[model.family]
    listed = next((entry for entry in runtime.catalogue.entries if entry.id == tiny_id), None)
    if listed is None or runtime.availability(listed).state != "ready":
        return model
    return replace(model, preview=runtime.load(tiny_id))


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
