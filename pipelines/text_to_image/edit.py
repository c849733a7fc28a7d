"""Starting from a picture: image to image (SDEdit, arXiv 2108.01073) and inpainting (RePaint's idea, arXiv 2201.09865).

Timesteps, noise and the order in which random numbers are drawn are those of diffusers' img2img and inpaint pipelines.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor
from torch.nn import functional

from pipelines.runtime.errors import UserError
from pipelines.text_to_image import autoencode
from pipelines.text_to_image.repair import Doctor

KINDS = ("image", "inpaint")


@dataclass(frozen=True, eq=False)
class Edit:
    """A picture to start from.

    kind: "image" or "inpaint". pixels: (H, W, 3) uint8, of the size to be drawn. mask: (H, W) bool, True is painted
    anew; None for "image".
    """

    kind: str
    pixels: np.ndarray
    mask: np.ndarray | None = None

    def start(self, model, settings, *, scheduler, generators: list[torch.Generator]) -> "EditStart":
        """Noise the picture up to where ``settings.strength`` says, and set the scheduler there.

        Of N steps the last int(N strength) are run. Inpainting at strength 1 starts from pure noise.

        Args:
            model: TextToImageModel.
            settings: checked Settings; width and height are those of ``pixels``.
            scheduler: from ``samplers.create``; its begin index is set.
            generators: one a picture; each gives the autoencoder's draw (where it draws), then the noise.

        Raises:
            UserError: ``errors.edit_no_steps`` when the strength leaves no step to run.
            ValueError: the picture is of another size than the settings say.
        """
        if self.pixels.shape != (settings.height, settings.width, 3):
            raise ValueError(f"expected a picture of {settings.height} x {settings.width}, got {self.pixels.shape}")
        begin = first_call(scheduler, settings.steps, strength=settings.strength)
        if hasattr(scheduler, "set_begin_index"):  # DDIM, DDPM find their place by the timestep
            scheduler.set_begin_index(begin)
        original = encode_picture(model, self.pixels, generators=generators)
        noise = randn_tensor(original.shape, generator=generators, device=original.device, dtype=original.dtype)
        if self.kind == "inpaint" and settings.strength == 1:
            latents = noise * scheduler.init_noise_sigma
        else:
            timesteps = scheduler.timesteps[begin : begin + 1].repeat(len(generators))
            latents = scheduler.add_noise(original, noise, timesteps)
        mask = None if self.mask is None else latent_mask(self.mask, model.scale).to(original.device, original.dtype)
        return EditStart(begin, latents, original, noise, mask, self)


@dataclass(frozen=True, eq=False)
class EditStart:
    """What editing gives to the loop; all tensors on the model's device.

    begin: index of the first call of the UNet. latents: (B, C, h, w) at its noise level, as the scheduler holds them.
    original, noise: (B, C, h, w), the picture's latents and the noise that is put on them each time. mask:
    (1, 1, h, w), 1 where latents are painted anew; None where all are.
    """

    begin: int
    latents: torch.Tensor
    original: torch.Tensor
    noise: torch.Tensor
    mask: torch.Tensor | None
    edit: Edit

    def put_back(self, latents: torch.Tensor, *, scheduler, index: int) -> torch.Tensor:
        """The latents after call ``index`` with those outside the mask put back, noised to the next call's level.

        The noise is the same at every step, so that what is kept moves on one line from noise to picture.
        """
        if self.mask is None:
            return latents
        kept = self.original
        if index + 1 < len(scheduler.timesteps):
            kept = scheduler.add_noise(kept, self.noise, scheduler.timesteps[index + 1 : index + 2])
        return (1 - self.mask) * kept + self.mask * latents

    def lay_back(self, pictures: np.ndarray) -> np.ndarray:
        """(B, H, W, 3) uint8 with the original's pixels outside the mask: the autoencoder alone would change them."""
        if self.edit.mask is None:
            return pictures
        return np.where(self.edit.mask[None, :, :, None], pictures, self.edit.pixels[None])

    def expand(self, picture: int, count: int) -> "EditStart":
        """The same for ``count`` copies of one picture of the batch."""
        rows = {
            name: getattr(self, name)[picture : picture + 1].repeat(count, 1, 1, 1)
            for name in ("latents", "original", "noise")
        }
        return replace(self, **rows)


def create(kind: str, pixels: np.ndarray, *, width: int, height: int, mask: np.ndarray | None = None) -> Edit:
    """Fit a picture, and the mask that lies on it, to the size to be drawn.

    Args:
        kind: "image" or "inpaint".
        pixels: (H, W, 3) uint8, any size.
        width, height: pixels, multiples of 8.
        mask: (H, W), True or above 0 where it is painted anew; for "inpaint" only.

    Raises:
        UserError: ``errors.edit_kind``; ``errors.edit_mask_size`` (the mask is not of the picture's size);
            ``errors.edit_mask_empty`` (nothing is marked).
    """
    if kind not in KINDS:
        raise UserError("errors.edit_kind", kind=str(kind)[:40], choices=", ".join(KINDS))
    fitted = autoencode.fit(pixels, width=width, height=height)
    if kind == "image":
        return Edit(kind, fitted)
    if mask is None or not np.any(mask):
        raise UserError("errors.edit_mask_empty")
    if mask.shape != pixels.shape[:2]:
        raise UserError("errors.edit_mask_size", mask=_size(mask), picture=_size(pixels))
    fitted_mask = autoencode.fit((mask > 0).astype(np.uint8) * 255, width=width, height=height) > 0
    if not fitted_mask.any():
        raise UserError("errors.edit_mask_empty")  # all of it lay on the margin that was cropped
    return Edit(kind, fitted, fitted_mask)


def first_call(scheduler, steps: int, *, strength: float) -> int:
    """Index of the first call of the UNet: after N - int(N strength) steps, of ``scheduler.order`` calls each.

    Raises:
        UserError: ``errors.edit_no_steps``.
    """
    run = min(int(steps * strength), steps)
    if run < 1:
        raise UserError(
            "errors.edit_no_steps", steps=steps, strength=f"{strength:g}", least=f"{math.ceil(1000 / steps) / 1000:g}"
        )
    return (steps - run) * scheduler.order


def latent_mask(mask: np.ndarray, scale: int) -> torch.Tensor:
    """(H, W) bool to (1, 1, h, w) float32: a latent is painted anew when any of its pixels is."""
    return functional.max_pool2d(torch.from_numpy(mask)[None, None].float(), scale)


@torch.inference_mode()
def encode_picture(model, pixels: np.ndarray, *, generators: list[torch.Generator]) -> torch.Tensor:
    """(H, W, 3) uint8 to scaled latents (B, C, h, w) on the model's device, one draw for each generator.

    An autoencoder without a distribution (AutoencoderTiny) gives B equal rows. Raises UserError
    ``errors.part_not_finite`` when float32 overflows.
    """
    doctor, unit = Doctor(model), autoencode.to_unit(pixels)
    mean, deviation = doctor.run("vae", lambda model: autoencode.encode(model.pipeline.vae, unit))
    rows = [mean] * len(generators)
    if deviation is not None:
        draws = [randn_tensor(mean.shape, generator, mean.device, mean.dtype) for generator in generators]
        rows = [mean + deviation * draw for draw in draws]
    return (torch.cat(rows) * model.pipeline.vae.config.scaling_factor).to(model.device, model.dtype)


def _size(array: np.ndarray) -> str:
    return " × ".join(map(str, array.shape[1::-1]))
