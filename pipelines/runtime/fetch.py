"""The process that downloads: started by hub.py, reads its task from stdin, prints one JSON line an event.

A process of its own because it can be stopped at any moment, in the middle of a read that hangs, too. What it
has written so far stays in the hub's cache, and the next download goes on from there.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import tqdm

from pipelines.runtime.errors import UserError


def emit(kind: str, **values: Any) -> None:
    print(json.dumps({"kind": kind, **values}), flush=True)


class Meter(tqdm):
    """Says how many bytes have come, instead of drawing a bar."""

    base = 0  # bytes of the files before this one

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "disable": True})
        self.n = kwargs.get("initial") or 0

    def update(self, n: float | None = 1) -> None:
        self.n += n or 0
        emit("progress", done=int(Meter.base + self.n))


def plan(repo: str, *, revision: str | None, weights: Sequence[str], files: Sequence[str], timeout_s: float):
    """Ask the hub which of the files it has: (commit, {name: bytes}), the weights first."""
    info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=timeout_s)
    sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or ()}
    found = next((name for name in weights if name in sizes), None)
    if found is None:
        raise UserError("errors.hub_no_safetensors", repo=repo)
    missing = [name for name in files if name not in sizes]
    if missing:
        raise UserError("errors.hub_file_missing", repo=repo, file=missing[0])
    return info.sha, {name: sizes[name] for name in (found, *files)}


def fetch(task: dict[str, Any]) -> None:
    repo, timeout_s = task["repo"], task["timeout_s"]
    commit, sizes = plan(
        repo, revision=task["revision"], weights=task["weights"], files=task["files"], timeout_s=timeout_s
    )
    emit("plan", commit=commit, total=sum(sizes.values()))
    paths = []
    for name, size in sizes.items():
        path = hf_hub_download(
            repo,
            name,
            revision=task["revision"] or commit,
            cache_dir=task["cache_dir"],
            etag_timeout=timeout_s,
            tqdm_class=Meter,
        )
        paths.append(Path(path))
        Meter.base += size
        emit("progress", done=Meter.base)
    if task["sha256"]:
        _check(paths[0], task["sha256"])
    emit("end", folder=str(paths[0].parent), weights=paths[0].name)


def _check(path: Path, expected: str) -> None:
    """Hash the file, saying now and then that the work goes on; another file than the one meant is deleted."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 26):
            digest.update(block)
            emit("checking")
    found = digest.hexdigest()
    if found != expected:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise UserError("errors.weights_altered", name=path.name, expected=expected, found=found)


def reason(error: BaseException) -> tuple[str, dict[str, Any]] | None:
    """The sentence for what the hub, the network or the disk did, through the chain of causes; None for a bug."""
    if isinstance(error, UserError):
        return error.key, error.values
    seen: BaseException | None = error
    while seen is not None:
        key = _key(seen)
        if key:
            return key, {}
        seen = seen.__cause__ or seen.__context__
    return None


def _key(error: BaseException) -> str | None:
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        status = error.response.status_code
        by_status = {401: "hub_denied", 403: "hub_denied", 404: "hub_not_found", 429: "hub_busy"}
        return f"errors.{by_status.get(status, 'hub_fault')}"
    if isinstance(error, httpx2.TimeoutException):
        return "errors.hub_silent"
    if isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError) or "Consistency check failed" in str(error):
        return "errors.hub_broke_off"
    if isinstance(error, httpx2.TransportError):
        return "errors.hub_unreachable"
    if isinstance(error, json.JSONDecodeError):
        return "errors.hub_not_hub"
    return "errors.hub_disk" if isinstance(error, OSError) and error.errno else None


def main() -> int:
    task = json.load(sys.stdin)
    try:
        fetch(task)
    except Exception as error:
        # The boundary of the process: what has a sentence becomes one, the rest is a bug and keeps its trace.
        found = reason(error)
        if found is None:
            raise
        emit("error", key=found[0], values=found[1])
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
