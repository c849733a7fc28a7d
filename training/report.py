"""What a training run leaves for its reader: the chosen device, settings and versions, a sheet of pictures."""

import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

PACKAGES = ("torch", "diffusers", "transformers", "tokenizers", "numpy", "pillow")
LINE_PX = 12
GAP_PX = 4


def choose_device(name: str) -> str:
    """auto: CUDA if there is one."""
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def versions() -> dict[str, str]:
    """Versions of the packages a run depends on, and the revision of this repository."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    revision = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return found | {"revision": revision.stdout.strip()}


def command(arguments: Sequence[str]) -> str:
    """The command line that started a script, ``FOLDER`` in place of paths that are this machine's own."""
    script, *options = arguments
    said = ["FOLDER" if Path(option).is_absolute() else option for option in options]
    return " ".join(["python -m", f"training.{Path(script).stem}", *said])


def write_record(folder: Path, configs: Mapping[str, object], figures: Mapping[str, object]) -> None:
    """Write ``run.json``: command, every dataclass of settings (the seed is one), machine, versions, and figures."""
    settings = {name: asdict(config) for name, config in configs.items()}
    machine = {"threads": torch.get_num_threads(), "cuda": torch.cuda.is_available()}
    record = {"command": command(sys.argv), "settings": settings, "versions": versions(), **machine, "figures": figures}
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1, ensure_ascii=False, default=str)
    (folder / "run.json").write_text(text + "\n", encoding="utf-8")


def write_sheet(path: Path, pictures: Sequence[np.ndarray], *, columns: int, titles: Sequence[str] = ()) -> None:
    """Write (H, W, 3) uint8 pictures of one size as a grid on white, each above its title if there are titles."""
    height, width = pictures[0].shape[:2]
    step_y, step_x = height + GAP_PX + (LINE_PX if titles else 0), width + GAP_PX
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * step_x, rows * step_y), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=9)
    for number, picture in enumerate(pictures):
        x, y = number % columns * step_x, number // columns * step_y
        sheet.paste(Image.fromarray(picture), (x, y))
        if titles:
            pen.text((x, y + height), titles[number][: width // 5], fill="black", font=font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def to_bytes(pictures: torch.Tensor) -> np.ndarray:
    """(B, 3, H, W) floats, 0..1 after clamping, as (B, H, W, 3) uint8."""
    return pictures.clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
