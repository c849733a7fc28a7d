"""Handlers: errors as sentences, one long job a session, the device's turn."""

import errno
import inspect
import logging
import threading
import typing
from types import SimpleNamespace

import gradio as gr
import pytest

from demos.shell import jobs
from pipelines.runtime import context
from pipelines.runtime.errors import UserError

ALICE, BOB = SimpleNamespace(session_hash="alice"), SimpleNamespace(session_hash="bob")


def test_a_visitors_error_is_a_sentence_in_the_language_with_escaped_values():
    @jobs.short
    def handler(value, lang):
        raise UserError("errors.line_full", places=value)

    for lang, part in (("en", "All &lt;b&gt; waiting places"), ("zh", "&lt;b&gt; 个排队位置都满了")):
        with pytest.raises(gr.Error, match=part) as shown:
            handler("<b>", lang)
        assert shown.value.__cause__ is None
    assert "<b>" in jobs.sentence(UserError("errors.line_full", places="<b>"), "en", markup=False).message


def test_a_fault_is_told_by_its_id_and_logged_with_its_trace(caplog):
    @jobs.short
    def handler(lang):
        raise RuntimeError("/a/secret/path")

    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as shown:
        handler("zh")
    record = caplog.records[-1]
    assert record.args[0] in shown.value.message
    assert "secret" not in shown.value.message
    assert "secret" in str(record.exc_info[1])


def test_a_full_disk_and_gradios_own_errors_keep_their_meaning():
    full = jobs.sentence(OSError(errno.ENOSPC, "No space left on device", "/x"), "en")
    assert "disk is full" in full.message
    own = gr.Error("as it is")
    assert jobs.sentence(own, "zh") is own


def test_gradio_sees_the_handlers_parameters_and_fills_the_request():
    def plain(picture: int, lang: str):
        yield picture

    def asking(picture, lang, request: gr.Request):
        yield request

    wrapped = jobs.long(plain)
    assert list(inspect.signature(wrapped).parameters) == ["picture", "lang", "request"]
    assert typing.get_type_hints(wrapped)["request"] is gr.Request
    assert list(inspect.signature(jobs.long(asking)).parameters) == ["picture", "lang", "request"]
    assert list(wrapped(3, "en", ALICE)) == [3]
    assert list(jobs.long(asking)(3, "en", ALICE)) == [ALICE]
    with pytest.raises(TypeError, match="lang"):
        jobs.short(lambda picture: None)


@jobs.long
def counting(n, lang):
    yield from range(n)


def test_of_several_presses_the_newest_counts():
    """The run under way ends at its next step, one that still waits never begins, and only the newest goes on."""
    began = []

    def drawing(name, lang):
        began.append(name)
        for step in range(100):
            yield name, step

    press = jobs.long(drawing, replaces=True)
    first = press("first", "en", ALICE)
    assert next(first) == ("first", 0)
    ended, second, third = [], press("second", "en", ALICE), press("third", "en", ALICE)
    waiting = threading.Thread(target=lambda: ended.extend(second))
    waiting.start()
    with jobs._FREED:
        assert jobs._FREED.wait_for(lambda: "alice" in jobs._NEXT, timeout=10)
    newest = threading.Thread(target=lambda: ended.append(next(third)))
    newest.start()
    waiting.join(timeout=10)
    assert ended == [] and began == ["first"]
    assert list(first) == []
    newest.join(timeout=10)
    assert ended == [("third", 0)] and began == ["first", "third"]
    with pytest.raises(gr.Error, match="still going"):
        next(counting(5, "en", ALICE))  # of another kind: refused
    third.close()
    assert list(counting(2, "en", ALICE)) == [0, 1]


def test_a_session_has_one_long_job_and_a_cancelled_one_makes_room():
    first, other = counting(5, "en", ALICE), counting(5, "en", BOB)
    assert next(first) == 0
    assert next(other) == 0
    with pytest.raises(gr.Error, match="Another run of yours"):
        next(counting(5, "en", ALICE))
    assert next(first) == 1  # the refusal did not free the first one's place
    first.close()
    assert list(counting(2, "en", ALICE)) == [0, 1]
    other.close()


def test_cancel_speaks_after_the_job_has_ended():
    first, told = counting(5, "en", ALICE), []
    next(first)
    cancel = threading.Thread(target=lambda: told.append(jobs.stopped(ALICE)))
    cancel.start()
    cancel.join(timeout=0.2)
    assert told == []
    first.close()
    cancel.join(timeout=10)
    assert "Stopped" in told[0] and "已停止" in told[0]


def test_jobs_beyond_those_at_once_are_told_their_place():
    status = gr.HTML(render=False)
    waiting = jobs.long(counting.__wrapped__, status=status)
    runs = [counting(5, "en", SimpleNamespace(session_hash=f"s{i}")) for i in range(jobs.LONG_AT_ONCE)]
    assert [next(run) for run in runs] == [0] * jobs.LONG_AT_ONCE
    late, quiet = waiting(1, "en", ALICE), counting(1, "en", BOB)
    (told,) = next(late).values()
    assert "number 1 in the line" in told and "第 1 位" in told
    assert next(quiet) == gr.skip()
    runs[0].close()
    assert next(late) == 0
    for run in (*runs, late, quiet):
        run.close()


def test_a_call_without_a_session_may_run_beside_others():
    nobody = SimpleNamespace(session_hash=None)
    first, second = counting(2, "en", nobody), counting(2, "en", nobody)
    assert (next(first), next(second)) == (0, 0)
    first.close()
    second.close()


def test_short_work_gets_the_device_between_two_steps_of_long_work():
    context.configure(context.Settings(device="cpu", models="bundled"))
    order = []

    def work():
        for step in range(3):
            order.append(step)
            yield step

    run = jobs.steps(work())
    next(run)
    thread = threading.Thread(target=lambda: jobs.on_device(order.append, "click"))
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert list(run) == [1, 2]
    assert order == [0, "click", 1, 2]


def test_api_functions_answer_in_their_language_without_markup():
    @jobs.api
    def named(places: str, lang: str = "en"):
        """Doc."""
        raise UserError("errors.line_full", places=places)

    with pytest.raises(gr.Error, match="All <b> waiting"):
        named("<b>")
    with pytest.raises(gr.Error, match="都满了"):
        named(places="1", lang="zh")
    assert named.__doc__ == "Doc."
