"""A run as the time machine shows it: arrays small enough for the page, in files of their own.

A `Reel` is made of a `Denoising` once, after its picture has been shown; a stored one is read from a folder, so that
the machine can be scrubbed before a model has loaded.
"""

from __future__ import annotations

import json
import math
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from demos.shell import arrays
from demos.text_to_image import curves

SHEET_PX = 6_000_000  # pixels of one sheet; frames are made smaller where a long run would need more
FILES = ("x_t", "x0")
STEM, MOST_SHEETS = "sheet_", 32  # of a session's own sheets


@dataclass(frozen=True, eq=False)
class Reel:
    """B pictures over N calls of the UNet.

    x_t, x0: (B, N, H, W, 3) uint8, each with a size of its own. guidance: (B, N, h, w) float32, the mean over the
    latent channels of |eps_cond - eps_uncond|, or None in a run without guidance. sigma, timesteps, fixed: (N,).
    """

    x_t: np.ndarray
    x0: np.ndarray
    guidance: np.ndarray | None
    sigma: np.ndarray
    timesteps: np.ndarray
    fixed: np.ndarray

    @property
    def n(self) -> int:
        return len(self.sigma)

    @property
    def start(self) -> int:
        """Where the machine opens: the first step at which half of the picture is fixed."""
        half = np.flatnonzero(self.fixed >= 0.5)
        return int(half[0]) if len(half) else self.n - 1


def sheet(frames: np.ndarray) -> tuple[np.ndarray, int]:
    """(N, H, W, 3) -> one picture with the frames side by side and below each other, and how many stand in a row."""
    n, height, width = frames.shape[:3]
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    paper = np.zeros((rows * height, columns * width, 3), np.uint8)
    for i, frame in enumerate(frames):
        y, x = i // columns * height, i % columns * width
        paper[y : y + height, x : x + width] = frame
    return paper, columns


def fitted(frames: np.ndarray) -> np.ndarray:
    """The frames, made smaller where their sheet would pass SHEET_PX."""
    n, height, width = frames.shape[:3]
    share = math.sqrt(SHEET_PX / (n * height * width))
    if share >= 1:
        return frames
    size = max(8, int(width * share)), max(8, int(height * share))
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX)) for frame in frames])


def write(reel: Reel, folder: Path, *, stem: str = "") -> dict:
    """Write the sheets into the folder; returns what JSON can say of the reel, with the files' names."""
    pictures = []
    for b in range(len(reel.x0)):
        strips = {name: _write_sheet(getattr(reel, name)[b], folder / f"{stem}{name}_{b}") for name in FILES}
        pictures.append({**strips, "guidance": None if reel.guidance is None else scaled(reel.guidance[b])})
    return {
        "n": reel.n,
        "pictures": pictures,
        **{name: _plain(getattr(reel, name)) for name in ("sigma", "timesteps", "fixed")},
        "at": reel.start,
    }


def scaled(maps: np.ndarray) -> dict:
    """(N, h, w) -> {"map": packed uint8, each step from 0 to its own largest value, "most", "mean": those values}."""
    most, mean = maps.max(axis=(1, 2)), maps.mean(axis=(1, 2))
    shares = maps / np.where(most > 0, most, 1)[:, None, None]
    return {"map": arrays.pack(np.round(255 * shares).astype(np.uint8)), "most": _plain(most), "mean": _plain(mean)}


def _write_sheet(frames: np.ndarray, path: Path) -> dict:
    """Frames of a few cells are kept without loss; pictures as JPEG with full colour resolution."""
    frames = fitted(frames)
    height, width = frames.shape[1:3]
    paper, columns = sheet(frames)
    lossless = paper.shape[0] * paper.shape[1] <= 256 * 256
    path = path.with_suffix(".png" if lossless else ".jpg")
    Image.fromarray(paper).save(path, **({} if lossless else {"quality": 90, "subsampling": 0}))
    return {"file": path.name, "width": width, "height": height, "columns": columns}


def _plain(values: np.ndarray) -> list[float]:
    """Six digits are more than a page shows."""
    return [float(f"{value:.6g}") for value in values]


def private(reel: Reel, folder: Path) -> dict:
    """As `write`, under names that cannot be guessed: what `value` takes, in a session's own folder."""
    return write(reel, folder, stem=f"{STEM}{secrets.token_urlsafe(16)}_")


def tidy(folder: Path) -> None:
    """Delete the oldest sheets of a session, all but MOST_SHEETS: a track that comes back gets new ones."""
    sheets = sorted(folder.glob(f"{STEM}*"), key=lambda path: path.stat().st_mtime)
    for path in sheets[: max(len(sheets) - MOST_SHEETS, 0)]:
        path.unlink(missing_ok=True)


def value(said: dict, folder: Path) -> dict:
    """What the time machine takes: `write`'s answer, its files named for the page, and the curves."""
    pictures = [
        {**picture, **{name: {**picture[name], "file": _file(folder / picture[name]["file"])} for name in FILES}}
        for picture in said["pictures"]
    ]
    drawn = {"sigma_curve": curves.sigma(said["sigma"]).value(), "fixed_curve": curves.fixed(said["fixed"]).value()}
    return {**said, "pictures": pictures, **drawn}


def _file(path: Path) -> dict:
    return {"path": str(path), "orig_name": path.name, "meta": {"_type": "gradio.FileData"}}


def save(reel: Reel, folder: Path) -> None:
    """Keep a reel as `folder/reel.json` and its sheets: for the stored result."""
    said = write(reel, folder)
    (folder / "reel.json").write_text(json.dumps(said) + "\n", "utf-8")


def stored(folder: Path, cache: Path) -> dict | None:
    """The value of a reel that `save` wrote, its sheets copied to where the page may fetch files; None without one."""
    path = folder / "reel.json"
    if not path.is_file():
        return None
    said = json.loads(path.read_text("utf-8"))
    cache.mkdir(parents=True, exist_ok=True)
    for picture in said["pictures"]:
        for name in FILES:
            file = picture[name]["file"]
            (cache / file).write_bytes((folder / file).read_bytes())
    return value(said, cache)


# --- out of a run ---


def of(model, denoising, on_device) -> Reel:
    """The reel of a finished run. on_device(f, *args) runs f while holding the device, once a frame."""
    steps = denoising.steps
    x_t = [on_device(model.preview, step.x_t) for step in steps]
    x0 = [on_device(clean, model, step.x0) for step in steps]
    guidance = [_guidance(step) for step in steps]
    return Reel(
        x_t=np.stack(x_t, axis=1),
        x0=np.stack(x0, axis=1),
        guidance=None if any(one is None for one in guidance) else np.stack(guidance, axis=1),
        sigma=np.array([step.sigma for step in steps], np.float64),
        timesteps=np.array([step.timestep for step in steps], np.float64),
        fixed=_fixed(denoising),
    )


def clean(model, latents) -> np.ndarray:
    """(B, H, W, 3) uint8 of x0-hat (B, C, h, w): as finished pictures are decoded where that is cheap, by a tiny
    autoencoder, else as the live preview."""
    if type(model.pipeline.vae).__name__ != "AutoencoderTiny":
        return model.preview(latents)
    from pipelines.text_to_image.sample import decode

    return decode(model, latents.to(model.device))


def _guidance(step) -> np.ndarray | None:
    if step.eps_uncond is None:
        return None
    return (step.eps_cond - step.eps_uncond).abs().float().mean(dim=1).cpu().numpy()


def _fixed(denoising) -> np.ndarray:
    from pipelines.text_to_image.trace import fixed_share

    return np.asarray(fixed_share(denoising), np.float64)
