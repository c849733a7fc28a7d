"""The line in which long jobs wait: so many run at once, so many wait, first come first served.

Gradio's own queue has one limit for everything, so that short work would be refused when long work fills it, and it
tells the place in English only.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.runtime.errors import UserError


class Line:
    """at_once: jobs that run together. places: jobs that may wait besides."""

    def __init__(self, *, at_once: int, places: int):
        self._at_once, self._places = at_once, places
        self._changed = threading.Condition()
        self._tickets: list[Ticket] = []

    @contextmanager
    def join(self) -> Iterator["Ticket"]:
        """Stand in line until the block is left. Raises UserError when every place is taken."""
        ticket = Ticket(self)
        with self._changed:
            if len(self._tickets) >= self._at_once + self._places:
                raise UserError("errors.line_full", places=self._places)
            self._tickets.append(ticket)
        try:
            yield ticket
        finally:
            with self._changed:
                self._tickets.remove(ticket)
                self._changed.notify_all()

    def _place(self, ticket: "Ticket") -> int:
        return max(0, self._tickets.index(ticket) - self._at_once + 1)


class Ticket:
    """One job's place in a line."""

    def __init__(self, line: Line):
        self._line = line

    def place(self, *, patience_s: float = 0.0) -> int:
        """0 when it is this job's turn, else how far back it stands, from 1; waits so long for a change."""
        line = self._line
        with line._changed:
            before = line._place(self)
            if before:
                line._changed.wait_for(lambda: line._place(self) != before, timeout=patience_s)
            return line._place(self)
