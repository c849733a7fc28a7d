"""What a run keeps of itself: every call of the UNet with its inputs, outputs and the sampler's memory."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch

from pipelines.runtime.errors import Note
from pipelines.text_to_image.guidance import guide, to_eps
from pipelines.text_to_image.prompt import Conditioning
from pipelines.text_to_image.samplers import SamplerState
from pipelines.text_to_image.settings import Settings

ROUNDING = 1e-9  # of a squared norm: float32 computes x0-hat here and in the scheduler in two orders


class Start(Protocol):
    """What editing a picture gives to the loop.

    begin: index of the first call of the UNet. latents: (B, C, h, w) at that call's noise level, as the scheduler
    holds them, on the model's device.
    """

    begin: int
    latents: torch.Tensor

    def put_back(self, latents: torch.Tensor, *, scheduler, index: int) -> torch.Tensor:
        """The latents after call ``index`` with what must not change put back, at their noise level."""

    def lay_back(self, pictures: np.ndarray) -> np.ndarray:
        """The decoded pictures (B, H, W, 3) uint8 with the pixels that must not change put back."""

    def expand(self, picture: int, count: int) -> "Start":
        """The same for ``count`` copies of one picture of the batch."""


@dataclass(frozen=True, eq=False)
class Step:
    """One call of the UNet (Heun makes two a step). All arrays lie on the CPU.

    index: of the call in the sampler's list. timestep, sigma, alpha_bar: of
    x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps, sigma = sqrt((1 - alpha_bar) / alpha_bar).
    latents: (B, C, h, w) as the scheduler holds them before the call. x_t_scale: latents * x_t_scale = x_t.
    output_uncond (None without guidance), output_cond: (B, C, h, w), what the UNet said; prediction: of what kind.
    x0: (B, C, h, w) float32, the picture in latent units that the guided prediction means. state: the sampler's and
    the generators' memory before the call. settings, conditioning: those of this call; after a branch earlier steps
    keep their own. ms: of this call and the sampler's update.
    """

    index: int
    timestep: float
    sigma: float
    alpha_bar: float
    latents: torch.Tensor
    x_t_scale: float
    output_uncond: torch.Tensor | None
    output_cond: torch.Tensor
    prediction: str
    x0: torch.Tensor
    state: SamplerState
    settings: Settings
    conditioning: Conditioning
    ms: float

    @property
    def x_t(self) -> torch.Tensor:
        """(B, C, h, w) float32 of variance-preserving scale, for showing and for arithmetic between samplers."""
        return self.latents.float() * self.x_t_scale

    @property
    def eps_uncond(self) -> torch.Tensor | None:
        """The noise predicted without the prompt, (B, C, h, w) float32; None without guidance."""
        return None if self.output_uncond is None else self._eps(self.output_uncond)

    @property
    def eps_cond(self) -> torch.Tensor:
        """The noise predicted with the prompt, (B, C, h, w) float32."""
        return self._eps(self.output_cond)

    @property
    def eps(self) -> torch.Tensor:
        """The guided noise, (B, C, h, w) float32: the one that goes with ``x0``."""
        if self.output_uncond is None:
            return self.eps_cond
        return guide(self.eps_uncond, self.eps_cond, self.settings.guidance_scale)

    def _eps(self, output: torch.Tensor) -> torch.Tensor:
        return to_eps(output.float(), self.x_t, alpha_bar=self.alpha_bar, prediction=self.prediction)


@dataclass(frozen=True, eq=False)
class Progress:
    """A call of the UNet that has just been made: the ``index``-th of ``total``, from 0."""

    index: int
    total: int
    step: Step


@dataclass(frozen=True, eq=False)
class Denoising:
    """A finished run.

    conditioning: rows (negative prompt, prompt) with guidance, else (prompt). start: of image to image or inpainting,
    else None. latents: (B, C, h, w), final. pictures: (B, H, W, 3) uint8. ms: "text", "steps", "vae", "total".
    repaired: parts ("unet", "vae") that half precision failed and float32 computed again.
    """

    model_id: str
    settings: Settings
    notes: tuple[Note, ...]
    conditioning: Conditioning
    start: Start | None
    steps: tuple[Step, ...]
    latents: torch.Tensor
    pictures: np.ndarray
    ms: dict[str, float]
    device: str
    dtype: str
    repaired: tuple[str, ...] = field(default=())

    @property
    def nbytes(self) -> int:
        """Bytes of all that is kept; what several steps share is counted once."""
        storages = {}
        for tensor in self._tensors():
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
        return sum(storages.values()) + self.pictures.nbytes

    def _tensors(self):
        yield self.latents
        yield from _tensors_in(list(vars(self.start).values()) if self.start is not None else [])
        for step in self.steps:
            yield from (step.latents, step.output_cond, step.x0, step.conditioning.embeds)
            yield from _tensors_in([step.output_uncond, step.conditioning.pooled])
            yield from _tensors_in(list(step.state.history.values()))
            yield from step.state.generators


def _tensors_in(value):
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, list):
            yield from _tensors_in(item)
        elif isinstance(item, torch.Tensor):
            yield item


def fixed_share(denoising: Denoising) -> np.ndarray:
    """How much of the final picture is already fixed at each step, (N,) float64, 0 to 1.

    share_k = 1 - |x0_k - z|^2 / |x0_0 - z|^2, with z the final latents and x0_k the prediction at step k; below 0 is
    shown as 0. The first prediction knows the prompt and hardly anything of this seed: it is the average picture that
    the rest of the run moves away from. The share is of the squared difference, summed over the batch.
    """
    final = denoising.latents.double()
    distance = np.array([float((step.x0.double() - final).square().sum()) for step in denoising.steps])
    if distance[0] <= ROUNDING * float(final.square().sum()):  # a single step says at once all that there will be
        return np.ones(len(distance))
    return np.clip(1 - distance / distance[0], 0, 1)
