"""Text to image: a click to a picture against the bare pipeline call, previews, 20 steps; in one run, interleaved.

    python -m benchmarks.text_to_image                     the bundled model, one thread, CPU time
    python -m benchmarks.text_to_image --threads 2         the same on two threads, wall clock
    python -m benchmarks.text_to_image --device cuda       and Stable Diffusion 1.5 in size, random weights, on a GPU

Both sides use the same weights, seed, sampler and precision, and each row compares their pictures. Ratios are medians
of paired rounds: on a busy machine times vary threefold, ratios little.
"""

import argparse
import copy
import io
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

PROMPT = "a red apple, 一个红苹果"
LONG_STEPS = 60  # a job of a second and more for the bundled model on one thread
SEED = 7
GFLOP_UNET = 803  # Stable Diffusion 1.5 at 512 px, a row of the batch (counted with torch.utils.flop_counter)
GFLOP_DECODER = 2515
ROOF_SIDE = 8192


@dataclass(frozen=True)
class Row:
    """One line of the table. seconds: (rounds, 2), ours and the other. difference: of the pictures, 0..255."""

    name: str
    seconds: np.ndarray
    difference: float
    limit: float

    def line(self) -> str:
        """The row as the table shows it."""
        ours, other = self.seconds.min(axis=0) * 1000
        low, middle, high = np.percentile(self.seconds[:, 0] / self.seconds[:, 1], (10, 50, 90))
        return (
            f"{self.name:<52}{ours:>9.0f}{other:>9.0f}{middle:>8.3f}  {low:.3f}..{high:.3f}"
            f"{self.difference:>8.0f}   <= {self.limit}"
        )


def interleave(one: Callable[[], object], other: Callable[[], object], *, rounds: int, clock) -> np.ndarray:
    """A B B A A B ...: (rounds, 2) seconds, after one call of each that is not counted."""
    work = (one, other)
    one(), other()
    seconds = np.empty((rounds, 2))
    for number in range(rounds):
        for column in (0, 1) if number % 2 == 0 else (1, 0):
            started = clock()
            work[column]()
            seconds[number, column] = clock() - started
    return seconds


def draw(model, settings, *, with_previews: bool = False) -> np.ndarray:
    """What a click does: all steps, both previews of each when asked for, the picture and its PNG."""
    from pipelines.text_to_image.metadata import write_png
    from pipelines.text_to_image.sample import generate
    from pipelines.text_to_image.trace import Progress

    for item in generate(model, settings):
        if with_previews and isinstance(item, Progress):
            model.preview(item.step.x_t), model.preview(item.step.x0)
    write_png(item.pictures[0], item.settings, model_id=model.id)
    return item.pictures[0]


def draw_bare(pipeline, settings) -> np.ndarray:
    """The same picture as a script that knows diffusers alone would make it, saved as PNG."""
    import torch

    picture = pipeline(
        settings.prompt,
        negative_prompt=settings.negative_prompt,
        num_inference_steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        width=settings.width,
        height=settings.height,
        generator=torch.Generator().manual_seed(settings.seed),
    ).images[0]
    picture.save(io.BytesIO(), format="PNG")
    return np.asarray(picture)


def measure(model, *, rounds: int, clock) -> list[Row]:
    """The ratios for one model, and its 20 guided steps in seconds (printed beside them)."""
    from pipelines.text_to_image.samplers import create
    from pipelines.text_to_image.settings import Settings

    size = {"width": model.default_px, "height": model.default_px}
    scale = model.default_guidance
    long = Settings(PROMPT, steps=LONG_STEPS, guidance_scale=scale, seed=SEED, **size)
    bare = copy.copy(model.pipeline)
    bare.scheduler = create(model, long.sampler, long.steps)
    same = np.abs(draw(model, long).astype(int) - draw_bare(bare, long)).max()
    click = interleave(lambda: draw(model, long), lambda: draw_bare(bare, long), rounds=rounds, clock=clock)
    shown = np.abs(draw(model, long, with_previews=True).astype(int) - draw(model, long)).max()
    previews = interleave(
        lambda: draw(model, long, with_previews=True), lambda: draw(model, long), rounds=rounds, clock=clock
    )
    return [
        Row(f"click to PNG / pipeline call, {LONG_STEPS} guided steps", click, same, 1.03),
        Row(f"previews of x_t and x0 on / off, {LONG_STEPS} guided steps", previews, shown, 1.05),
    ]


def twenty_steps(model, *, rounds: int, clock) -> str:
    """20 guided steps, click to PNG: least and median."""
    from pipelines.text_to_image.settings import Settings

    size = {"width": model.default_px, "height": model.default_px}
    settings = Settings(PROMPT, steps=20, guidance_scale=model.default_guidance, seed=SEED, **size)
    seconds = interleave(lambda: draw(model, settings), lambda: None, rounds=rounds, clock=clock)[:, 0]
    return (
        f"20 guided steps, click to PNG: {seconds.min():.2f} s at least, {np.median(seconds):.2f} s median (goal 1 s)"
    )


def full_size_pipeline(dtype):
    """Stable Diffusion 1.5 in its true size with random weights, on the CPU."""
    import torch
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from pipelines.text_to_image.single_file import CONFIGS, create_tokenizer

    home = CONFIGS / "sd1"
    torch.manual_seed(0)
    pipeline = StableDiffusionPipeline(
        unet=UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(home / "unet")),
        vae=AutoencoderKL.from_config(AutoencoderKL.load_config(home / "vae")),
        text_encoder=CLIPTextModel(CLIPTextConfig.from_pretrained(home / "text_encoder")),
        tokenizer=create_tokenizer(),
        scheduler=DDIMScheduler.from_pretrained(home / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(dtype)


def measure_full_size(placement, *, steps: int, rounds: int, make=full_size_pipeline) -> list[str]:
    """Ours, compiled, against plain diffusers in float16, both against float32; share of the measured matrix roof."""
    import torch

    from pipelines.text_to_image import speed
    from pipelines.text_to_image.models import wrap
    from pipelines.text_to_image.settings import Settings

    half = speed.compute_dtype(placement)
    model = wrap("sd-1.5-random", make(half), placement)
    plain, exact = (make(dtype).to(placement.device) for dtype in (half, torch.float32))
    inputs = speed.warm_up_inputs(model.pipeline)
    backend = "inductor" if placement.device == "cuda" else "eager"
    speed.compile_in_background(model.pipeline, lambda unet: unet(**inputs), backend=backend).join()
    px = model.default_px
    settings = Settings(PROMPT, steps=steps, guidance_scale=7.5, seed=SEED, width=px, height=px)
    truth = draw_bare(exact, settings)
    quality = [psnr(truth, picture) for picture in (draw(model, settings), draw_bare(plain, settings))]
    del exact
    clock = synchronised_clock(placement.device)
    seconds = interleave(lambda: draw(model, settings), lambda: draw_bare(plain, settings), rounds=rounds, clock=clock)
    ours, other = seconds.min(axis=0)
    low, middle, high = np.percentile(seconds[:, 1] / seconds[:, 0], (10, 50, 90))
    tflop = (2 * GFLOP_UNET * steps + GFLOP_DECODER) * (px / 512) ** 2 / 1000
    roof = matrix_roof(placement.device, half)
    return [
        f"Stable Diffusion 1.5, random weights, {px} px, {steps} guided steps, click to PNG, {half}",
        f"  ours {ours * 1000:.0f} ms, plain diffusers {other * 1000:.0f} ms: {middle:.2f} times as fast"
        f" ({low:.2f}..{high:.2f}; goal 1.9)",
        f"  PSNR to float32: ours {quality[0]:.1f} dB, plain {quality[1]:.1f} dB",
        f"  {tflop:.1f} TFLOP: {tflop / ours / roof:.0%} of the measured roof of {roof:.0f} TFLOP/s"
        f" (plain {tflop / other / roof:.0%})",
    ]


def psnr(truth: np.ndarray, picture: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of 8-bit pictures."""
    error = np.mean((truth.astype(float) - picture) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def matrix_roof(device: str, dtype, *, side: int = ROOF_SIDE) -> float:
    """TFLOP/s of a large matrix product in this precision, the best of ten."""
    import torch

    clock = synchronised_clock(device)
    side = side if device == "cuda" else 512
    one, other = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    seconds = interleave(lambda: one @ other, lambda: None, rounds=10, clock=clock)[:, 0].min()
    return 2 * side**3 / seconds / 1e12


def synchronised_clock(device: str) -> Callable[[], float]:
    """Wall clock after everything that the GPU was asked for is done."""

    def read() -> float:
        if device == "cuda":
            import torch

            torch.cuda.synchronize()
        return time.perf_counter()

    return read


def header(model, *, threads: int, rounds: int, clock_name: str) -> str:
    """What was measured on what."""
    import diffusers
    import torch

    on_gpu = model.device == "cuda"
    device = torch.cuda.get_device_name() if on_gpu else f"{platform.machine()} CPU, {threads} thread(s)"
    return (
        f"{model.id} on {device}, {str(model.dtype).removeprefix('torch.')}; torch {torch.__version__}, "
        f"diffusers {diffusers.__version__}, Python {platform.python_version()}\n"
        f"{model.default_px} px, batch 1, DDIM; {rounds} interleaved rounds, {clock_name}\n\n"
        f"{'':<52}{'ours ms':>9}{'other ms':>9}{'ratio':>8}  {'10..90 %':<12}{'max diff':>8}   goal"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lucida-diffusion", help="an id of the catalogue")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=25, help="of the full-size model on a GPU")
    options = parser.parse_args()

    from pipelines.runtime import context
    from pipelines.runtime.device import set_environment_defaults

    set_environment_defaults()
    import torch

    torch.set_num_threads(options.threads)
    runtime = context.configure(context.Settings(device=options.device))
    model = runtime.load(options.model)
    # CPU time is not stretched by other programs, but adds up over threads.
    busy = model.device == "cpu" and options.threads == 1
    clock, name = (time.process_time, "CPU time") if busy else (synchronised_clock(model.device), "wall clock")
    print(header(model, threads=options.threads, rounds=options.rounds, clock_name=name), flush=True)
    for row in measure(model, rounds=options.rounds, clock=clock):
        print(row.line(), flush=True)
    print(twenty_steps(model, rounds=options.rounds, clock=clock), flush=True)
    if model.device == "cuda":
        print("\n".join(measure_full_size(runtime.placement, steps=options.steps, rounds=options.rounds)))


if __name__ == "__main__":
    main()
