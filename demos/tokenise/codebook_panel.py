"""The codebook: how evenly its codes are used, here and over a fixed set of photographs, and all of them as a map."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np

from demos.shell import examples as pictures
from demos.shell import jobs, models, sessions
from demos.shell.prose import Prose
from demos.shell.words import spans, t
from demos.tokenise import codebook_views, parts
from demos.tokenise.codebook_map import CodebookMap

if TYPE_CHECKING:
    from pipelines.tokenise.models import TokeniseModel

PROSE = Prose("tokenise", "tk")
# The fixed set: every photograph among the app's examples that is one picture, taken as it is.
PHOTOGRAPHS = (
    *("astronaut", "bee", "breakfast", "bridge", "cat", "citrus", "coffee", "coins", "photographer", "raccoon"),
    "rocket",
)
BOOK = "tokenise.codebook"  # session: codebook_views.Book


@dataclass(frozen=True)
class Panel:
    status: gr.HTML
    map: CodebookMap
    of: gr.Textbox


def lay_out(page, shared: parts.Shared) -> Panel:
    """The panel, open on the stored codebook where there is one."""
    about = PROSE.framed(PROSE.sentence("codebook_about"), PROSE.sentence("codebook_warning", kind="tk-note"))
    gr.HTML(about, apply_default_css=False)
    first = stored(shared)
    with gr.Row(elem_classes="lucida-actions"):
        go = gr.Button(t("tokenise.codebook_go"), variant="primary", size="sm", elem_id="tk-codebook-go")
        stop = gr.Button(t("shell.cancel"), size="sm", elem_id="tk-codebook-stop")
    status = jobs.status_line(spans("tokenise.codebook_stored") if first else "", elem_id="tk-codebook-status")
    shown = CodebookMap(first, elem_id="tk-codebook")
    of = gr.Textbox(first["model"] if first else "", visible="hidden")  # the model whose codebook is shown
    panel = Panel(status, shown, of)
    _wire(page, shared, panel, go=go, stop=stop)
    return panel


def _wire(page, shared: parts.Shared, panel: Panel, *, go, stop) -> None:
    def on_go(answered, lang, request: gr.Request):
        yield from opened(panel, answered, request)

    outputs = [panel.status, panel.map, panel.of]
    handler = jobs.long(on_go, status=panel.status)
    running = go.click(handler, [shared.answered, page.lang], outputs, **jobs.LONG)
    jobs.wire_stop(stop, [running], status=panel.status)
    inputs = [shared.answered, panel.of, page.lang]
    shared.answered.change(jobs.short(on_answer), inputs, outputs, **jobs.SHORT, trigger_mode="always_last")


def stored(shared: parts.Shared) -> dict | None:
    """The map's value that the tab opens with, if the stored result has a codebook."""
    found = None if shared.stored is None else codebook_views.stored(shared.stored.folder, parts.TOPIC)
    if found is None:
        return None
    book, sheet = found
    return codebook_views.value(book, card=card(book.model_id), sheet=sheet)


def card(model_id: str) -> dict | None:
    """What the card of a bundled model says of its codes' use, or None."""
    entry = models.runtime().catalogue.find(model_id)
    return codebook_views.measured(entry.folder if entry.origin == "bundled" else None)


def on_answer(answered, of, lang, request: gr.Request):
    """Another model: its map at once where that is quick; else the one before goes, and the button draws it."""
    if not answered or (wanted := parts.question(answered).model_id) == of:
        return gr.skip(), gr.skip(), gr.skip()
    if not models.is_quick(wanted):
        return "", None, wanted
    book = jobs.on_device(drawn, parts.model(answered))
    keep(book, request)
    return "", codebook_views.value(book, card=card(wanted)), wanted


def opened(panel: Panel, answered: str, request: gr.Request) -> Generator:
    """Updates for the panel: the map, patch by patch, then the fixed set, picture by picture."""
    model_id = parts.question(answered).model_id
    yield {panel.status: spans("tokenise.codebook_first")}
    model = parts.model(answered)
    book = sessions.of(request).get(BOOK)
    if book is None or book.model_id != model.id:
        book = yield from _painted(panel, model)
    keep(book, request)
    known = card(model_id)
    yield {panel.map: codebook_views.value(book, card=known), panel.of: model_id}
    book, usage = yield from _counted(panel, model, book)
    keep(book, request)
    done = spans("tokenise.codebook_done", **codebook_views.said(usage, book.pictures))
    yield {panel.status: done, panel.map: codebook_views.value(book, card=known)}


def _painted(panel: Panel, model: TokeniseModel) -> Generator:
    """The book without a count as this generator's return value; codes are decoded some at a time."""
    from pipelines.tokenise.codebook import painted

    patches, done = [], 0
    for some in jobs.steps(painted(model)):
        patches.append(some)
        done += len(some)
        yield {panel.status: spans("tokenise.codebook_painted", done=f"{done:,}", total=f"{model.codes:,}")}
    return bound(model, np.concatenate(patches))


def _counted(panel: Panel, model: TokeniseModel, book: codebook_views.Book) -> Generator:
    """(book with its count, usage) as this generator's return value."""
    from pipelines.tokenise.codebook import fixed_set, usage

    paths, grids = [each.path for each in pictures.offered(PHOTOGRAPHS)], []
    for step in jobs.steps(fixed_set(model, paths)):
        grids.append(step.indices)
        yield {panel.status: spans("tokenise.codebook_counted", done=step.done, total=step.total)}
    found = usage(grids, model.codes)
    return replace(book, counts=found.counts, pictures=len(grids)), found


def drawn(model: TokeniseModel) -> codebook_views.Book:
    """A model's book without a count, in one go."""
    from pipelines.tokenise.codebook import painted

    return bound(model, np.concatenate(list(painted(model))))


def bound(model: TokeniseModel, patches: np.ndarray) -> codebook_views.Book:
    """Patches (codes, cell, cell, 3) laid out as a map."""
    from pipelines.tokenise.codebook import assembled, explained, layout

    places = layout(model)
    return codebook_views.Book(
        model_id=model.id,
        codes=model.codes,
        cell=model.cell,
        places=places,
        explained=explained(model),
        sheet=assembled(patches, places),
    )


def keep(book: codebook_views.Book, request: gr.Request) -> None:
    """Put a book into the visitor's session."""
    sessions.of(request).put(BOOK, book, nbytes=book.nbytes)


def measure(model: TokeniseModel) -> codebook_views.Book:
    """A model's book with the count over the fixed set, for the stored result."""
    from pipelines.tokenise.codebook import fixed_set, usage

    grids = [step.indices for step in fixed_set(model, [each.path for each in pictures.offered(PHOTOGRAPHS)])]
    return replace(drawn(model), counts=usage(grids, model.codes).counts, pictures=len(grids))
