"""Four futures: from one step, four continuations with fresh noise beside four without, and what x0-hat is to them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import gradio as gr

from demos.shell import jobs, sessions
from demos.shell.components.heat import HeatMap, ready
from demos.shell.words import spans, t
from demos.text_to_image import futures_views, machine_panel, parts, tracks
from demos.text_to_image.machine import StepChoice, check_step, view
from demos.text_to_image.panel_views import coarsened, text
from pipelines.runtime.errors import UserError

COUNT, SEED = 4, 1_000
PRESETS = {"early": 0.1, "middle": 0.4, "late": 0.75}  # of the way through the run
KEPT = "text_to_image.futures"  # session: (the Denoising, {(k, eta): Futures})
MOST_KEPT = 24


@dataclass(frozen=True)
class Panel:
    """random, between, fixed: a row of futures each, at eta 1, at the slider's and at 0."""

    step: StepChoice
    eta: gr.Slider
    status: gr.HTML
    random: gr.HTML
    between: gr.HTML
    fixed: gr.HTML
    average: gr.HTML
    heat: HeatMap
    tried: gr.HTML

    @property
    def outputs(self) -> list:
        return [self.status, self.random, self.between, self.fixed, self.average, self.heat, self.tried]

    def row(self, eta: float) -> gr.HTML:
        return {1.0: self.random, 0.0: self.fixed}.get(eta, self.between)


def lay_out(page, shared: parts.Shared, machine: machine_panel.Panel) -> Panel:
    view(text("futures_about") + text("futures_lesson", kind="t2i-lead"))
    step = StepChoice(elem_id="t2i-futures-step")
    with gr.Row(elem_classes="t2i-buttons"):
        go = gr.Button(t("text_to_image.futures_go"), variant="primary", size="sm", elem_id="t2i-futures-go")
        presets = {
            name: gr.Button(t(f"text_to_image.preset_{name}"), size="sm", elem_id=f"t2i-{name}") for name in PRESETS
        }
        stop = gr.Button(t("shell.cancel"), size="sm", elem_id="t2i-futures-stop")
    status = jobs.status_line(elem_id="t2i-futures-status")
    random = view("", elem_id="t2i-futures-random")
    with gr.Row(elem_classes="t2i-buttons"):
        eta = gr.Slider(
            0.0, 1.0, 0.5, step=0.1, label=t("text_to_image.futures_eta"), interactive=True, elem_id="t2i-eta"
        )
        at_eta = gr.Button(t("text_to_image.futures_at_eta"), size="sm", elem_id="t2i-futures-eta")
    between = view("", elem_id="t2i-futures-between")
    fixed = view("", elem_id="t2i-futures-fixed")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280, scale=2):
            average = view("", elem_id="t2i-futures-average")
        with gr.Column(min_width=260, elem_classes="t2i-mapped"):
            view(text("futures_map", kind="t2i-note"))
            heat = HeatMap(elem_id="t2i-futures-heat")
    panel = Panel(step, eta, status, random, between, fixed, average, heat, view("", elem_id="t2i-futures-tried"))
    _wire(page, shared, machine, panel, go=go, presets=presets, at_eta=at_eta, stop=stop)
    return panel


def _wire(page, shared, machine: machine_panel.Panel, panel: Panel, *, go, presets, at_eta, stop) -> None:
    def on_futures(track, k, lang, request: gr.Request):
        yield from shown(shared, panel, track=track, k=k, etas=(1.0, 0.0), request=request)

    def on_eta(track, k, eta, lang, request: gr.Request):
        yield from shown(shared, panel, track=track, k=k, etas=(read_eta(eta),), request=request)

    both, one = (jobs.long(handler, status=panel.status) for handler in (on_futures, on_eta))
    inputs = [machine.track, panel.step, page.lang]
    running = [go.click(both, inputs, panel.outputs, **jobs.LONG)]
    for name, share in PRESETS.items():
        js = f"step => step && ({{ ...step, at: Math.round({share} * (step.n - 1)) }})"
        moved = presets[name].click(None, panel.step, panel.step, js=js, api_visibility="private")
        running.append(moved.then(both, inputs, panel.outputs, **jobs.LONG))
    running.append(at_eta.click(one, [machine.track, panel.step, panel.eta, page.lang], panel.outputs, **jobs.LONG))
    jobs.wire_stop(stop, running, status=panel.status)
    cleared = [*panel.outputs]
    shared.finished.change(jobs.short(lambda lang: _emptied()), [page.lang], cleared, **jobs.SHORT)


def _emptied() -> tuple:
    return "", "", "", "", "", None, ""


def read_eta(eta) -> float:
    """The slider's value, which comes from outside. Raises UserError."""
    if isinstance(eta, bool) or not isinstance(eta, int | float) or not 0 <= eta <= 1:
        raise UserError("text_to_image.eta_range", eta=str(eta)[:20])
    return round(float(eta), 3)


def shown(shared: parts.Shared, panel: Panel, *, track, k: int, etas: tuple[float, ...], request) -> Generator:
    """Updates for the panel: each row as it is drawn, then what x0-hat is to the most random of the rows."""
    denoising = yield from tracks.awaited(track, request, shared, status=panel.status)
    denoising = tracks.owner(parts.current(request), track, check_step(k, denoising), request)
    kept = _kept(denoising, request)
    yield {**_rows(panel, kept, k), **_lesson(panel, denoising, kept, k)}
    for eta in etas:
        if (k, eta) not in kept:
            kept[k, eta] = yield from _drawn(panel, denoising, k, eta)
            _keep(denoising, kept, request)
        yield {panel.row(eta): _row(kept, k, eta)}
    yield {panel.status: tracks.said_of(denoising), **_lesson(panel, denoising, kept, k)}


def _rows(panel: Panel, kept: dict, k: int) -> dict:
    """What is already known from this step: rows of another step would stand beside it unnoticed."""
    return {panel.random: _row(kept, k, 1.0), panel.between: "", panel.fixed: _row(kept, k, 0.0)}


def _row(kept: dict, k: int, eta: float) -> str:
    return futures_views.row(eta, kept[k, eta].pictures, k=k, finished=True) if (k, eta) in kept else ""


def _drawn(panel: Panel, denoising, k: int, eta: float) -> Generator:
    """The `Futures` as this generator's return value; yields status line and row, once a call of the UNet."""
    from pipelines.text_to_image.branch import futures

    model = parts.load(denoising.model_id)
    for item in jobs.steps(futures(model, denoising, k, count=COUNT, eta=eta, seed=SEED)):
        if hasattr(item, "pictures"):
            return item
        pictures = jobs.on_device(model.preview, item.step.x0)
        said = spans("text_to_image.futures_step", i=item.index + 1, n=item.total, eta=f"{eta:g}")
        yield {panel.status: said, panel.row(eta): futures_views.row(eta, pictures, k=k, finished=False)}


def _lesson(panel: Panel, denoising, kept: dict, k: int) -> dict:
    """x0-hat against the mean of the eta 1 futures, their spread map, and the spread from every step tried."""
    random = kept.get((k, 1.0))
    if random is None:
        return {panel.average: "", panel.heat: None}
    spread = coarsened(random.spread * 100)
    points = {at: futures_views.apart(one.pictures) for (at, eta), one in kept.items() if eta == 1.0}
    limits = (0, max(float(spread.max()), 1.0))
    return {
        panel.average: futures_views.average(random, k=k),
        panel.heat: {"picture": ready(random.mean_picture), "map": spread, "range": limits},
        panel.tried: futures_views.tried(points, n=len(denoising.steps)),
    }


def _kept(denoising, request: gr.Request) -> dict:
    """The futures of this very run that the session already has."""
    kept = sessions.of(request).get(KEPT)
    return dict(kept[1]) if kept is not None and kept[0] is denoising else {}


def _keep(denoising, kept: dict, request: gr.Request) -> None:
    for name in list(kept)[: max(len(kept) - MOST_KEPT, 0)]:
        del kept[name]
    nbytes = sum(one.pictures.nbytes * 2 for one in kept.values())
    sessions.of(request).put(KEPT, (denoising, kept), nbytes=nbytes)
