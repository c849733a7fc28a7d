"""What a session keeps on the server: heavy results and private files, within a budget and for a limited time.

    session = sessions.of(request)
    session.put("classification", result, nbytes=120_000)
    session.get("classification")        # None when it was never there or has been freed

One budget of bytes holds for all sessions together. What was used longest ago goes first; what was not used for an
hour goes as well; a page that is closed frees all of its own.
"""

import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

BUDGET_BYTES = 512 * 2**20
TIME_TO_LIVE_S = 3600.0


@dataclass
class _Item:
    value: Any
    nbytes: int
    used_at: float


class Store:
    """All sessions' values by (session, key), least recently used first."""

    def __init__(self, *, budget_bytes: int, time_to_live_s: float, clock: Callable[[], float] = time.monotonic):
        self._budget, self._time_to_live, self._clock = budget_bytes, time_to_live_s, clock
        self._items: OrderedDict[tuple[str, str], _Item] = OrderedDict()
        self._folders: dict[str, tuple[Path, float]] = {}
        self._lock = threading.RLock()

    @property
    def nbytes(self) -> int:
        """Bytes that are held now."""
        with self._lock:
            return sum(item.nbytes for item in self._items.values())

    def put(self, session: str, key: str, value: Any, nbytes: int) -> bool:
        """Keep a value, freeing older ones; False when it is larger than the whole budget and is not kept."""
        with self._lock:
            self._items.pop((session, key), None)
            self._expire()
            if nbytes > self._budget:
                return False
            while self.nbytes + nbytes > self._budget:
                self._items.popitem(last=False)
            self._items[session, key] = _Item(value, nbytes, self._clock())
            return True

    def get(self, session: str, key: str) -> Any | None:
        """The value, which thereby counts as used; or None."""
        with self._lock:
            self._expire()
            item = self._items.get((session, key))
            if item is None:
                return None
            item.used_at = self._clock()
            self._items.move_to_end((session, key))
            return item.value

    def folder(self, session: str) -> Path:
        """The session's own folder of files that the page may fetch; its name cannot be guessed."""
        with self._lock:
            self._expire()
            path, _ = self._folders.get(session) or (cache() / f"session-{secrets.token_urlsafe(24)}", 0.0)
            path.mkdir(parents=True, exist_ok=True)
            self._folders[session] = path, self._clock()
            return path

    def forget(self, session: str) -> None:
        """Free all that the session keeps."""
        with self._lock:
            for owner, key in [name for name in self._items if name[0] == session]:
                del self._items[owner, key]
            if session in self._folders:
                _remove(self._folders.pop(session)[0])

    def _expire(self) -> None:
        oldest = self._clock() - self._time_to_live
        for name in [name for name, item in self._items.items() if item.used_at < oldest]:
            del self._items[name]
        for session in [session for session, (_, used_at) in self._folders.items() if used_at < oldest]:
            _remove(self._folders.pop(session)[0])


@dataclass(frozen=True)
class Session:
    """One visitor's page."""

    name: str
    store: Store

    def put(self, key: str, value: Any, nbytes: int) -> bool:
        return self.store.put(self.name, key, value, nbytes)

    def get(self, key: str) -> Any | None:
        return self.store.get(self.name, key)

    @property
    def folder(self) -> Path:
        return self.store.folder(self.name)


_STORE = Store(budget_bytes=BUDGET_BYTES, time_to_live_s=TIME_TO_LIVE_S)


def of(request: gr.Request) -> Session:
    """The session of a call. A call without one, as by plain REST, gets a session that nobody else can name."""
    return Session(request.session_hash or f"call-{secrets.token_urlsafe(24)}", _STORE)


def forget(request: gr.Request) -> None:
    """Free all of a session: for `demo.unload`."""
    if request.session_hash:
        _STORE.forget(request.session_hash)


def cache() -> Path:
    """Gradio's folder of temporary files, the only one that the page can fetch files from."""
    return Path(get_upload_folder()).resolve()


def is_own_file(path: str | Path) -> bool:
    """Whether a path that came from outside is a file inside that folder, links resolved."""
    try:
        path = Path(path).resolve()
        return path.is_relative_to(cache()) and path.is_file()
    except (OSError, ValueError):  # a NUL in the name, a name of 10,000 letters
        return False


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # a file still being sent is removed by the next start's clean-up
