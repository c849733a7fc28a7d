"""The eight samplers, made from the model's own noise schedule, and their memory: what a step leaves for the next.

DDIM 2010.02502, DDPM 2006.11239, Euler, Euler ancestral and Heun 2206.00364, DPM-Solver++ 2211.01095,
UniPC 2302.04867, LCM 2310.04378. The arithmetic is diffusers' own.
"""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)

from pipelines.runtime.errors import Note, UserError

MOST_LCM_STEPS = 50  # the steps of the sampler that a latent consistency model is distilled from
MOST_HEUN_SIGMA = 80.0  # sigma_max of 2206.00364, table 1
LEAST_ALPHA_BAR = 2.0**-24  # as diffusers does where a schedule ends in pure noise: its noise level would be infinite
# Everything that any of the eight keeps from one step to the next.
HISTORY = (
    "_step_index",
    "_begin_index",
    "is_scale_input_called",  # Euler, Euler a
    "prev_derivative",  # Heun, between the two calls of a step
    "dt",
    "sample",
    "model_outputs",  # DPM++ 2M, UniPC
    "lower_order_nums",
    "timestep_list",  # UniPC
    "this_order",
    "last_sample",
)


class BoundedHeunScheduler(HeunDiscreteScheduler):
    """Heun's method that begins at sigma 80 at most; diffusers' own wherever a schedule stays below.

    Heun averages the slopes at both ends of a step. Where a schedule begins at pure noise (sigma 4096 here), the first
    step is so long that the slopes' difference, a small change of x0-hat over sigma, throws x_t far off: on the bundled
    model latents of 10 steps came out 1.5 times too large. At sigma 80 a picture is 1 / 80 of x_t: noise all the same.
    """

    def set_timesteps(self, *args, **kwargs) -> None:
        """As diffusers', then the bound on the noise levels."""
        super().set_timesteps(*args, **kwargs)
        self.sigmas = self.sigmas.clamp(max=MOST_HEUN_SIGMA)


@dataclass(frozen=True)
class Sampler:
    """stochastic: draws fresh noise at each step (DDIM does with eta > 0). stretched: its latents are
    x_t / sqrt(alpha_bar), so that noise of standard deviation sigma is added to an unscaled picture. calls: of the
    UNet a step."""

    key: str
    scheduler: type[SchedulerMixin]
    stochastic: bool = False
    stretched: bool = False
    calls: int = 1


SAMPLERS = {
    sampler.key: sampler
    for sampler in (
        Sampler("ddim", DDIMScheduler),
        Sampler("ddpm", DDPMScheduler, stochastic=True),
        Sampler("euler", EulerDiscreteScheduler, stretched=True),
        Sampler("euler_a", EulerAncestralDiscreteScheduler, stochastic=True, stretched=True),
        Sampler("heun", BoundedHeunScheduler, stretched=True, calls=2),
        Sampler("dpmpp_2m", DPMSolverMultistepScheduler),
        Sampler("unipc", UniPCMultistepScheduler),
        Sampler("lcm", LCMScheduler, stochastic=True),
    )
}


@dataclass(frozen=True)
class Level:
    """Where a call of the UNet stands: timestep, sigma = sqrt((1 - alpha_bar) / alpha_bar), alpha_bar in (0, 1)."""

    timestep: float
    sigma: float
    alpha_bar: float


@dataclass(frozen=True, eq=False)
class SamplerState:
    """What a sampler remembers before a call. history: its attributes by name. generators: the random state of each
    picture of the batch, (5056,) uint8."""

    history: dict[str, Any]
    generators: tuple[torch.Tensor, ...]


def check(key: object, model, *, steps: int) -> tuple[Note, ...]:
    """Whether a sampler fits a model and a number of steps; what should be known if it does.

    Returns:
        ``errors.note_lcm_not_distilled`` for LCM on a model that was not distilled for it.

    Raises:
        UserError: ``errors.sampler_unknown``, or the reason of ``why_not``.
    """
    if not isinstance(key, str) or key not in SAMPLERS:
        raise UserError("errors.sampler_unknown", sampler=str(key)[:40], choices=", ".join(SAMPLERS))
    reason = why_not(key, model, steps=steps)
    if reason is not None:
        raise UserError(reason.key, **reason.values)
    distilled = model.few_step or model.pipeline.unet.config.time_cond_proj_dim is not None
    return (Note("errors.note_lcm_not_distilled"),) if key == "lcm" and not distilled else ()


def why_not(key: str, model, *, steps: int) -> Note | None:
    """Why a sampler cannot be used, or None: ``errors.sampler_lcm_steps``, ``errors.sampler_prediction``."""
    if key == "lcm" and steps > MOST_LCM_STEPS:
        return Note("errors.sampler_lcm_steps", {"steps": steps, "most": MOST_LCM_STEPS})
    if key == "euler_a" and model.prediction == "sample":
        return Note("errors.sampler_prediction", {"sampler": key, "prediction": model.prediction})
    return None


def is_stochastic(key: str, *, eta: float) -> bool:
    """Whether the sampler draws noise at its steps."""
    return SAMPLERS[key].stochastic or (key == "ddim" and eta > 0)


def create(model, key: str, steps: int) -> SchedulerMixin:
    """diffusers' scheduler from the model's own configuration, its timesteps set (on the CPU, where its arithmetic on
    single numbers costs no wait for a GPU).

    Where that configuration does not say so (SD-Turbo's is for Euler), DDIM and DDPM would clip x_0 to -1..1, which
    is right for pixels and wrong for latents.
    """
    scheduler_class = SAMPLERS[key].scheduler
    without = {"clip_sample", "thresholding"} & set(inspect.signature(scheduler_class.__init__).parameters)
    scheduler = scheduler_class.from_config(model.pipeline.scheduler.config, **dict.fromkeys(without, False))
    scheduler.set_timesteps(steps)
    return scheduler


def levels(scheduler: SchedulerMixin) -> tuple[Level, ...]:
    """The level of each call of the UNet, in order: one a timestep, two a step for Heun."""
    timesteps = scheduler.timesteps.tolist()
    if hasattr(scheduler, "sigmas"):
        alpha_bars = [1 / (1 + sigma**2) for sigma in scheduler.sigmas.tolist()]
    else:
        alpha_bars = scheduler.alphas_cumprod[scheduler.timesteps.long()].tolist()
    alpha_bars = [max(alpha_bar, LEAST_ALPHA_BAR) for alpha_bar in alpha_bars[: len(timesteps)]]
    return tuple(
        Level(float(timestep), ((1 - alpha_bar) / alpha_bar) ** 0.5, alpha_bar)
        for timestep, alpha_bar in zip(timesteps, alpha_bars, strict=True)
    )


def x_t_scale(key: str, alpha_bar: float) -> float:
    """What turns a sampler's latents into x_t of variance-preserving scale, by multiplication."""
    return alpha_bar**0.5 if SAMPLERS[key].stretched else 1.0


def step_options(key: str, *, eta: float, generators: list[torch.Generator]) -> dict[str, Any]:
    """Keyword arguments for the scheduler's ``step``."""
    options = {"generator": generators} if is_stochastic(key, eta=eta) else {}
    return options | ({"eta": eta} if key == "ddim" else {})


def create_generators(seeds: tuple[int, ...]) -> list[torch.Generator]:
    """A random generator for each picture, always on the CPU: the same seed is the same noise on every device."""
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def capture(scheduler: SchedulerMixin, generators: list[torch.Generator]) -> SamplerState:
    """What the sampler remembers now. Its tensors are shared, not copied: schedulers never write into them."""
    return SamplerState(capture_history(scheduler), tuple(generator.get_state() for generator in generators))


def capture_history(scheduler: SchedulerMixin) -> dict[str, Any]:
    """The scheduler's own part of ``capture``; lists are copied."""
    own = vars(scheduler)
    return {name: copy.copy(own[name]) if isinstance(own[name], list) else own[name] for name in HISTORY if name in own}


def restore(scheduler: SchedulerMixin, state: SamplerState, *, device: str) -> list[torch.Generator]:
    """Put a sampler back to where ``capture`` found it; returns the generators, which go on where they were.

    scheduler: from ``create`` with the same model, key and steps.
    """
    restore_history(scheduler, state, device=device)
    return generators_from(state)


def restore_history(scheduler: SchedulerMixin, state: SamplerState, *, device: str) -> None:
    """The scheduler's own part of ``restore``."""
    for name, value in map_tensors(state.history, lambda tensor: tensor.to(device)).items():
        setattr(scheduler, name, value)


def generators_from(state: SamplerState) -> list[torch.Generator]:
    """New generators that go on where those of the state were."""
    generators = [torch.Generator("cpu") for _ in state.generators]
    for generator, random_state in zip(generators, state.generators, strict=True):
        generator.set_state(random_state)
    return generators


def map_tensors(history: dict[str, Any], change: Callable) -> dict[str, Any]:
    """The history with each latent tensor changed; single numbers stay on the CPU, where the scheduler keeps them."""

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(item) for item in value]
        return change(value) if isinstance(value, torch.Tensor) and value.ndim else value

    return {name: one(value) for name, value in history.items()}
