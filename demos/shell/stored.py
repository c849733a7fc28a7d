"""Finished results that a tab opens with: what they were made of, and where the page may fetch their files."""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from demos.shell import sessions


def hashed(paths: Iterable[Path]) -> str:
    """SHA-256 over these files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def served(source: Path, topic: str) -> Path:
    """A file of a stored result, copied to where the page may fetch files."""
    path = sessions.cache() / "stored" / topic / source.name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (path.is_file() and path.read_bytes() == source.read_bytes()):  # or an earlier version's
        shutil.copyfile(source, path)
    return path
