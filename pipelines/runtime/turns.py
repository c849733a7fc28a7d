"""One fair lock a device: who asks first computes first, and long work asks again for each step."""

import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager


class FairLock:
    """A lock that is handed on in the order of asking; the thread that holds it may take it again.

    threading.Lock gives no order: a loop that releases and takes it at once usually gets it back, and a
    click would wait for a whole run.
    """

    def __init__(self):
        self._guard = threading.Lock()
        self._queue: deque[threading.Event] = deque()
        self._holder: int | None = None
        self._depth = 0

    def acquire(self) -> None:
        """Wait for the turn, behind those who asked before."""
        me = threading.get_ident()
        with self._guard:
            if self._holder == me:
                self._depth += 1
                return
            if self._holder is None:
                self._holder, self._depth = me, 1
                return
            ticket = threading.Event()
            self._queue.append(ticket)
        try:
            ticket.wait()
        except BaseException:
            self._leave(ticket)
            raise
        self._holder, self._depth = me, 1

    def release(self) -> None:
        """Give the turn to the next. Raises RuntimeError in a thread that does not hold it."""
        with self._guard:
            if self._holder != threading.get_ident():
                raise RuntimeError("only the thread that holds the turn can give it back")
            self._depth -= 1
            if self._depth == 0:
                self._hand_on()

    @property
    def waiting(self) -> int:
        """How many threads stand in the queue."""
        with self._guard:
            return len(self._queue)

    def _hand_on(self) -> None:
        """Give the lock to the first in the queue. Until its thread wakes, the lock is held by nobody's id."""
        if self._queue:
            self._holder, self._depth = -1, 1
            self._queue.popleft().set()
        else:
            self._holder, self._depth = None, 0

    def _leave(self, ticket: threading.Event) -> None:
        """An interrupted wait: leave the queue, or pass on the turn that came meanwhile."""
        with self._guard:
            if ticket in self._queue:
                self._queue.remove(ticket)
            else:
                self._hand_on()


class Turns:
    """The locks of all devices, by name."""

    def __init__(self):
        self._guard = threading.Lock()
        self._locks: dict[str, FairLock] = {}

    @contextmanager
    def turn(self, device: str) -> Iterator[None]:
        """Hold the device: ``with turns.turn("cpu"): ...``."""
        lock = self._lock(device)
        lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def steps(self, device: str, generator: Generator) -> Generator:
        """Pass on what the generator yields, holding the device only while it computes its next step."""
        try:
            while True:
                with self.turn(device):
                    try:
                        step = next(generator)
                    except StopIteration:
                        return
                yield step
        finally:
            generator.close()

    def waiting(self, device: str) -> int:
        """How many threads wait for the device now."""
        return self._lock(device).waiting

    def _lock(self, device: str) -> FairLock:
        with self._guard:
            return self._locks.setdefault(device, FairLock())
