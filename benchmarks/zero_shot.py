"""The Zero-shot tab's work against bare open_clip, in one run, interleaved, on one thread.

    python -m benchmarks.zero_shot                 the bundled model
    python -m benchmarks.zero_shot --model clip-vit-b-32 --rounds 15

Both sides use the same weights, the same picture and the same precision, and each row checks that they give the same
numbers before it is timed. Ratios are medians of paired rounds: on a busy machine times vary threefold, ratios little.
"""

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parents[1]
PICTURE = REPO / "assets" / "examples" / "cat.jpg"
LABELS = ("cat", "dog", "red car", "猫", "一辆自行车", "a cup of coffee", "mountain", "rocket", "butterfly", "coins")


@dataclass(frozen=True)
class Row:
    """One line of the table. seconds: (rounds, 2), ours and bare. difference: of the outputs, checked."""

    name: str
    seconds: np.ndarray
    difference: float
    limit_s: float | None = None

    def line(self) -> str:
        """The row as the table shows it."""
        ours, bare = self.seconds.min(axis=0) * 1000
        ratios = np.sort(self.seconds[:, 0] / self.seconds[:, 1])
        low, middle, high = np.percentile(ratios, (10, 50, 90))
        median = float(np.median(self.seconds[:, 0]))
        budget = "" if self.limit_s is None else f"{median:.2f} of {self.limit_s} s"
        return (
            f"{self.name:<42}{ours:>9.1f}{bare:>9.1f}{middle:>8.2f}  {low:.2f}..{high:.2f}"
            f"   {self.difference:>8.1e}  {budget}"
        )


def clock_of(device: str) -> Callable[[], float]:
    """CPU time on the CPU, which other programs do not stretch; wall clock beside a GPU."""
    return time.process_time if device == "cpu" else time.perf_counter


def interleave(ours: Callable[[], object], bare: Callable[[], object], *, rounds: int, clock) -> np.ndarray:
    """A B A B ...: (rounds, 2) seconds, after one call of each that is not counted."""
    ours(), bare()
    seconds = np.empty((rounds, 2))
    for number in range(rounds):
        for column, work in enumerate((ours, bare)):
            started = clock()
            work()
            seconds[number, column] = clock() - started
    return seconds


def measure(model, pixels: np.ndarray, *, rounds: int) -> list[Row]:
    """All rows for one model."""
    from pipelines.zero_shot.classify import classify, encode_labels
    from pipelines.zero_shot.evidence import gradient_map, occlusion

    bare = Bare(model, pixels)

    def fresh():
        model.text_cache.clear()
        return classify(model, pixels, LABELS)

    def cached():
        return classify(model, pixels, LABELS)

    feature = fresh().text_features[0]
    many = tuple(f"{label} {number}" for label in LABELS for number in range(10))

    def many_fresh():
        model.text_cache.clear()
        return encode_labels(model, many)

    same = float(np.abs(cached().cosines - bare.classify()).max())
    drop = float(np.abs(bare.occlude(feature) - [*occlusion(model, pixels, feature)][-1].values.ravel()).max())
    texts = float(np.abs(encode_labels(model, many).features - bare.texts(many)).max())
    score = abs(gradient_map(model, pixels, feature).score - float(bare.classify()[0]))
    # fmt: off
    plan = [
        ("classify, 10 labels never seen", fresh, bare.classify, same, 0.3),
        ("classify, 10 labels in the text cache", cached, bare.classify, same, 0.3),
        ("encode 100 labels never seen", many_fresh, lambda: bare.texts(many), texts, None),
        ("gradient map / bare forward pass", lambda: gradient_map(model, pixels, feature), bare.image, score, 1.0),
        ("occlusion, 49 cells / bare batches of 8", lambda: [*occlusion(model, pixels, feature)],
         lambda: bare.occlude(feature), drop, None),
    ]
    # fmt: on
    return [
        Row(name, interleave(ours, reference, rounds=rounds, clock=clock_of(model.device)), difference, limit)
        for name, ours, reference, difference, limit in plan
    ]


class Bare:
    """The same work as a script that knows open_clip alone would write it."""

    def __init__(self, model, pixels: np.ndarray):
        import torch
        from open_clip.transform import image_transform_v2
        from PIL import Image

        self.torch, self.model, self.module = torch, model, model.module
        self.transform = image_transform_v2(model.preprocess.config, is_train=False)
        self.picture = Image.fromarray(pixels)
        self.view = model.preprocess.view(pixels).pixels

    def image(self):
        """Transform and encode one picture: (1, D), unit length."""
        with self.torch.no_grad():
            images = self.transform(self.picture)[None].to(self.model.device, self.model.dtype)
            return self.module.encode_image(images, normalize=True)

    def texts(self, labels: tuple[str, ...]) -> np.ndarray:
        """Tokenise and encode: (L, D), unit length."""
        with self.torch.no_grad():
            tokens = self.model.tokenizer(list(labels)).to(self.model.device)
            return self.module.encode_text(tokens, normalize=True).float().cpu().numpy()

    def classify(self) -> np.ndarray:
        """Cosines (L,) of the ten labels."""
        return self.texts(LABELS) @ self.image()[0].float().cpu().numpy()

    def occlude(self, feature: np.ndarray) -> np.ndarray:
        """Score drops of a 7 x 7 grid of blurred cells, in batches of 8: (49,)."""
        from PIL import Image, ImageFilter

        size = self.view.shape[0]
        blurred = np.asarray(Image.fromarray(self.view).filter(ImageFilter.GaussianBlur(0.08 * size)))
        views = [self.view]
        for cell in range(49):
            covered = self.view.copy()
            rows = np.flatnonzero(np.arange(size) * 7 // size == cell // 7)
            columns = np.flatnonzero(np.arange(size) * 7 // size == cell % 7)
            covered[np.ix_(rows, columns)] = blurred[np.ix_(rows, columns)]
            views.append(covered)
        images = self.torch.stack([self.transform(Image.fromarray(view)) for view in views])
        with self.torch.no_grad():
            parts = images.to(self.model.device, self.model.dtype).split(8)
            features = self.torch.cat([self.module.encode_image(part, normalize=True) for part in parts])
        scores = features.float().cpu().numpy() @ feature
        return scores[0] - scores[1:]


def header(model, pixels: np.ndarray, *, threads: int, rounds: int) -> str:
    """What was measured on what."""
    import open_clip
    import torch

    device = (
        torch.cuda.get_device_name() if model.device == "cuda" else f"{platform.machine()} CPU, {threads} thread(s)"
    )
    return (
        f"{model.id} on {device}, {str(model.dtype).removeprefix('torch.')}; torch {torch.__version__}, "
        f"open_clip {open_clip.__version__}, Python {platform.python_version()}\n"
        f"picture {pixels.shape[1]} x {pixels.shape[0]}, view {model.preprocess.size_hw[0]} px, batch 1; "
        f"{rounds} interleaved rounds, {'CPU time' if model.device == 'cpu' else 'wall clock'}\n\n"
        f"{'':<42}{'ours ms':>9}{'bare ms':>9}{'ratio':>8}  {'10..90 %':<10}   {'max diff':>8}  median of the limit"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lucida-clip", help="an id of the catalogue")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()

    from pipelines.runtime import context
    from pipelines.runtime.device import set_environment_defaults
    from pipelines.runtime.pictures import open_picture

    set_environment_defaults()
    import torch

    torch.set_num_threads(options.threads)
    model = context.configure(context.Settings(device=options.device)).load(options.model)
    pixels = open_picture(PICTURE).pixels
    print(header(model, pixels, threads=options.threads, rounds=options.rounds))
    for row in measure(model, pixels, rounds=options.rounds):
        print(row.line(), flush=True)


if __name__ == "__main__":
    main()
