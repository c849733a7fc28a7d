"""The process that downloads: started by hub.py, reads its task from stdin, prints one JSON line an event.

A process of its own because it can be stopped at any moment, in the middle of a read that hangs, too. What it
has written so far stays in the hub's cache, and the next download goes on from there.
"""

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from filelock import FileLock, Timeout
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status, tqdm

from pipelines.runtime.errors import UserError

# The library reads 10 MB at a time: on a slow line nothing would be heard of for longer than the app waits, and a
# broken piece would be lost whole.
constants.DOWNLOAD_CHUNK_SIZE = 256 * 1024
SECONDS_BETWEEN_EVENTS = 0.2


def emit(kind: str, **values: Any) -> None:
    """Tell the app of an event: one JSON line."""
    print(json.dumps({"kind": kind, **values}), flush=True)


class Meter(tqdm):
    """Says how many bytes have come, instead of drawing a bar."""

    base = 0  # bytes of the files before this one
    said = 0.0  # when it last spoke

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "disable": True})
        self.n = kwargs.get("initial") or 0

    def update(self, n: float | None = 1) -> None:
        """n more bytes have come (fewer, if negative); speaks a few times a second at most."""
        self.n += n or 0
        if time.monotonic() - Meter.said > SECONDS_BETWEEN_EVENTS:
            Meter.said = time.monotonic()
            emit("progress", done=int(Meter.base + self.n))


def plan(repo: str, *, revision: str | None, choices: Sequence[Sequence[str]], timeout_s: float):
    """Ask the hub which of the files it has: (commit, {name: bytes}), of each choice the first; weights first."""
    info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=timeout_s)
    sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or ()}
    found = {}
    for names in choices:
        name = next((name for name in names if name in sizes), None)
        if name is None and names[0].endswith(".safetensors"):
            raise UserError("errors.hub_no_safetensors", repo=repo)
        if name is None:
            raise UserError("errors.hub_file_missing", repo=repo, file=names[0])
        found[name] = sizes[name]
    return info.sha, found


def fetch(task: dict[str, Any]) -> None:
    """Download the files of a task (see hub.py), telling of the plan, the bytes and the end."""
    if "url" in task:
        fetch_published(task["url"], Path(task["target"]), sha256=task["sha256"], timeout_s=task["timeout_s"])
        emit("end")
        return
    repo, revision, timeout_s = task["repo"], task["revision"], task["timeout_s"]
    commit, sizes = plan(repo, revision=revision, choices=task["choices"], timeout_s=timeout_s)
    emit("plan", commit=commit, total=sum(sizes.values()))
    cache = Path(task["cache_dir"] or constants.HF_HUB_CACHE)
    for name, size in sizes.items():
        if name.endswith(".safetensors") or name in task["hashes"]:
            expected = task["hashes"].get(name)
            fetch_blob(repo, name, revision=revision, cache=cache, timeout_s=timeout_s, sha256=expected)
        hf_hub_download(repo, name, revision=revision, cache_dir=cache, etag_timeout=timeout_s, tqdm_class=Meter)
        Meter.base += size
        emit("progress", done=Meter.base)
    emit("end")


def fetch_blob(
    repo: str, name: str, *, revision: str | None, cache: Path, timeout_s: float, sha256: str | None
) -> None:
    """Put a large file into the hub's cache as a blob, going on from where an earlier download ended.

    hf_hub_download begins anew each time; it finds the blob and only adds its name.
    """
    url = hf_hub_url(repo, name, revision=revision)
    metadata = get_hf_file_metadata(url, timeout=timeout_s)
    folder = cache / repo_folder_name(repo_id=repo, repo_type="model") / "blobs"
    blob, part = folder / metadata.etag, folder / f"{metadata.etag}.part"
    if blob.exists():
        return
    # The hub names large files by their SHA-256: what was put together from pieces is compared with it.
    expected = sha256 or (metadata.etag if len(metadata.etag) == 64 else None)
    _fill(part, url, size=metadata.size, headers=build_hf_headers(), sha256=expected, name=name)
    part.replace(blob)


def fetch_published(url: str, target: Path, *, sha256: str, timeout_s: float) -> None:
    """Put the file at an address into ``target``, going on from where an earlier download ended.

    It gets its name only when its SHA-256 is the one meant. No token of the hub is sent to other servers.
    """
    if target.exists():
        return
    answer = get_session().head(url, timeout=timeout_s, follow_redirects=True, headers={"Accept-Encoding": "identity"})
    hf_raise_for_status(answer)
    if "text/html" in answer.headers.get("Content-Type", ""):
        raise UserError("errors.hub_not_hub", host=urlsplit(url).hostname)
    size = int(answer.headers.get("Content-Length", 0)) or None
    emit("plan", commit=None, total=size or 0)
    part = target.with_name(f"{target.name}.part")
    _fill(part, url, size=size, headers={"Accept-Encoding": "identity"}, sha256=sha256, name=target.name)
    part.replace(target)


def _fill(part: Path, url: str, *, size: int | None, headers: dict, sha256: str | None, name: str) -> None:
    """Append what is missing of a file, then check the whole if its SHA-256 is known."""
    part.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{part}.lock", timeout=0), part.open("ab") as file:
        http_get(url, file, resume_size=file.tell(), headers=headers, expected_size=size, tqdm_class=Meter)
    if sha256:
        _check(part, sha256, name=name)
    Path(f"{part}.lock").unlink(missing_ok=True)


def _check(part: Path, expected: str, *, name: str) -> None:
    """Hash the file, saying now and then that the work goes on; another file than the one meant is deleted."""
    digest = hashlib.sha256()
    with part.open("rb") as file:
        while block := file.read(1 << 26):
            digest.update(block)
            emit("checking")
    if digest.hexdigest() != expected:
        part.unlink()
        raise UserError("errors.weights_altered", name=name, expected=expected, found=digest.hexdigest())


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
    if isinstance(error, OfflineModeIsEnabled):
        return "errors.hub_offline"
    if isinstance(error, Timeout):  # of the lock: another process downloads the same file
        return "errors.hub_running"
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
    """The process; returns its exit code."""
    task = json.load(sys.stdin)
    emit("start")  # the imports above may have taken seconds
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
