"""Turns are fair: who asks first goes first, and a click gets in between the steps of a long run."""

import threading

import pytest

from pipelines.runtime.turns import FairLock, Turns


def wait_until(condition, *, seconds: float = 10.0):
    """Wait for a condition, looking often; fails the test when it never holds."""
    pause = threading.Event()
    for _ in range(int(seconds * 1000)):
        if condition():
            return
        pause.wait(0.001)
    raise AssertionError("the condition never held")


def start(target) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def join(*threads):
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_turns_go_in_the_order_of_asking():
    lock, order, threads = FairLock(), [], []

    def ask(name):
        lock.acquire()
        order.append(name)
        lock.release()

    lock.acquire()
    for name in range(5):
        threads.append(start(lambda name=name: ask(name)))
        wait_until(lambda name=name: lock.waiting == name + 1)
    lock.release()
    join(*threads)
    assert order == [0, 1, 2, 3, 4]


def test_a_click_gets_in_between_the_steps_of_a_long_run():
    turns, order, click = Turns(), [], []

    def run():
        for step in range(4):
            order.append(step)
            if step == 1:  # a click arrives while this step computes
                click.append(start(answer))
                wait_until(lambda: turns.waiting("cpu") == 1)
            yield step

    def answer():
        with turns.turn("cpu"):
            order.append("click")

    assert list(turns.steps("cpu", run())) == [0, 1, 2, 3]
    join(*click)
    assert order == [0, 1, "click", 2, 3]


def test_two_devices_do_not_wait_for_each_other():
    turns, done = Turns(), []

    def other():
        with turns.turn("cuda"):
            done.append(True)

    with turns.turn("cpu"):
        join(start(other))
    assert done


def test_only_one_at_a_time():
    turns, inside, most = Turns(), [], []

    def work():
        for _ in range(200):
            with turns.turn("cpu"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    join(*[start(work) for _ in range(4)])
    assert len(most) == 800
    assert max(most) == 1


def test_the_holder_may_take_its_turn_again():
    turns = Turns()
    with turns.turn("cpu"), turns.turn("cpu"):
        pass
    lock = FairLock()
    lock.acquire()
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()


def test_the_turn_is_free_after_an_error():
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.turn("cpu"):
        raise ZeroDivisionError
    done = []

    def other():
        with turns.turn("cpu"):
            done.append(True)

    join(start(other))
    assert done


def test_S02_closing_a_long_run_frees_the_turn_and_ends_the_generator():
    turns, ended = Turns(), []

    def run():
        try:
            while True:
                yield 1
        finally:
            ended.append(True)

    steps = turns.steps("cpu", run())
    next(steps)
    steps.close()
    assert ended
    assert turns.waiting("cpu") == 0
    with turns.turn("cpu"):
        pass


def test_an_interrupted_wait_leaves_the_queue():
    lock = FairLock()
    lock.acquire()
    ticket = threading.Event()
    lock._queue.append(ticket)
    lock._leave(ticket)
    assert lock.waiting == 0
    lock._queue.append(ticket)
    lock.release()  # the turn goes to the ticket whose owner is interrupted now
    lock._leave(ticket)
    done = []
    join(start(lambda: (lock.acquire(), done.append(True), lock.release())))
    assert done
