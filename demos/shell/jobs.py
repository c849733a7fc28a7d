"""One way to run a handler: whose turn it is, errors as sentences, one long job a session.

    go.click(jobs.short(classify), [picture, labels, page.lang], bars, **jobs.SHORT)
    run.click(jobs.long(occlude, status=line), [picture, page.lang], [line, heat], **jobs.LONG)

Short work (a click, a classification) starts at once and takes the device for one turn. Long work is a generator: it
waits in a line of its own, is told its place there, takes the device a step at a time, and ends at the next step when
it is cancelled or its page is closed.
"""

import errno
import functools
import html
import inspect
import logging
import secrets
import threading
import typing
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager

import gradio as gr

from demos.shell import models
from demos.shell.line import Line
from demos.shell.words import say, spans
from pipelines.runtime.errors import UserError

log = logging.getLogger("camera_lucida")

LONG_AT_ONCE = 2  # they share the device step by step
WAITING_PLACES = 20
SHORT = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
LONG = {"concurrency_id": "long", "concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}

_LINE = Line(at_once=LONG_AT_ONCE, places=WAITING_PLACES)
PATIENCE_S = 2.0  # a job that was just cancelled ends at its next step: the next press of the button waits for that
REPLACING_S = 60.0  # as long may a step take in which the job before is replaced

_BUSY: dict[str, "_Job"] = {}  # a session's long job, guarded by the condition below
_NEXT: dict[str, "_Job"] = {}  # the newest that waits to replace it
_FREED = threading.Condition()
_ENDED = object()


def short(handler: Callable) -> Callable:
    """Wrap a function that has a parameter `lang`: whatever it raises becomes a sentence in that language."""
    lang_at = _position(handler, "lang")

    @functools.wraps(handler)
    def run(*args):
        try:
            return handler(*args)
        except Exception as error:  # every fault must reach the visitor as a sentence
            raise sentence(error, args[lang_at]) from None

    return run


def long(
    handler: Callable[..., Generator], *, status: gr.HTML | None = None, replaces: bool = False
) -> Callable[..., Generator]:
    """Wrap a generator that has a parameter `lang`, as `short` does; a session has one long job at a time.

    status: an output of this event that says the place in the line while the job waits. replaces: of several presses
    the newest counts: one that is under way ends at its next step. A second job of another kind is refused.
    """
    lang_at, request_at = _position(handler, "lang"), _request_position(handler)

    @functools.wraps(handler)
    def run(*args):
        asker = args[-1 if request_at is None else request_at]
        wanted = args[:-1] if request_at is None else args
        try:
            with _only_one(asker.session_hash, run, replaces=replaces) as job, _LINE.join() as ticket:
                while not job.replaced and (place := ticket.place(patience_s=0.5)):
                    yield {status: waiting(place)} if status else gr.skip()
                with closing(handler(*wanted)) as updates:
                    while not job.replaced and (update := next(updates, _ENDED)) is not _ENDED:
                        yield update
        except Exception as error:  # as above
            raise sentence(error, args[lang_at]) from None

    if request_at is None:
        _add_request(run, handler)
    return run


def api(function: Callable) -> Callable:
    """Wrap a function of the named API. Its errors are told in its argument `lang`, else in English."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except Exception as error:  # as above
            lang = signature.bind_partial(*args, **kwargs).arguments.get("lang", "en")
            raise sentence(error, lang, markup=False) from None

    return run


def on_device(function: Callable, *args, **kwargs):
    """Run the function while holding the device that the app computes on."""
    runtime = models.runtime()
    with runtime.turns.turn(runtime.placement.device):
        return function(*args, **kwargs)


def steps(generator: Generator) -> Generator:
    """Pass on what the generator yields, holding the device only while it computes its next step."""
    runtime = models.runtime()
    return runtime.turns.steps(runtime.placement.device, generator)


def status_line(said: str = "", **kwargs) -> gr.HTML:
    """A line that says how a long job is going, first with this HTML; screen readers hear it."""
    return gr.HTML(said, elem_classes="lucida-status", **kwargs)


def wire_stop(stop: gr.Button, running: Sequence, *, status: gr.HTML) -> None:
    """Let a button cancel these long jobs; the status line then says so."""
    stop.click(None, cancels=list(running))  # first: the page deals with a press's listeners one after the other
    stop.click(stopped, None, status, **SHORT)


def stopped(request: gr.Request) -> str:
    """What a status line says after Cancel, once the session's job has ended: an update of the job that was on its way
    would else come after it.
    """
    with _FREED:
        _FREED.wait_for(lambda: request.session_hash not in _BUSY, timeout=REPLACING_S)
    return spans("shell.cancelled")


def waiting(place: int) -> str:
    """The status line of a job that is the `place`-th in the line, from 1."""
    return spans("shell.waiting", place=place)


def sentence(error: Exception, lang: str, *, markup: bool = True) -> gr.Error:
    """The error as the visitor reads it; what is not the visitor's own is logged with its trace and an id.

    markup: the page shows the sentence as HTML, so that the values in it must be escaped; the API shows text.
    """
    if isinstance(error, gr.Error):
        return error
    readable = explained(error)
    told = say(readable.key, lang, **readable.values).encode(errors="replace").decode()  # lone surrogates end a stream
    told = html.escape(told, quote=False) if markup else told
    return gr.Error(told, title=say("shell.error", lang), print_exception=False)


def explained(error: Exception) -> UserError:
    """The error as one that has a sentence. Logs it: a visitor's in one line, a fault with its trace and an id."""
    if isinstance(error, UserError):
        log.info("refused: %s", error)
        return error
    fault = secrets.token_hex(4)
    log.error("fault %s", fault, exc_info=error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return UserError("errors.disk_full")
    return UserError("errors.fault", id=fault)


class _Job:
    """A long job of a session. kind: the wrapped handler. replaced: it shall end, a newer one of its kind is there."""

    def __init__(self, kind: Callable):
        self.kind, self.replaced = kind, False


@contextmanager
def _only_one(session: str | None, kind: Callable, *, replaces: bool) -> Iterator[_Job]:
    """Be the session's long job, after the one that was cancelled or is replaced; refuse a second one.

    A call without a session is on its own.
    """
    job = _Job(kind)
    if session is None:
        yield job
        return
    with _FREED:
        _wait_until_free(session, job, replaces)
    try:
        yield job
    finally:
        with _FREED:
            if _BUSY.get(session) is job:
                del _BUSY[session]
            _FREED.notify_all()


def _wait_until_free(session: str, job: _Job, replaces: bool) -> None:
    """Take the session's place; a job that a still newer one replaces while it waits comes back without it."""
    before, patience = _BUSY.get(session), PATIENCE_S
    if replaces and before is not None and before.kind is job.kind:
        for older in (before, _NEXT.get(session)):
            if older is not None:
                older.replaced = True
        _NEXT[session], patience = job, REPLACING_S
        _FREED.notify_all()
    free = _FREED.wait_for(lambda: job.replaced or session not in _BUSY, timeout=patience)
    if _NEXT.get(session) is job:
        del _NEXT[session]
    if not free:
        raise UserError("errors.busy")
    if not job.replaced:
        _BUSY[session] = job


def _position(handler: Callable, name: str) -> int:
    names = list(inspect.signature(handler).parameters)
    if name not in names:
        raise TypeError(f"{handler.__name__} needs a parameter {name!r}")
    return names.index(name)


def _request_position(handler: Callable) -> int | None:
    """Where the handler wants the gr.Request, if it does."""
    hints = typing.get_type_hints(inspect.unwrap(handler))
    for position, name in enumerate(inspect.signature(handler).parameters):
        if hints.get(name) in (gr.Request, gr.Request | None):
            return position
    return None


def _add_request(run: Callable, handler: Callable) -> None:
    """Declare one more parameter on the wrapper: Gradio looks at the signature and fills a gr.Request in."""
    signature = inspect.signature(handler)
    request = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=gr.Request)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), request])
    run.__annotations__ = {**handler.__annotations__, "request": gr.Request}
