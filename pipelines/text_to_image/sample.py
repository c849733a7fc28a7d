"""Sampling, a call of the UNet at a time: the loop of diffusers' pipelines with everything kept (arXiv 2112.10752).

With the same latents it gives the pictures of ``StableDiffusionPipeline`` and ``StableDiffusionXLPipeline``.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from diffusers import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor

from pipelines.runtime.errors import Note, UserError
from pipelines.runtime.memory import is_out_of_memory, release
from pipelines.text_to_image import samplers
from pipelines.text_to_image.autoencode import to_uint8
from pipelines.text_to_image.guidance import guide, to_x0
from pipelines.text_to_image.models import TextToImageModel
from pipelines.text_to_image.prompt import Conditioning, encode
from pipelines.text_to_image.repair import Doctor, call_unet
from pipelines.text_to_image.samplers import Level, SamplerState
from pipelines.text_to_image.settings import Settings, check, is_guided
from pipelines.text_to_image.trace import Denoising, Progress, Start, Step


@dataclass(eq=False)
class Run:
    """A run under way: what stays the same over its calls, and scheduler, generators and doctor, which do not.

    doctor: computes with the model, and again in float32 what half precision fails at. conditioning: rows (negative
    prompt, prompt) with guidance, else (prompt), on the model's device.
    """

    doctor: Doctor
    settings: Settings
    notes: tuple[Note, ...]
    conditioning: Conditioning
    scheduler: SchedulerMixin
    generators: list[torch.Generator]
    start: Start | None = None
    ms: dict[str, float] = field(default_factory=dict)

    @property
    def model(self) -> TextToImageModel:
        """The model; its faulty parts exchanged for float32 copies."""
        return self.doctor.model


def generate(model: TextToImageModel, settings: Settings, *, edit=None) -> Iterator[Progress | Denoising]:
    """Draw pictures.

    The settings are checked at once; the work happens as the result is iterated. Closing the iterator ends the run
    where it stands: nothing runs between two items.

    Args:
        model: from ``models.load``.
        settings: as asked for; ``settings.check`` says what becomes of them.
        edit: ``edit.Edit`` for image to image and inpainting; an object with ``start``.

    Returns:
        A ``Progress`` after each call of the UNet, then the ``Denoising``.

    Raises:
        UserError: as ``settings.check``; while iterating ``errors.out_of_memory``, after everything was freed.

    Example:
        >>> *_, run = generate(model, Settings("a red apple", seed=7))  # doctest: +SKIP
        >>> run.pictures.shape  # doctest: +SKIP
        (1, 128, 128, 3)
    """
    checked = check(settings, model)
    return freed_when_full(_generate(model, checked.settings, checked.notes, edit), checked.settings)


def _generate(model, settings, notes, edit) -> Iterator[Progress | Denoising]:
    run = prepare(model, settings, notes=notes)
    if edit is None:
        latents, first = first_latents(run), 0
    else:
        run.start = edit.start(model, settings, scheduler=run.scheduler, generators=run.generators)
        latents, first = run.start.latents, run.start.begin
    yield from denoise(run, latents, first=first)


def prepare(model: TextToImageModel, settings: Settings, *, notes: tuple[Note, ...] = ()) -> Run:
    """Read the texts and set up sampler and generators for checked settings."""
    started = time.perf_counter()
    doctor = Doctor(model)
    conditioning = read_texts(doctor, settings)
    return Run(
        doctor=doctor,
        settings=settings,
        notes=notes,
        conditioning=conditioning,
        scheduler=samplers.create(model, settings.sampler, settings.steps),
        generators=samplers.create_generators(settings.seeds),
        ms={"text": _ms_since(started)},
    )


def read_texts(doctor: Doctor, settings: Settings) -> Conditioning:
    """Encode prompt and, with guidance, negative prompt: rows (negative, prompt) or (prompt), on the device."""
    prompt = doctor.run("text_encoder", lambda model: encode(model, [settings.prompt]))
    if not is_guided(settings, doctor.model):
        return prompt
    negative = doctor.run("text_encoder", lambda model: encode(model, [settings.negative_prompt], negative=True))
    pooled = None if prompt.pooled is None else torch.cat([negative.pooled, prompt.pooled])
    return Conditioning(torch.cat([negative.embeds, prompt.embeds]), pooled)


def first_latents(run: Run) -> torch.Tensor:
    """Pure noise (B, C, h, w) from each picture's own generator, at the scale that the scheduler wants."""
    model, settings = run.model, run.settings
    shape = (settings.batch, model.latent_channels, settings.height // model.scale, settings.width // model.scale)
    noise = randn_tensor(shape, generator=run.generators, device=torch.device(model.device), dtype=model.dtype)
    return noise * run.scheduler.init_noise_sigma


def denoise(
    run: Run, latents: torch.Tensor, *, first: int = 0, earlier: tuple[Step, ...] = ()
) -> Iterator[Progress | Denoising]:
    """Make the calls from index ``first`` on, then decode.

    latents: (B, C, h, w) as the scheduler holds them before call ``first``, on the model's device.
    earlier: steps of the run that this one continues; they stand before its own.
    """
    levels = samplers.levels(run.scheduler)
    inputs = unet_inputs(run)
    steps, random_state = list(earlier), None
    total = len(earlier) + len(levels) - first
    for index in range(first, len(levels)):
        if random_state is None or samplers.is_stochastic(run.settings.sampler, eta=run.settings.eta):
            random_state = tuple(generator.get_state() for generator in run.generators)
        state = SamplerState(samplers.capture_history(run.scheduler), random_state)
        step, latents = _call(run, inputs, latents, index=index, level=levels[index], state=state)
        steps.append(step)
        yield Progress(len(steps) - 1, total, step)
    yield _finish(run, steps, latents)


def unet_inputs(run: Run) -> dict:
    """Keyword arguments of the UNet that are the same at each call, for the whole batch.

    encoder_hidden_states: (B or 2 B, T, D), first all pictures without, then all with the prompt. For SDXL pooled
    texts and sizes (arXiv 2307.01952, section 2.2); for a consistency model the guidance scale's embedding.
    """
    model, settings, conditioning = run.model, run.settings, run.conditioning
    inputs = {"encoder_hidden_states": conditioning.embeds.repeat_interleave(settings.batch, dim=0)}
    if model.family == "sdxl":
        size = (settings.height, settings.width)
        rows = settings.batch * len(conditioning.embeds)
        inputs["added_cond_kwargs"] = {
            "text_embeds": conditioning.pooled.repeat_interleave(settings.batch, dim=0),
            "time_ids": torch.tensor([[*size, 0, 0, *size]] * rows, dtype=model.dtype, device=model.device),
        }
    if model.pipeline.unet.config.time_cond_proj_dim is not None:
        scales = torch.tensor(settings.guidance_scale - 1).repeat(settings.batch)
        embedded = model.pipeline.get_guidance_scale_embedding(
            scales, embedding_dim=model.pipeline.unet.config.time_cond_proj_dim
        )
        inputs["timestep_cond"] = embedded.to(model.device, model.dtype)
    return inputs


@torch.inference_mode()
def _call(
    run: Run, inputs: dict, latents: torch.Tensor, *, index: int, level: Level, state: SamplerState
) -> tuple[Step, torch.Tensor]:
    """One call of the UNet and the sampler's update: the step, and the latents after it."""
    started = time.perf_counter()
    model, settings, scheduler = run.model, run.settings, run.scheduler
    timestep = scheduler.timesteps[index]
    x_t = scheduler.scale_model_input(latents, timestep)
    guided = is_guided(settings, model)
    both = torch.cat([x_t] * 2) if guided else x_t
    output = run.doctor.run("unet", lambda model: call_unet(model, both, timestep, inputs))
    uncond, cond = output.chunk(2) if guided else (None, output)
    output = guide(uncond, cond, settings.guidance_scale) if guided else cond
    options = samplers.step_options(settings.sampler, eta=settings.eta, generators=run.generators)
    after = scheduler.step(output, timestep, latents, return_dict=False, **options)[0]
    if run.start is not None:
        after = run.start.put_back(after, scheduler=scheduler, index=index)
    step = Step(
        index=index,
        timestep=level.timestep,
        sigma=level.sigma,
        alpha_bar=level.alpha_bar,
        latents=latents.cpu(),
        x_t_scale=samplers.x_t_scale(settings.sampler, level.alpha_bar),
        output_uncond=uncond.cpu() if guided else None,
        output_cond=cond.cpu(),
        prediction=model.prediction,
        x0=to_x0(output.float(), x_t.float(), alpha_bar=level.alpha_bar, prediction=model.prediction).cpu(),
        state=state,
        settings=settings,
        conditioning=run.conditioning,
        ms=_ms_since(started),
    )
    return step, after


def _finish(run: Run, steps: list[Step], latents: torch.Tensor) -> Denoising:
    """Decode, and bring what the steps share to the CPU."""
    started = time.perf_counter()
    pictures = decode(run.model, latents, doctor=run.doctor)
    if run.start is not None:
        pictures = run.start.lay_back(pictures)
    ms = run.ms | {"steps": sum(step.ms for step in steps), "vae": _ms_since(started)}
    steps = to_cpu(steps)
    return Denoising(
        model_id=run.model.id,
        settings=run.settings,
        notes=run.notes + run.model.plan.notes + run.doctor.notes(),
        conditioning=steps[-1].conditioning,
        start=run.start,
        steps=tuple(steps),
        latents=latents.cpu(),
        pictures=pictures,
        ms=ms | {"total": sum(ms.values())},
        device=run.model.device,
        dtype=str(run.model.dtype).removeprefix("torch."),
        repaired=run.doctor.repaired,
    )


@torch.inference_mode()
def decode(model: TextToImageModel, latents: torch.Tensor, *, doctor: Doctor | None = None) -> np.ndarray:
    """Latents (B, C, h, w) on the model's device to pictures (B, H, W, 3) uint8, as diffusers rounds them.

    doctor: of the run that the latents are from, so that a part it has repaired already is not tried again.

    Raises:
        UserError: ``errors.part_not_finite``.
    """

    def compute(model: TextToImageModel) -> torch.Tensor:
        vae = model.pipeline.vae
        return vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]

    return to_uint8((doctor or Doctor(model)).run("vae", compute))


def to_device(conditioning: Conditioning, device: str) -> Conditioning:
    """The encoded texts on a device."""
    pooled = None if conditioning.pooled is None else conditioning.pooled.to(device)
    return Conditioning(conditioning.embeds.to(device), pooled)


def to_cpu(steps: list[Step]) -> list[Step]:
    """The steps with conditioning and sampler's history on the CPU; what they share stays shared."""
    seen: dict[int, torch.Tensor] = {}

    def move(tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) not in seen:
            seen[id(tensor)] = tensor.cpu()
        return seen[id(tensor)]

    conditionings = {id(step.conditioning): step.conditioning for step in steps}
    conditionings = {key: to_device(texts, "cpu") for key, texts in conditionings.items()}
    return [
        replace(
            step,
            conditioning=conditionings[id(step.conditioning)],
            state=replace(step.state, history=samplers.map_tensors(step.state.history, move)),
        )
        for step in steps
    ]


def freed_when_full(items: Iterator[Progress | Denoising], settings: Settings) -> Iterator[Progress | Denoising]:
    """Pass the items on; when memory runs out, drop all that the run holds and say what to make smaller.

    Raises:
        UserError: ``errors.out_of_memory``, with the call (from 1) at which it happened.
    """
    done = 0
    try:
        while True:
            try:
                item = next(items)
            except StopIteration:
                return
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                break  # the error's trace holds the run's tensors: leave the handler first
            yield item
            done += 1
    finally:
        items.close()
    del items
    release()
    size = {"width": settings.width, "height": settings.height, "batch": settings.batch}
    raise UserError("errors.out_of_memory", call=done + 1, **size)


def _ms_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
