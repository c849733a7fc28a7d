"""What shipping any model has in common: a folder made beside the old one, checked, then put in its place."""

import math
import os
import shutil
from pathlib import Path

from PIL import Image
from safetensors import safe_open

from pipelines.runtime.manifest import sha256_of

MOST_BYTES_A_FILE = int(9.5 * 2**20)
QUALITY = 80


def stage(source: Path, folder: Path) -> Path:
    """A copy of a run's model folder beside the folder that it shall replace."""
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial)
    return partial


def check_sizes(folder: Path, *, most: int, most_a_file: int = MOST_BYTES_A_FILE) -> int:
    """The folder's bytes; nothing ships that is larger than the app allows.

    Raises:
        ValueError: a file or the folder is too large.
    """
    sizes = {file: file.stat().st_size for file in folder.rglob("*") if file.is_file()}
    large = [file.name for file, size in sizes.items() if size > most_a_file]
    if large or sum(sizes.values()) > most:
        raise ValueError(f"too large: {sum(sizes.values())} bytes in all, files over the limit: {large}")
    return sum(sizes.values())


def put(partial: Path, folder: Path, *, most: int, most_a_file: int = MOST_BYTES_A_FILE) -> int:
    """Put a finished folder in the place of the old one, which stays when it is too large; returns its bytes.

    Raises:
        ValueError: as ``check_sizes``.
    """
    size = check_sizes(partial, most=most, most_a_file=most_a_file)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return size


def check_measured(figures: dict, weights: Path) -> None:
    """Refuse figures of other weights: a card says what its own weights do.

    Raises:
        ValueError: the SHA-256 in the figures is another.
    """
    if figures["weights"] != sha256_of(weights):
        raise ValueError(f"the figures are of other weights than {weights}: measure again")


def as_webp(source: Path, target: Path) -> None:
    """Write a sheet smaller."""
    with Image.open(source) as sheet:
        sheet.save(target, quality=QUALITY, method=6)


def numbers_in(weights: Path) -> int:
    """How many numbers a safetensors file holds."""
    with safe_open(weights, "pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
