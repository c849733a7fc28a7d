"""Tokenise: a picture to codes and back, the whole tab's work against the bare VQModel.

    python -m benchmarks.tokenise                     the bundled model, one thread, CPU time
    python -m benchmarks.tokenise --threads 2         the same on two threads, wall clock
    python -m benchmarks.tokenise --device cuda       and a full-size model, optimised against eager float32
    python -m benchmarks.tokenise --device cuda --full-size kandinsky-movq --models-dir FOLDER     its real weights

Both sides use the same weights and picture in one run, interleaved, and each row compares their pictures; the bare
model is as diffusers loads it, channels first. Ratios are medians of paired rounds: on a busy machine times vary
threefold, ratios little.
"""

import argparse
import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.text_to_image import interleave, synchronised_clock

REPO = Path(__file__).resolve().parents[1]
PICTURE = REPO / "assets" / "examples" / "raccoon.jpg"
SIZES = (256, 512, 1024)
FULL_PX = 512
DOWN, UP = "DownEncoderBlock2D", "UpDecoderBlock2D"
# For a full-size model whose files are not here: its shape with random weights.
SHAPES = {
    "ldm-vq-f4": {"widths": (128, 256, 512), "attends": False, "latent_channels": 3, "num_vq_embeddings": 8192},
    "kandinsky-movq": {
        "widths": (128, 256, 256, 512), "attends": True, "latent_channels": 4, "num_vq_embeddings": 16384,
        "norm_type": "spatial",
    },
    "taming-f16": {
        "widths": (128, 128, 256, 256, 512), "attends": True, "latent_channels": 256, "num_vq_embeddings": 16384,
    },
    "amused-256": {
        "widths": (128, 256, 256, 512, 768), "attends": False, "latent_channels": 64, "num_vq_embeddings": 8192,
        "mid_block_add_attention": False, "force_upcast": True,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of the table. seconds: (rounds, 2), ours and the other. alike_db: PSNR between their pictures."""

    name: str
    seconds: np.ndarray
    alike_db: float
    goal: str = ""

    def line(self) -> str:
        """The row as the table shows it."""
        ours, other = self.seconds.min(axis=0) * 1000
        low, middle, high = np.percentile(self.seconds[:, 0] / self.seconds[:, 1], (10, 50, 90))
        return (
            f"{self.name:<42}{ours:>9.1f}{other:>9.1f}{middle:>8.3f}  {low:.3f}..{high:.3f}"
            f"{self.alike_db:>8.1f}   {self.goal}"
        )


class Bare:
    """The same work as a script that knows diffusers alone would write it, in float32."""

    def __init__(self, module, device: str):
        self.module, self.device = module.to(device), device
        self.patch = math.isqrt(module.config.in_channels // 3)

    def encode(self, pixels: np.ndarray):
        """(H, W, 3) uint8, whole cells, to indices (h, w) on the device."""
        import torch
        from torch.nn.functional import pixel_unshuffle

        with torch.inference_mode():
            picture = torch.from_numpy(pixels).to(self.device).permute(2, 0, 1)[None].float() / 127.5 - 1
            latents = self.module.encode(pixel_unshuffle(picture, self.patch)).latents
            return self.module.quantize(latents)[2][2].view(latents.shape[2:])

    def decode(self, indices) -> np.ndarray:
        """Indices to (H, W, 3) uint8."""
        import torch
        from torch.nn.functional import pixel_shuffle

        with torch.inference_mode():
            codes = self.module.quantize.get_codebook_entry(indices.flatten(), (1, *indices.shape, -1))
            hidden = self.module.post_quant_conv(codes)
            seen_again = codes if self.module.config.norm_type == "spatial" else None
            picture = pixel_shuffle(self.module.decoder(hidden, seen_again), self.patch)[0]
            picture = ((picture + 1) * 127.5).clamp(0, 255).round().to(torch.uint8)
            return picture.permute(1, 2, 0).cpu().numpy()

    def both(self, pixels: np.ndarray) -> np.ndarray:
        """There and back."""
        return self.decode(self.encode(pixels))


class Ours:
    """The tab's functions."""

    def __init__(self, model):
        from pipelines.tokenise import code

        self.model, self.code = model, code

    def encode(self, pixels: np.ndarray):
        """A ``code.Tokens``."""
        return self.code.encode(self.model, pixels)

    def decode(self, indices: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """(H, W, 3) uint8."""
        return self.code.decode(self.model, indices, size=size)

    def both(self, pixels: np.ndarray) -> np.ndarray:
        """There and back."""
        tokens = self.encode(pixels)
        return self.decode(tokens.indices, tokens.size)


def picture(longest: int, cell: int) -> np.ndarray:
    """The example in this size, cut to whole cells: a bare model takes no other."""
    from PIL import Image

    from pipelines.runtime.pictures import open_picture

    whole = Image.fromarray(open_picture(PICTURE).pixels)
    scale = longest / max(whole.size)
    width, height = (round(side * scale) for side in whole.size)
    return np.array(whole.resize((width, height)))[: height - height % cell, : width - width % cell]


def measure(model, bare: Bare, *, rounds: int, clock: Callable[[], float]) -> Iterator[Row]:
    """The rows for one model, each when it is measured."""
    from pipelines.tokenise.compare import psnr_db

    ours = Ours(model)
    for longest in SIZES:
        pixels = picture(longest, model.cell)
        indices, theirs, size = ours.encode(pixels).indices, bare.encode(pixels), pixels.shape[:2]
        alike = psnr_db(ours.both(pixels), bare.both(pixels))
        goal = "<= 1.10" if longest > 256 else "<= 1.10; there and back <= 600 ms on 2 cores"
        work = [
            ("encode", lambda p=pixels: ours.encode(p), lambda p=pixels: bare.encode(p)),
            ("decode", lambda i=indices, s=size: ours.decode(i, s), lambda i=theirs: bare.decode(i)),
            ("there and back", lambda p=pixels: ours.both(p), lambda p=pixels: bare.both(p)),
        ]
        for name, one, other in work:
            seconds = interleave(one, other, rounds=rounds if longest < 1024 else max(3, rounds // 2), clock=clock)
            yield Row(f"{name}, {pixels.shape[1]} x {pixels.shape[0]} px", seconds, alike, goal)


def random_vq(shape: dict):
    """diffusers' own class in a published shape, with its first weights."""
    import torch
    from diffusers import VQModel

    torch.manual_seed(0)
    widths, attends = shape["widths"], shape["attends"]
    return VQModel(
        block_out_channels=widths,
        down_block_types=(DOWN,) * (len(widths) - 1) + (f"Attn{DOWN}" if attends else DOWN,),
        up_block_types=(f"Attn{UP}" if attends else UP,) + (UP,) * (len(widths) - 1),
        layers_per_block=2,
        **{name: value for name, value in shape.items() if name not in ("widths", "attends")},
    )


def full_size_weights(runtime, model_id: str):
    """(config, state, where they are from): a model's own where its files are here, else random ones in its shape."""
    from pipelines.runtime.device import CPU
    from pipelines.tokenise.models import load

    if model_id in (entry.id for entry in runtime.catalogue.of_topic("tokenise")):
        entry = runtime.catalogue.find(model_id)
        if runtime.availability(entry).state == "ready":
            module = load(runtime.resolve(entry), CPU).module
            return module.config, module.state_dict(), "its own weights"
    module = random_vq(SHAPES[model_id])
    return module.config, module.state_dict(), "random weights"


def measure_full_size(runtime, model_id: str, *, rounds: int) -> Iterator[str]:
    """Ours (as the app runs it, and compiled) against the library's eager float32: speed, and what it costs in dB."""
    import torch

    from pipelines.runtime.device import CPU
    from pipelines.tokenise.compare import psnr_db
    from pipelines.tokenise.models import wrap

    config, state, origin = full_size_weights(runtime, model_id)
    plain = wrap(model_id, config, state, placement=CPU, name=model_id).module.to(memory_format=torch.contiguous_format)
    model = wrap(model_id, config, state, placement=runtime.placement, name=model_id)
    eager, ours, clock = Bare(plain, model.device).both, Ours(model).both, synchronised_clock(model.device)
    pixels = picture(FULL_PX, model.cell)[: model.tile, : model.tile]  # whole, on both sides
    yield f"\n{model_id}, {origin}, {pixels.shape[1]} x {pixels.shape[0]} px, {str(model.dtype)[6:]} against float32"
    exact = eager(pixels)
    for name in ("as the app runs it", "and compiled"):
        if name == "and compiled":
            model.module.encoder = torch.compile(model.module.encoder)
            model.module.decoder = torch.compile(model.module.decoder)
        seconds = interleave(lambda: ours(pixels), lambda: eager(pixels), rounds=rounds, clock=clock)
        fastest, other = seconds.min(axis=0) * 1000
        low, middle, high = np.percentile(seconds[:, 1] / seconds[:, 0], (10, 50, 90))
        found = ours(pixels)
        lost = psnr_db(exact, pixels) - psnr_db(found, pixels)
        times = f"{middle:.2f} times as fast ({low:.2f}..{high:.2f}; goal 3)"
        yield f"  {name}: {fastest:.1f} ms, eager {other:.1f} ms: {times}"
        yield f"    {lost:+.3f} dB lost (goal <= 0.1); the two pictures are alike to {psnr_db(found, exact):.1f} dB"


def header(model, *, threads: int, rounds: int, clock_name: str) -> str:
    """What was measured on what."""
    import diffusers
    import torch

    on_gpu = model.device == "cuda"
    device = torch.cuda.get_device_name() if on_gpu else f"{platform.machine()} CPU, {threads} thread(s)"
    return (
        f"{model.id} on {device}, {str(model.dtype).removeprefix('torch.')} against float32; "
        f"torch {torch.__version__}, diffusers {diffusers.__version__}, Python {platform.python_version()}\n"
        f"{rounds} interleaved rounds, {clock_name}\n\n"
        f"{'':<42}{'ours ms':>9}{'bare ms':>9}{'ratio':>8}  {'10..90 %':<12}{'alike dB':>8}   goal"
    )


def parse() -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lucida-vqgan", help="an id of the catalogue")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--full-size", default="kandinsky-movq", choices=SHAPES, help="measured on a GPU")
    parser.add_argument("--models-dir", type=Path, help="where the full-size model's files lie")
    return parser.parse_args()


def main() -> None:
    """Print the table. The goal in milliseconds is that of the bundled model on two cores."""
    options = parse()
    from pipelines.runtime import context
    from pipelines.runtime.device import CPU, set_environment_defaults

    set_environment_defaults()
    import torch

    torch.set_num_threads(options.threads)
    runtime = context.configure(context.Settings(device=options.device, models_dir=options.models_dir))
    model = runtime.load(options.model)
    from pipelines.tokenise.models import load

    entry = runtime.resolve(runtime.catalogue.find(options.model))
    module = load(entry, replace(CPU)).module.to(memory_format=torch.contiguous_format)
    bare = Bare(module, model.device)
    # CPU time is not stretched by other programs, but adds up over threads.
    busy = model.device == "cpu" and options.threads == 1
    clock, name = (time.process_time, "CPU time") if busy else (synchronised_clock(model.device), "wall clock")
    print(header(model, threads=options.threads, rounds=options.rounds, clock_name=name), flush=True)
    for row in measure(model, bare, rounds=options.rounds, clock=clock):
        print(row.line(), flush=True)
    if model.device == "cuda":
        for line in measure_full_size(runtime, options.full_size, rounds=options.rounds):
            print(line, flush=True)
    else:
        print("\nNo GPU is used: the full-size model, optimised against eager float32, is measured on one alone.")


if __name__ == "__main__":
    main()
