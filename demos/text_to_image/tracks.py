"""The run that is shown and the branches off it: every panel works on the one that the visitor chose to look at."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import gradio as gr

from demos.shell import sessions
from demos.shell.words import say, spans
from demos.text_to_image import parts
from pipelines.runtime.errors import UserError

KEPT = "text_to_image.branches"  # session: (the run that they belong to, {track: Branch})
RUN = "0"  # the track of the run itself
MOST = 6  # branches of a run; the oldest leaves


@dataclass(frozen=True, eq=False)
class Branch:
    """A future that left the track `parent` at step `k` (from 0)."""

    parent: str
    k: int
    denoising: object


def branches(run, request: gr.Request) -> dict[str, Branch]:
    """The branches of this very run."""
    kept = sessions.of(request).get(KEPT)
    return dict(kept[1]) if kept is not None and kept[0] is run else {}


def add(run, branch: Branch, request: gr.Request) -> str:
    """Keep a branch; returns its track, a number that is not used again for this run."""
    those = branches(run, request)
    track = str(max((int(name) for name in those), default=0) + 1)
    those[track] = branch
    for name in list(those)[: max(len(those) - MOST, 0)]:
        del those[name]
    sessions.of(request).put(KEPT, (run, those), nbytes=sum(one.denoising.nbytes for one in those.values()))
    return track


def traced(track, request: gr.Request, shared: parts.Shared) -> Generator:
    """The `Denoising` of a track as this generator's return value; yields a `Progress` a step where the shown run
    has to be made again first. Raises UserError."""
    run = yield from parts.ensured(request, shared)
    return chosen(run, track, request)


def awaited(track, request: gr.Request, shared: parts.Shared, *, status: gr.HTML) -> Generator:
    """As `traced`, for a handler that yields updates: the status line says when a run is quietly made again."""
    steps = traced(track, request, shared)
    while True:
        try:
            progress = next(steps)
        except StopIteration as done:
            return done.value
        yield {status: spans("text_to_image.rerun_step", i=progress.index + 1, n=progress.total)}


def chosen(run, track, request: gr.Request):
    """The `Denoising` of a track of this run. Raises UserError when it has left."""
    if track in (RUN, None, ""):
        return run
    those = branches(run, request)
    if not isinstance(track, str) or track not in those:
        raise UserError("text_to_image.branch_gone")
    return those[track].denoising


def owner(run, track, k: int, request: gr.Request):
    """The `Denoising` that step k of a track was made by: before a branch left, that is the one it left from.

    Raises UserError when that one has left.
    """
    those = branches(run, request)
    while isinstance(track, str) and track in those and k < those[track].k:
        track = those[track].parent
    return chosen(run, track, request)


def said_of(denoising) -> str:
    """The status line when a panel is done: nothing, or that it shows the first picture of several."""
    return spans("text_to_image.first_of_batch") if len(denoising.pictures) > 1 else ""


def selector(run, request: gr.Request, *, track: str, lang: str) -> gr.Radio:
    """The choice of what the panels show, hidden while there is nothing to choose."""
    those = branches(run, request) if run is not None else {}
    return gr.Radio(choices=choices(those, lang), value=track if track in those else RUN, visible=bool(those))


def choices(those: dict[str, Branch], lang: str) -> list[tuple[str, str]]:
    """(what is written, track) of the run and its branches."""
    named = [(say("text_to_image.track_run", lang), RUN)]
    for track, one in those.items():
        key = "text_to_image.track_branch" if one.parent == RUN else "text_to_image.track_branch_of"
        named.append((say(key, lang, number=track, k=one.k + 1, parent=one.parent), track))
    return named
