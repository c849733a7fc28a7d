"""Going back to a step of a run: another future from there, or several futures of the same moment."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor

from pipelines.runtime.errors import UserError
from pipelines.text_to_image import samplers
from pipelines.text_to_image.guidance import mix
from pipelines.text_to_image.models import TextToImageModel
from pipelines.text_to_image.repair import Doctor
from pipelines.text_to_image.sample import Run, decode, denoise, freed_when_full, read_texts, to_device
from pipelines.text_to_image.settings import SEEDS, Settings, check, is_guided, number, whole
from pipelines.text_to_image.trace import Denoising, Progress, Step

LEAST_FUTURES, MOST_FUTURES = 1, 8
FRESH = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: far from every seed that somebody types
SAME_LEVEL = 1e-4  # of alpha-bar: two samplers write the same level with different rounding


@dataclass(frozen=True)
class Change:
    """What is different from a step on; None leaves it as it was. noise_seed: of fresh noise, 0 to 2^64 - 1."""

    prompt: str | None = None
    negative_prompt: str | None = None
    guidance_scale: float | None = None
    sampler: str | None = None
    eta: float | None = None
    noise_seed: int | None = None


@dataclass(frozen=True, eq=False)
class Futures:
    """Several continuations of one moment.

    step: index in the run's steps. eta: 0 (DDIM) to 1 (DDPM). latents: (N, C, h, w). pictures: (N, H, W, 3) uint8.
    x0_picture: (H, W, 3) uint8, the picture predicted at the step. mean_picture: (H, W, 3) uint8, mean of the
    pictures. spread: (H, W) float32, 0 to 1: standard deviation of the pictures over the futures, mean of the
    channels. distance: root mean square distance of the futures from x0-hat, in latent units; mean_distance: of
    their mean from it. If x0-hat is their average, mean_distance is about distance / sqrt(N).
    """

    step: int
    eta: float
    latents: torch.Tensor
    pictures: np.ndarray
    x0_picture: np.ndarray
    mean_picture: np.ndarray
    spread: np.ndarray
    distance: float
    mean_distance: float
    ms: float


def branch(model: TextToImageModel, denoising: Denoising, k: int, change: Change) -> Iterator[Progress | Denoising]:
    """Run again from step k with something changed. Without a change the picture is the run's, to the bit.

    Another sampler starts without the memory of the steps before, at its own level nearest to the step's: where
    theirs differ, x_t is moved there along the step's own prediction (a DDIM step, arXiv 2010.02502, eq. (12)).
    A noise seed gives a stochastic sampler other random numbers from here on; for a deterministic one the noise
    in x_t is exchanged: x_t = sqrt(alpha_bar) x0-hat + sqrt(1 - alpha_bar) noise.

    Args:
        model: the one that drew the run.
        k: index in ``denoising.steps``; that call of the UNet is the first that is made again.

    Returns:
        As ``sample.generate``. The run's earlier steps stand before the new ones.

    Raises:
        UserError: ``errors.step_outside``, those of ``settings.check``; while iterating ``errors.out_of_memory``.
        ValueError: the run is another model's.
    """
    step = step_of(model, denoising, k)
    given = {name: value for name, value in vars(change).items() if value is not None}
    noise_seed = given.pop("noise_seed", None)
    if noise_seed is not None:
        noise_seed = whole(noise_seed, "noise_seed", 0, SEEDS - 1)
    checked = check(replace(denoising.settings, **given), model)
    run = _resume(model, denoising, step, checked.settings)
    run.notes = checked.notes
    if noise_seed is not None:
        run.generators = _fresh_generators(checked.settings, noise_seed)
    return freed_when_full(_branch(run, denoising, k, fresh_noise=noise_seed is not None), checked.settings)


def futures(
    model: TextToImageModel,
    denoising: Denoising,
    k: int,
    *,
    count: int = 4,
    eta: float = 1.0,
    seed: int = 0,
    picture: int = 0,
) -> Iterator[Progress | Futures]:
    """Continue one moment several times with the DDIM update, fresh noise of weight eta at every step.

    arXiv 2010.02502, eq. (12) and (16): eta 0 adds no noise, so that all futures are one; eta 1 is DDPM. All are
    drawn in one batch, whatever sampler the run used; future i draws from seed (seed + i) mod 2^64.

    Args:
        k: index in ``denoising.steps``.
        count: 1 to 8.
        picture: which one of the run's batch.

    Returns:
        A ``Progress`` after each call of the UNet, then the ``Futures``.

    Raises:
        UserError: ``errors.step_outside``, ``errors.setting_*``; while iterating ``errors.out_of_memory``.
        ValueError: the run is another model's.
    """
    step = step_of(model, denoising, k)
    settings = replace(
        denoising.settings,
        sampler="ddim",
        eta=number(eta, "eta", 0.0, 1.0),
        batch=whole(count, "count", LEAST_FUTURES, MOST_FUTURES),
        seed=whole(seed, "seed", 0, SEEDS - 1),
    )
    picture = whole(picture, "picture", 0, denoising.settings.batch - 1)
    run = _resume(model, denoising, step, settings)
    run.generators = _fresh_generators(settings, settings.seed)
    if run.start is not None:
        run.start = run.start.expand(picture, settings.batch)
    return freed_when_full(_futures(run, step, k, picture), settings)


def step_of(model: TextToImageModel, denoising: Denoising, k: int) -> Step:
    """Step k of a run of this model.

    Raises:
        UserError: ``errors.step_outside``.
        ValueError: the run is another model's.
    """
    if denoising.model_id != model.id:
        raise ValueError(f"a run of {denoising.model_id}, and the model {model.id}")
    count = len(denoising.steps)
    if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k < count:
        raise UserError("errors.step_outside", step=str(k + 1 if isinstance(k, int) else k)[:20], count=count)
    return denoising.steps[k]


def _resume(model: TextToImageModel, denoising: Denoising, step: Step, settings: Settings) -> Run:
    """A run that goes on from a step: random numbers as they were, and the memory of a sampler that stays the same."""
    started = time.perf_counter()
    doctor = Doctor(model)
    scheduler = samplers.create(model, settings.sampler, settings.steps)
    if settings.sampler == step.settings.sampler:
        samplers.restore_history(scheduler, step.state, device=model.device)
    same_texts = (settings.prompt, settings.negative_prompt) == (step.settings.prompt, step.settings.negative_prompt)
    if same_texts and is_guided(settings, model) == is_guided(step.settings, model):
        conditioning = to_device(step.conditioning, model.device)
    else:
        conditioning = read_texts(doctor, settings)
    generators = samplers.generators_from(step.state)
    ms = {"text": (time.perf_counter() - started) * 1000}
    return Run(doctor, settings, (), conditioning, scheduler, generators, denoising.start, ms)


def _fresh_generators(settings: Settings, seed: int) -> list[torch.Generator]:
    """Generators for new noise. Moved by a constant: the seed itself may be the run's, and its first numbers are in
    x_T already."""
    return samplers.create_generators(replace(settings, seed=(seed + FRESH) % SEEDS).seeds)


def _branch(run: Run, denoising: Denoising, k: int, *, fresh_noise: bool) -> Iterator[Progress | Denoising]:
    step, settings = denoising.steps[k], run.settings
    renoise = fresh_noise and not samplers.is_stochastic(settings.sampler, eta=settings.eta)
    if settings.sampler == step.settings.sampler and not renoise:
        latents, first = step.latents.to(run.model.device), step.index
    else:
        latents, first = _start_again(run, step, rows=range(settings.batch), renoise=renoise)
    yield from denoise(run, latents, first=first, earlier=denoising.steps[:k])


def _start_again(run: Run, step: Step, *, rows: Sequence[int], renoise: bool = False) -> tuple[torch.Tensor, int]:
    """Where a sampler without memory takes over: its latents and the index of its first call.

    rows: which pictures of the step's batch. renoise: exchange the noise in x_t.
    """
    rows, key = list(rows), run.settings.sampler
    levels = samplers.levels(run.scheduler)
    starts = range(0, len(levels), samplers.SAMPLERS[key].calls)  # Heun's second calls need the first
    first = min(starts, key=lambda index: abs(math.log(levels[index].sigma / step.sigma)))
    alpha_bar = levels[first].alpha_bar
    x_t = step.x_t[rows]
    if renoise:
        x_t = mix(step.x0[rows], randn_tensor(x_t.shape, generator=run.generators), alpha_bar=alpha_bar)
    elif not math.isclose(alpha_bar, step.alpha_bar, rel_tol=SAME_LEVEL):
        x_t = mix(step.x0[rows], step.eps[rows], alpha_bar=alpha_bar)
    run.scheduler = samplers.create(run.model, key, run.settings.steps)
    if hasattr(run.scheduler, "set_begin_index"):
        run.scheduler.set_begin_index(first)
    latents = x_t / samplers.x_t_scale(key, alpha_bar)
    return latents.to(run.model.device, run.model.dtype), first


def _futures(run: Run, step: Step, k: int, picture: int) -> Iterator[Progress | Futures]:
    started = time.perf_counter()
    latents, first = _start_again(run, step, rows=[picture] * run.settings.batch)
    for item in denoise(run, latents, first=first):
        if isinstance(item, Progress):
            yield item
    x0 = step.x0[picture]
    x0_picture = decode(run.model, x0[None].to(run.model.device), doctor=run.doctor)[0]
    ends = item.latents.float()
    pictures = item.pictures.astype(np.float32)
    yield Futures(
        step=k,
        eta=run.settings.eta,
        latents=ends,
        pictures=item.pictures,
        x0_picture=x0_picture,
        mean_picture=pictures.mean(axis=0).round().astype(np.uint8),
        spread=(pictures.std(axis=0) / 255).mean(axis=-1),
        distance=_root_mean_square(ends - x0),
        mean_distance=_root_mean_square(ends.mean(dim=0) - x0),
        ms=(time.perf_counter() - started) * 1000,
    )


def _root_mean_square(values: torch.Tensor) -> float:
    return float(values.double().square().mean().sqrt())
