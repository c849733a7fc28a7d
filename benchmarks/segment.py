"""Segment: a cached click against the first one, and the whole tab's work against bare segment_anything.

    python -m benchmarks.segment                     the bundled model, one thread, CPU time
    python -m benchmarks.segment --threads 2         the same on two threads, wall clock
    python -m benchmarks.segment --device cuda       and SAM ViT-H in size, random weights, on a GPU

Both sides use the same weights and pictures in one run, interleaved, and each row compares their masks. Ratios are
medians of paired rounds: on a busy machine times vary threefold, ratios little.
"""

import argparse
import copy
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.text_to_image import interleave, matrix_roof, synchronised_clock

REPO = Path(__file__).resolve().parents[1]
PICTURE = REPO / "assets" / "examples" / "raccoon.jpg"
LONGEST_PX = 1024  # the picture is enlarged to it: the largest that is answered at its own size
GRID = 16
GFLOP_ENCODER = {"vit_b": 972, "vit_l": 2986, "vit_h": 5961}  # 1,024 px (counted with torch.utils.flop_counter)


@dataclass(frozen=True)
class Row:
    """One line of the table. seconds: (rounds, 2), ours and the other. iou: of their masks, the mean."""

    name: str
    seconds: np.ndarray
    iou: float
    goal: str = ""

    def line(self) -> str:
        """The row as the table shows it."""
        ours, other = self.seconds.min(axis=0) * 1000
        low, middle, high = np.percentile(self.seconds[:, 0] / self.seconds[:, 1], (10, 50, 90))
        return (
            f"{self.name:<50}{ours:>9.1f}{other:>9.1f}{middle:>8.3f}  {low:.3f}..{high:.3f}"
            f"{self.iou:>9.4f}   {self.goal}"
        )


class Bare:
    """The same work as a script that knows segment_anything alone would write it, in float32."""

    def __init__(self, module, pixels: np.ndarray, thresholds):
        from segment_anything import SamAutomaticMaskGenerator, SamPredictor

        self.pixels = pixels
        self.predictor = SamPredictor(module)
        self.generator = SamAutomaticMaskGenerator(
            module,
            points_per_side=GRID,
            pred_iou_thresh=thresholds.iou,
            stability_score_thresh=thresholds.stability,
            box_nms_thresh=thresholds.nms,
        )

    def encode(self) -> None:
        """Read the picture."""
        self.predictor.set_image(self.pixels)

    def click(self, x: int, y: int) -> np.ndarray:
        """(3, H, W) bool."""
        return self.predictor.predict(point_coords=np.array([[x, y]]), point_labels=np.array([1]))[0]

    def everything(self) -> list[np.ndarray]:
        """The masks that are kept, (H, W) bool each."""
        return [record["segmentation"] for record in self.generator.generate(self.pixels)]


class Ours:
    """The tab's functions."""

    def __init__(self, model, pixels: np.ndarray, thresholds):
        from pipelines.segment import everything, marks, prompt
        from pipelines.segment.clicks import Click

        self.model, self.pixels, self.thresholds = model, pixels, thresholds
        self.everything_module, self.prompt = everything, prompt
        self.prompt_of = lambda x, y: marks.Prompt((Click(x, y, positive=True),))
        self.embedding = self.encode()

    def encode(self):
        """Read the picture."""
        return self.prompt.encode(self.model, self.pixels)

    def click(self, x: int, y: int):
        """An answer, and the mask that is shown first enlarged to the picture."""
        masks = self.prompt.predict(self.model, self.embedding, self.prompt_of(x, y))
        masks.mask(masks.best)
        return masks

    def first_click(self, x: int, y: int):
        """A click on a picture that is seen for the first time."""
        self.embedding = self.encode()
        return self.click(x, y)

    def everything(self) -> list[np.ndarray]:
        """The masks that are kept, (H, W) bool each."""
        *_, grid = self.everything_module.grid_pass(self.model, self.encode(), side=GRID)
        funnel = self.everything_module.filter(grid, self.thresholds)
        return [funnel.mask(grid, index) for index in funnel.kept]


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Mean IoU of pairs of masks (n, H, W); 1 for a pair of empty ones."""
    union = np.logical_or(one, other).sum(axis=(1, 2))
    both = np.logical_and(one, other).sum(axis=(1, 2))
    return float(np.where(union == 0, 1.0, both / np.maximum(union, 1)).mean())


def matched(ours: list[np.ndarray], other: list[np.ndarray]) -> float:
    """Mean over the other side's masks of the best IoU that one of ours has with it, on every fourth pixel."""
    flat = [np.stack(masks)[:, ::4, ::4].reshape(len(masks), -1).astype(np.float32) for masks in (ours, other)]
    both = flat[1] @ flat[0].T
    union = flat[1].sum(axis=1)[:, None] + flat[0].sum(axis=1) - both
    return float((both / np.maximum(union, 1)).max(axis=1).mean())


def measure(model, bare_module, pixels: np.ndarray, *, rounds: int, clock: Callable[[], float]) -> Iterator[Row]:
    """All rows for one model, each when it is measured."""
    from pipelines.segment.everything import Thresholds

    # Low, so that the filters keep many masks of a small model, too.
    thresholds = Thresholds(iou=0, stability=0.5)
    ours, bare = Ours(model, pixels, thresholds), Bare(bare_module, pixels, thresholds)
    x, y = pixels.shape[1] // 2, pixels.shape[0] // 2

    def click():
        return ours.click(x, y)

    bare.encode()
    points = [(x * i // 4, y * j // 4) for i in range(1, 8, 2) for j in range(1, 8, 2)]
    clicks = [(ours.click(*point), bare.click(*point)) for point in points]
    same = float(np.mean([iou(np.stack([one.mask(t) for t in (1, 2, 3)]), other) for one, other in clicks]))
    kept = ours.everything(), bare.everything()
    few = max(3, rounds // 3)
    # fmt: off
    plan = [
        ("a click / the first click, which encodes", click, lambda: ours.first_click(x, y), 1.0, "<= 0.167", rounds),
        ("read a picture / SamPredictor.set_image", ours.encode, bare.encode, same, "<= 400 ms", rounds),
        ("a click / SamPredictor.predict", click, lambda: bare.click(x, y), same, "<= 60 ms", rounds),
        (f"everything, {GRID} x {GRID} points, {len(kept[0])} masks / its generator", ours.everything, bare.everything,
         matched(*kept), f"<= 5,000 ms; {len(kept[1])} masks there", few),
    ]
    # fmt: on
    for name, one, other, agreement, goal, count in plan:
        yield Row(name, interleave(one, other, rounds=count, clock=clock), agreement, goal)


def random_sam(architecture: str):
    """segment_anything's own class of this size with its own first weights; relative positions are not left at zero."""
    import torch
    from segment_anything import sam_model_registry

    torch.manual_seed(0)
    sam = sam_model_registry[architecture]().eval()
    for name, parameter in sam.image_encoder.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            torch.nn.init.trunc_normal_(parameter, std=0.02)
    return sam


def measure_full_size(placement, architecture: str, *, rounds: int) -> list[str]:
    """Our encoder against the library's float32 one: speed, difference, and share of the measured matrix roof."""
    import torch

    from pipelines.segment.models import encode_image, wrap

    plain = random_sam(architecture).to(placement.device)
    model = wrap(architecture, copy.deepcopy(plain), placement=placement)
    side = model.image_size
    picture = torch.randn(1, 3, side, side, device=placement.device)
    with torch.inference_mode():
        exact, ours = plain.image_encoder(picture), encode_image(model, picture)[0].float()
        difference = float((exact - ours).norm() / exact.norm())
        clock = synchronised_clock(placement.device)
        seconds = interleave(
            lambda: encode_image(model, picture), lambda: plain.image_encoder(picture), rounds=rounds, clock=clock
        )
    low, middle, high = np.percentile(seconds[:, 1] / seconds[:, 0], (10, 50, 90))
    tflop = GFLOP_ENCODER[architecture] / 1000
    roof = matrix_roof(placement.device, model.dtype)
    fastest, other = seconds.min(axis=0)
    return [
        f"\nSAM {architecture}, random weights, {side} px, batch 1, {str(model.dtype).removeprefix('torch.')}",
        f"  encoder: ours {fastest * 1000:.1f} ms, segment_anything in float32 {other * 1000:.1f} ms:"
        f" {middle:.2f} times as fast ({low:.2f}..{high:.2f}; goal 6)",
        f"  embedding: relative difference {difference:.1e}",
        f"  {tflop:.1f} TFLOP: {tflop / fastest / roof:.0%} of the measured roof of {roof:.0f} TFLOP/s",
    ]


def header(model, pixels: np.ndarray, *, threads: int, rounds: int, clock_name: str) -> str:
    """What was measured on what."""
    import torch

    on_gpu = model.device == "cuda"
    device = torch.cuda.get_device_name() if on_gpu else f"{platform.machine()} CPU, {threads} thread(s)"
    return (
        f"{model.id} on {device}, {str(model.dtype).removeprefix('torch.')} against float32; "
        f"torch {torch.__version__}, segment_anything 1.0, Python {platform.python_version()}\n"
        f"picture {pixels.shape[1]} x {pixels.shape[0]}, read at {model.image_size} px; {rounds} interleaved rounds, "
        f"{clock_name}\n\n"
        f"{'':<50}{'ours ms':>9}{'other ms':>9}{'ratio':>8}  {'10..90 %':<12}{'mask IoU':>9}   goal"
    )


def main() -> None:
    """Print the table. The goals in milliseconds are those of the bundled model on two cores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lucida-sam", help="an id of the catalogue")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--full-size", default="vit_h", choices=GFLOP_ENCODER, help="measured on a GPU")
    options = parser.parse_args()

    from pipelines.runtime import context
    from pipelines.runtime.device import set_environment_defaults
    from pipelines.runtime.pictures import open_picture

    set_environment_defaults()
    import time

    import torch
    from PIL import Image

    torch.set_num_threads(options.threads)
    runtime = context.configure(context.Settings(device=options.device))
    model = runtime.load(options.model)
    entry = runtime.resolve(runtime.catalogue.find(options.model))
    from pipelines.segment.models import load

    bare = load(entry, replace(runtime.placement, device="cpu", dtype="float32")).module.to(model.device)
    picture = Image.fromarray(open_picture(PICTURE).pixels)
    scale = LONGEST_PX / max(picture.size)
    pixels = np.asarray(picture.resize((round(picture.width * scale), round(picture.height * scale))))
    # CPU time is not stretched by other programs, but adds up over threads.
    busy = model.device == "cpu" and options.threads == 1
    clock, name = (time.process_time, "CPU time") if busy else (synchronised_clock(model.device), "wall clock")
    print(header(model, pixels, threads=options.threads, rounds=options.rounds, clock_name=name), flush=True)
    for row in measure(model, bare, pixels, rounds=options.rounds, clock=clock):
        print(row.line(), flush=True)
    if model.device == "cuda":
        print("\n".join(measure_full_size(runtime.placement, options.full_size, rounds=options.rounds)))


if __name__ == "__main__":
    main()
