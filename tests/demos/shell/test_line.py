"""The line of long jobs."""

import contextlib
import threading

import pytest

from demos.shell.line import Line
from pipelines.runtime.errors import UserError


def test_places_count_from_the_front():
    line = Line(at_once=2, places=3)
    with contextlib.ExitStack() as stack:
        tickets = [stack.enter_context(line.join()) for _ in range(5)]
        assert [ticket.place() for ticket in tickets] == [0, 0, 1, 2, 3]
        with pytest.raises(UserError) as refused, line.join():
            pass
        assert refused.value.key == "errors.line_full"
        assert refused.value.values == {"places": 3}
    with line.join() as ticket:
        assert ticket.place() == 0


def test_leaving_moves_up_those_behind_in_their_order():
    line = Line(at_once=1, places=3)
    first, second, third = (line.join() for _ in range(3))
    first.__enter__()
    waiting, last = second.__enter__(), third.__enter__()
    second.__exit__(None, None, None)  # cancelled while waiting
    assert last.place() == 1
    first.__exit__(None, None, None)
    assert last.place() == 0
    third.__exit__(None, None, None)
    with pytest.raises(ValueError, match="not in list"):
        waiting.place()


def test_a_waiting_job_is_woken_when_its_turn_comes():
    line = Line(at_once=1, places=1)
    front = line.join()
    front.__enter__()
    seen = []

    def wait():
        with line.join() as ticket:
            ready.set()
            while place := ticket.place(patience_s=30.0):
                seen.append(place)
            seen.append("in")

    ready = threading.Event()
    thread = threading.Thread(target=wait)
    thread.start()
    assert ready.wait(10)
    front.__exit__(None, None, None)
    thread.join(10)
    assert seen[-1] == "in"
