"""Downloads from the Hugging Face Hub and of published files: with progress, resumable, given up in seconds when
nothing comes."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from pipelines.runtime.catalogue import Entry, Hub, Web, in_folder
from pipelines.runtime.errors import UserError

HUGGING_FACE = "https://huggingface.co"
PATIENCE_S = 7.5  # with the start of the process, a hub that says nothing is given up within 10 seconds
ROOT = Path(__file__).resolve().parents[2]

_running: set[str] = set()
_running_guard = threading.Lock()


@dataclass(frozen=True)
class Progress:
    """Bytes so far and in all (0 until the hub has said it). commit: what the revision was resolved to."""

    done: int
    total: int
    commit: str | None


def present(entry: Entry, *, models_dir: Path | None = None, cache_dir: Path | None = None) -> Entry | None:
    """The entry with its files' folder, when they are all on this machine; asks no network.

    They may lie in the hub's cache, or in ``models_dir/<entry id>/`` (for machines without a network). A published
    file lies in ``models_dir`` under its own name, or where torch.hub keeps what it has downloaded.
    """
    source = entry.source
    if isinstance(source, Web):
        folders = (*((models_dir, models_dir / entry.id) if models_dir else ()), cache_dir or torch_cache())
        found = next((folder for folder in folders if (folder / source.name).is_file()), None)
        return in_folder(entry, found, weights=source.name) if found else None
    if not isinstance(source, Hub):
        raise ValueError(f"{entry.id} does not come from the hub")
    for folder in _folders(entry, models_dir, cache_dir):
        found = [next((name for name in names if (folder / name).is_file()), None) for names in source.choices]
        if all(found):
            return in_folder(entry, folder, weights=found[0])
    return None


def commit_of(entry: Entry) -> str | None:
    """The commit whose files these are: the pinned one, or the one that the hub's cache names."""
    if entry.folder is not None and entry.folder.parent.name == "snapshots":
        return entry.folder.name
    return entry.source.revision if isinstance(entry.source, Hub) else None


def _folders(entry: Entry, models_dir: Path | None, cache_dir: Path | None) -> Iterator[Path]:
    if models_dir is not None:
        yield models_dir / entry.id
    base = (cache_dir or _hub_cache()) / f"models--{entry.source.repo.replace('/', '--')}"
    revision = entry.source.revision or "main"
    reference = base / "refs" / revision
    yield base / "snapshots" / (reference.read_text().strip() if reference.is_file() else revision)


def torch_cache() -> Path:
    """The folder of torch.hub's checkpoints, found as torch finds it, without importing torch."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    return Path(home).expanduser() / "hub" / "checkpoints"


def _hub_cache() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def download(
    entry: Entry, *, patience_s: float = PATIENCE_S, cache_dir: Path | None = None, endpoint: str | None = None
) -> Iterator[Progress]:
    """Download the entry's files, yielding the progress; closing the generator stops it, bytes so far are kept.

    patience_s: how long nothing may come before it is given up. endpoint: another hub than the environment's.
    Raises UserError ``errors.hub_*`` when the hub refuses, hangs, answers with something else or breaks off, and
    ``errors.hub_running`` when this model is being downloaded already.
    """
    with _running_guard:
        if entry.id in _running:
            raise UserError("errors.hub_running", title=entry.title)
        _running.add(entry.id)
    try:
        yield from _follow(entry, patience_s=patience_s, cache_dir=cache_dir, endpoint=endpoint)
    finally:
        with _running_guard:
            _running.discard(entry.id)


def _follow(entry: Entry, *, patience_s: float, cache_dir: Path | None, endpoint: str | None) -> Iterator[Progress]:
    process = _start(entry, patience_s=patience_s, cache_dir=cache_dir, endpoint=endpoint)
    address = (
        entry.source.url if isinstance(entry.source, Web) else endpoint or os.environ.get("HF_ENDPOINT", HUGGING_FACE)
    )
    host = urlsplit(address).hostname
    done, total, commit = 0, 0, None
    try:
        for event in _events(process, patience_s):
            match event:
                case {"kind": "start"}:
                    continue
                case {"kind": "plan"}:
                    total, commit = event["total"], event["commit"]
                case {"kind": "progress"}:
                    done = event["done"]
                case {"kind": "error"}:
                    values = {"title": entry.title, **event["values"]}
                    raise _failure(event["key"], values, host=host, done=done)
                case {"kind": "end"}:
                    yield Progress(total, total, commit)
                    return
            yield Progress(done, total, commit)
        raise _failure("errors.hub_broke_off" if done else "errors.hub_silent", {}, host=host, done=done)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _failure(key: str, values: dict[str, Any], *, host: str | None, done: int) -> UserError:
    return UserError(key, **{"host": host, "done_mb": f"{done / 1e6:.0f}", **values})


def _start(entry: Entry, *, patience_s: float, cache_dir: Path | None, endpoint: str | None) -> subprocess.Popen:
    environment = {
        **os.environ,
        # Plain HTTP: it resumes, reports its bytes, and keeps its time limits; the other protocol does not all three.
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": str(max(1, int(patience_s))),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **({"HF_ENDPOINT": endpoint} if endpoint else {}),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.runtime.fetch"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process.stdin as stdin:
        json.dump(_task(entry.source, cache_dir) | {"timeout_s": patience_s}, stdin)
    return process


def _task(source: Hub | Web, cache_dir: Path | None) -> dict[str, Any]:
    """What the process is told to fetch (see fetch.py)."""
    if isinstance(source, Web):
        target = (cache_dir or torch_cache()) / source.name
        return {"url": source.url, "sha256": source.sha256, "target": str(target)}
    return {
        "repo": source.repo,
        "revision": source.revision,
        "choices": source.choices,
        "hashes": dict(source.known_hashes),
        "cache_dir": str(cache_dir) if cache_dir else None,
    }


def _events(process: subprocess.Popen, patience_s: float) -> Iterator[dict[str, Any]]:
    """The process's events until it ends or nothing has come for ``patience_s`` seconds.

    Raises RuntimeError when it ended by a bug of ours (its trace is in the log).
    """
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
    deadline = time.monotonic() + patience_s
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return
        if line is None:
            raise RuntimeError(f"the download process ended with code {process.wait()}")
        yield json.loads(line)
        deadline = time.monotonic() + patience_s


def _pump(stdout: TextIO, lines: "queue.Queue[str | None]") -> None:
    for line in stdout:
        lines.put(line)
    lines.put(None)
