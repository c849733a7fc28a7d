"""SHA-256 of every bundled file. ``python -m pipelines.runtime.manifest`` writes it, ``--check`` compares.

assets/models/manifest.sha256 has the form of the command sha256sum, which can check it too.
"""

import argparse
import hashlib
from functools import lru_cache
from pathlib import Path

from pipelines.runtime.catalogue import MODELS
from pipelines.runtime.errors import UserError

NAME = "manifest.sha256"
NOT_LISTED = (NAME, "catalogue.toml")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits; computed again only when size or time of the file changed."""
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(models: Path = MODELS) -> dict[str, str]:
    """{path below assets/models: SHA-256}; empty when there is no manifest."""
    path = models / NAME
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines if line)}


def check_folder(folder: str, *, models: Path = MODELS, needed: tuple[str, ...] = ()) -> None:
    """Compare every listed file below ``folder`` with its hash; the needed ones must be listed.

    Raises UserError: ``errors.bundled_missing`` (a file, or all of them) or ``errors.bundled_altered`` with both
    hashes, when one is cut, altered or exchanged.
    """
    listed = {name: digest for name, digest in read_manifest(models).items() if name.startswith(f"{folder}/")}
    if not listed:
        raise UserError("errors.bundled_missing", file=folder)
    for name in needed:
        if f"{folder}/{name}" not in listed:
            raise UserError("errors.bundled_missing", file=f"{folder}/{name}")
    for name, expected in listed.items():
        path = models / name
        if not path.is_file():
            raise UserError("errors.bundled_missing", file=name)
        found = sha256_of(path)
        if found != expected:
            raise UserError("errors.bundled_altered", file=name, expected=expected, found=found)


def list_files(models: Path = MODELS) -> dict[str, str]:
    """{path: SHA-256} of the bundled files as they are now; cards and hidden files are no part of a model."""
    files = sorted(path for path in models.rglob("*") if path.is_file())
    names = [path.relative_to(models).as_posix() for path in files]
    kept = [n for n in names if n not in NOT_LISTED and not n.endswith(".md") and not Path(n).name.startswith(".")]
    return {name: sha256_of(models / name) for name in kept}


def write_manifest(models: Path = MODELS) -> int:
    """Write the manifest of the files as they are now; returns how many."""
    listed = list_files(models)
    text = "".join(f"{digest}  {name}\n" for name, digest in listed.items())
    (models / NAME).write_text(text, encoding="utf-8")
    return len(listed)


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description="Write or check the SHA-256 of every bundled model file.")
    parser.add_argument("--check", action="store_true", help="only compare; exit code 1 when a file differs")
    if not parser.parse_args().check:
        print(f"{write_manifest()} files listed in {NAME}")
        return 0
    listed, now = read_manifest(), list_files()
    wrong = sorted(name for name in listed.keys() | now.keys() if listed.get(name) != now.get(name))
    print("\n".join(f"differs: {name}" for name in wrong) or f"{len(listed)} files are as listed")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
