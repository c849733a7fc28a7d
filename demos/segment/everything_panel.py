"""Everything: the model asked at every point of a grid, once; the funnel of filters, the masks under the pointer."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import gradio as gr

from demos.segment import answer, everything_views, parts, views
from demos.segment.funnel import Funnel, Sieve
from demos.shell import jobs, results, sessions
from demos.shell.arrays import address
from demos.shell.results import milliseconds
from demos.shell.words import say, spans, t
from pipelines.runtime.errors import UserError

if TYPE_CHECKING:
    from demos.segment.stage import Asked
    from pipelines.segment.everything import GridPass

SIDES, SIDE = (8, 16, 32), 16
MOST_PIXELS = 256  # masks that are enlarged to pixels for one file or one cleaning
PASS = "segment.everything"  # session: Found
SIFTED = "segment.everything_sifted"  # session: (the pass, its last Funnel)
FOLDER = "everything"  # of the session's files


@dataclass(frozen=True, eq=False)
class Found:
    """A pass that the session keeps. serial: as the page calls it."""

    serial: str
    grid: GridPass


@dataclass(frozen=True)
class Panel:
    side: gr.Radio
    status: gr.HTML
    funnel: Funnel


def lay_out(page, shared: parts.Shared) -> Panel:
    """The panel, open on the stored funnel where there is one."""
    gr.HTML(views.framed(views.sentence("everything_about")), apply_default_css=False)
    first = None
    if shared.stored is not None:
        first = everything_views.stored(shared.stored.folder, sessions.cache() / "stored" / parts.TOPIC)
    side = gr.Radio(
        [(t(f"segment.everything_side_{n}"), n) for n in SIDES], value=SIDE, label=t("segment.everything_side"),
        info=t("segment.everything_side_info"), interactive=True, elem_id="sg-everything-side",
    )  # fmt: skip
    with gr.Row(elem_classes="lucida-actions"):
        go = gr.Button(t("segment.everything_go"), variant="primary", size="sm", elem_id="sg-everything-go")
        stop = gr.Button(t("shell.cancel"), size="sm", elem_id="sg-everything-stop")
    status = jobs.status_line(spans("segment.everything_stored") if first else "", elem_id="sg-everything-status")
    funnel = Funnel(first, elem_id="sg-funnel")
    with gr.Row(elem_classes="lucida-actions"):
        as_coco = gr.Button(t("segment.everything_coco"), size="sm", elem_id="sg-everything-coco")
    panel = Panel(side, status, funnel)
    _wire(page, shared, panel, go=go, stop=stop, as_coco=as_coco)
    return panel


def _wire(page, shared: parts.Shared, panel: Panel, *, go, stop, as_coco) -> None:
    def on_everything(stage, model, side, lang, request: gr.Request):
        yield from found(panel, stage, model=model, side=side, request=request)

    outputs = [panel.status, panel.funnel]
    handler = jobs.long(on_everything, status=panel.status)
    running = go.click(handler, [shared.stage, shared.model, panel.side, page.lang], outputs, **jobs.LONG)
    jobs.wire_stop(stop, [running], status=panel.status)
    panel.funnel.edit(
        jobs.short(on_small), [panel.funnel, page.lang], panel.funnel, **jobs.SHORT, trigger_mode="always_last"
    )
    inputs = [shared.answered, panel.funnel, page.lang]
    shared.answered.change(jobs.short(on_answer), inputs, outputs, **jobs.SHORT, trigger_mode="always_last")
    results.wire_saving(as_coco, on_coco, [panel.funnel, page.lang])


def read_side(side) -> int:
    """Points along one side of the grid. Raises UserError for a number that the page does not offer."""
    if isinstance(side, bool) or side not in SIDES:
        raise UserError("segment.everything_side_unknown", side=str(side)[:20])
    return int(side)


def found(panel: Panel, stage: Asked | None, *, model, side, request: gr.Request) -> Generator:
    """Updates for the panel: how far the pass is, then the funnel. Each batch of points is one turn of the device."""
    side = read_side(side)
    if stage is None:
        raise UserError("errors.picture_missing")
    yield {panel.status: spans("segment.everything_first")}
    shown, model_id = answer.pictured(stage, request), parts.chosen(model)
    embedding = yield from _encoded(panel, shown, model_id, request)
    from pipelines.segment.grid import Progress, grid_pass

    for item in jobs.steps(grid_pass(parts.load(model_id), embedding, side=side)):
        if isinstance(item, Progress):
            left = milliseconds(item.ms * (item.total - item.done) / item.done)
            yield {panel.status: spans("segment.everything_step", done=item.done, total=item.total, left=left)}
    if sessions.of(request).get(parts.PICTURE) is not shown:
        yield {panel.status: spans("segment.everything_other")}
        return
    value = _kept(item, shown, request)
    times = {"time": milliseconds(item.ms), "each": milliseconds(item.ms / item.batches)}
    said = spans("segment.everything_done", points=len(item.points), count=len(item), **times)
    yield {panel.status: said, panel.funnel: value}


def _encoded(panel: Panel, shown: parts.Pictured, model_id: str, request: gr.Request) -> Generator:
    """The picture's embedding as this generator's return value; encoded block by block where nobody did so before."""
    if (known := parts.encoded(shown, model_id, request)) is not None:
        return known
    from pipelines.runtime.pictures import open_picture
    from pipelines.segment.watched import Block, encode_blocks

    pixels = open_picture(shown.path).pixels
    for item in jobs.steps(encode_blocks(parts.load(model_id), pixels, picture=shown.sha256)):
        if isinstance(item, Block):
            yield {panel.status: views.encoding(item.done + 1, item.total)}
    parts.keep_embedding(item, request)
    return item


def _kept(grid: GridPass, shown: parts.Pictured, request: gr.Request) -> dict:
    """Keep the pass for the session, in place of the one before; returns the funnel's value."""
    session = sessions.of(request)
    folder = session.folder / FOLDER
    shutil.rmtree(folder, ignore_errors=True)  # the files of the pass before
    under = everything_views.Under.of(shown.name, grid.full_size, shown.small)
    value = everything_views.value(everything_views.candidates(grid), under, folder)
    session.put(PASS, Found(value["serial"], grid), nbytes=grid.nbytes)
    return value


def on_answer(answered, sieve: Sieve | None, lang, request: gr.Request):
    """Another picture on the stage, none, or another model: the masks of the one before go."""
    session = sessions.of(request)
    if sieve is None or (answered and _fits(sieve, session)):
        return gr.skip(), gr.skip()
    session.put(PASS, None, nbytes=0)
    return "", None


def _fits(sieve: Sieve, session: sessions.Session) -> bool:
    """Whether the funnel is of the session's picture, and its pass by the model that the picture was encoded with."""
    shown, kept, encoded = (session.get(key) for key in (parts.PICTURE, PASS, parts.EMBEDDING))
    by_another = kept is not None and encoded is not None and encoded.model_id != kept.grid.model_id
    return not by_another and (shown is None or sieve.sent.get("name") == shown.name)


def on_small(sieve: Sieve | None, lang, request: gr.Request):
    """The last filter for the sliders as they stand: holes closed, specks removed, duplicates among what is left."""
    if sieve is None:
        return gr.skip()
    try:
        small = everything_views.cleaned(*jobs.on_device(sifted, sieve, request))
    except UserError as error:  # said in the funnel, where the slider is
        jobs.log.info("refused: %s", error)
        small = everything_views.refused(sieve.limits, error)
    return {**sieve.sent, "small": small}


def sifted(sieve: Sieve | None, request: gr.Request):
    """The session's pass and its `Funnel` at the page's limits. Raises UserError where the pass is not kept."""
    from pipelines.segment.everything import Thresholds, filter

    session = sessions.of(request)
    kept = session.get(PASS)
    if sieve is None or kept is None or kept.serial != sieve.serial:
        raise UserError("segment.everything_run_first")
    grid, last = kept.grid, session.get(SIFTED)
    before = last[1] if last is not None and last[0] is grid else None
    limits = Thresholds(**sieve.limits)
    if limits.min_area:
        few_enough(filter(grid, replace(limits, min_area=0)))
    funnel = filter(grid, limits, before=before)
    held = sum(bits.nbytes for bits in funnel.cleaned.values() if bits is not None)
    session.put(SIFTED, (grid, funnel), nbytes=held + funnel.boxes.nbytes)
    return grid, funnel


def few_enough(funnel) -> None:
    """Raises UserError where more masks are left than should be looked at pixel by pixel while others wait."""
    if len(funnel.kept) > MOST_PIXELS:
        raise UserError("segment.everything_many", n=len(funnel.kept), most=MOST_PIXELS)


def on_coco(sieve: Sieve | None, lang, request: gr.Request) -> str:
    """The address of a COCO file of all kept masks."""
    grid, funnel = sifted(sieve, request)
    if not len(funnel.kept):
        raise UserError("segment.everything_none_kept")
    path = sessions.of(request).folder / FOLDER / secrets.token_urlsafe(16) / "everything.coco.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(coco(grid, funnel, lang), ensure_ascii=False) + "\n", "utf-8")
    return address(path)


def coco(grid: GridPass, funnel, lang: str) -> dict:
    """All kept masks at the full picture's size; one at a time is in memory. Raises UserError for too many."""
    few_enough(funnel)
    from pipelines.segment import export

    height, width = grid.full_size
    name = say("segment.everything_category", lang)
    objects = (
        export.Kept(
            name=name,
            mask=funnel.mask(grid, index, full=True),
            iou=float(grid.iou[index]),
            stability=float(grid.stability[index]),
        )
        for index in funnel.kept.tolist()
    )
    return export.coco(objects, width, height, "picture")
