"""In and out of the latent space: what the autoencoder alone keeps of a picture, before any diffusion.

Stable Diffusion works on latents, 8 x 8 pixels a cell (arXiv 2112.10752, section 3.1): whatever is lost here is lost
for every picture.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from pipelines.runtime.errors import UserError
from pipelines.text_to_image.repair import Doctor

LATENT_BYTES = 2  # a number in float16
LEAST_CELLS = 2


@dataclass(frozen=True, eq=False)
class LatentPassage:
    """A picture, its latents, and the picture that comes back.

    original, decoded: (H, W, 3) uint8. latents: (C, h, w) float32, scaled as the UNet knows them. channels:
    (C, h, w) uint8, each latent channel as a grey picture, 0 at 128, the same scale for all; channel_scale: the
    latent value shown white. psnr_db: of ``decoded`` against ``original``, 10 log10(255^2 / mean squared difference),
    infinite where they are equal. bytes_picture: 3 a pixel. bytes_latents: 2 a number. ms: "encode", "decode".
    """

    original: np.ndarray
    latents: np.ndarray
    channels: np.ndarray
    channel_scale: float
    decoded: np.ndarray
    psnr_db: float
    bytes_picture: int
    bytes_latents: int
    ms: dict[str, float]

    @property
    def difference(self) -> np.ndarray:
        """(H, W) uint8: the mean absolute difference over the colours."""
        wide = np.abs(self.decoded.astype(np.int16) - self.original.astype(np.int16))
        return wide.mean(axis=2).round().astype(np.uint8)


def in_and_out(model, pixels: np.ndarray, *, side_px: int | None = None) -> LatentPassage:
    """Encode a picture and decode it again.

    Args:
        model: TextToImageModel.
        pixels: (H, W, 3) uint8, any size; it is made smaller and its margin cropped to whole latent cells.
        side_px: the longer side that it gets at most; the model's own size if None.

    Returns:
        LatentPassage. An autoencoder with a distribution gives its mean.

    Raises:
        UserError: ``errors.latents_too_narrow`` when the short side would be less than two cells;
            ``errors.part_not_finite`` when float32 overflows.
    """
    original = fit_to_cells(pixels, longest_px=min(side_px or model.default_px, model.max_px), cell_px=model.scale)
    doctor, unit = Doctor(model), to_unit(original)
    started = time.perf_counter()
    latents = doctor.run("vae", lambda model: encode_mean(model.pipeline.vae, unit))
    encoded = time.perf_counter()
    decoded = to_uint8(doctor.run("vae", lambda model: decode(model.pipeline.vae, latents)))[0]
    done = time.perf_counter()
    shown = latents[0].float().cpu().numpy()
    channel_scale = float(np.abs(shown).max()) or 1.0
    return LatentPassage(
        original=original,
        latents=shown,
        channels=(128 + 127 * shown / channel_scale).round().astype(np.uint8),
        channel_scale=channel_scale,
        decoded=decoded,
        psnr_db=psnr_db(original, decoded),
        bytes_picture=original.size,
        bytes_latents=shown.size * LATENT_BYTES,
        ms={"encode": (encoded - started) * 1000, "decode": (done - encoded) * 1000},
    )


def fit_to_cells(pixels: np.ndarray, *, longest_px: int, cell_px: int) -> np.ndarray:
    """Shrink so that the longer side is at most ``longest_px``, and crop the margin to whole cells.

    A picture that is smaller keeps its pixels.

    Raises:
        UserError: ``errors.latents_too_narrow``.
    """
    height, width = pixels.shape[:2]
    shrink = min(1.0, longest_px / max(width, height))
    cells_wide, cells_high = (int(round(side * shrink, 6) // cell_px) for side in (width, height))
    if min(cells_wide, cells_high) < LEAST_CELLS:
        least = LEAST_CELLS * cell_px
        raise UserError("errors.latents_too_narrow", width=width, height=height, longest=longest_px, least=least)
    return fit(pixels, width=cells_wide * cell_px, height=cells_high * cell_px, scale=1 / shrink)


def psnr_db(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 pictures of one shape, in dB; infinite where they are equal."""
    error = np.square(one.astype(np.float64) - other.astype(np.float64)).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def fit(pixels: np.ndarray, *, width: int, height: int, scale: float | None = None) -> np.ndarray:
    """Crop the middle and resize: (H, W) or (H, W, 3) uint8 to (height, width[, 3]) uint8.

    A picture already of that size comes back unchanged. A mask (H, W) is averaged, so that thin strokes stay above 0.
    scale: pixels of the picture for one of the result; None crops as little as the wanted shape allows.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    found_height, found_width = pixels.shape[:2]
    scale = scale or min(found_width / width, found_height / height)
    left, top = (found_width - width * scale) / 2, (found_height - height * scale) / 2
    box = (
        max(left, 0.0),
        max(top, 0.0),
        min(left + width * scale, found_width),
        min(top + height * scale, found_height),
    )
    kind = Image.Resampling.LANCZOS if pixels.ndim == 3 else Image.Resampling.BOX
    return np.asarray(Image.fromarray(pixels).resize((width, height), kind, box=box))


def to_unit(pixels: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 to (1, 3, H, W) float32, -1..1."""
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255 * 2 - 1


def to_uint8(decoded: torch.Tensor) -> np.ndarray:
    """(B, 3, H, W) about -1..1 to (B, H, W, 3) uint8, as diffusers' image processor rounds; NaN becomes grey."""
    unit = (decoded.float().nan_to_num(0.0) / 2 + 0.5).clamp(0, 1)
    return (unit * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


@torch.inference_mode()
def encode(vae, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """(B, 3, H, W), -1..1, to mean and standard deviation (B, C, h, w) of the latents, not scaled.

    An autoencoder without a distribution (AutoencoderTiny) gives None for the latter.
    """
    output = vae.encode(pixels.to(device_of(vae), vae.dtype))
    if hasattr(output, "latents"):
        return output.latents, None
    return output.latent_dist.mean, output.latent_dist.std


def encode_mean(vae, pixels: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W), -1..1, to scaled latents (B, C, h, w) on the autoencoder's device, without a draw."""
    return encode(vae, pixels)[0] * vae.config.scaling_factor


@torch.inference_mode()
def decode(vae, latents: torch.Tensor) -> torch.Tensor:
    """Scaled latents (B, C, h, w) to (B, 3, H, W), about -1..1, on the autoencoder's device."""
    latents = latents.to(device_of(vae), vae.dtype)
    return vae.decode(latents / vae.config.scaling_factor, return_dict=False)[0]


def device_of(vae) -> torch.device:
    """Where an autoencoder computes: an offloaded one lies in main memory and comes to the GPU when it is called."""
    return torch.device(getattr(getattr(vae, "_hf_hook", None), "execution_device", None) or vae.device)
