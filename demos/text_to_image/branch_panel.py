"""Branch here: another prompt, guidance, sampler or noise from one step on, beside the future that was."""

from __future__ import annotations

import math
import secrets
from collections.abc import Generator
from dataclasses import dataclass

import gradio as gr

from demos.shell import jobs, sessions
from demos.shell.components.film import Film, frame
from demos.shell.components.heat import HeatMap, ready
from demos.shell.words import spans, t
from demos.text_to_image import machine_panel, machine_views, parts, reel, tracks
from demos.text_to_image.asked import GUIDANCE, SAMPLERS, START
from demos.text_to_image.machine import StepChoice, check_step, view
from demos.text_to_image.panel_views import framed, sentence, text, word

CHANGES = ("prompt", "negative_prompt", "guidance_scale", "sampler", "eta")


@dataclass(frozen=True)
class Form:
    """What may be changed, filled with how it was. noise: whether to draw fresh noise."""

    prompt: gr.Textbox
    negative_prompt: gr.Textbox
    guidance_scale: gr.Slider
    sampler: gr.Dropdown
    eta: gr.Slider
    noise: gr.Checkbox

    @property
    def fields(self) -> list:
        """The components of CHANGES, in that order."""
        return [getattr(self, name) for name in CHANGES]

    @property
    def inputs(self) -> list:
        return [*self.fields, self.noise]


@dataclass(frozen=True)
class Panel:
    step: StepChoice
    form: Form
    status: gr.HTML
    film: Film
    result: gr.HTML
    heat: HeatMap
    curves: gr.HTML

    @property
    def outputs(self) -> list:
        return [self.status, self.film, self.result, self.heat, self.curves]

    def cleared(self) -> dict:
        """No branch of the run that is shown."""
        return {self.status: "", self.film: None, self.result: "", self.heat: None, self.curves: ""}


def lay_out(page, shared: parts.Shared, machine: machine_panel.Panel) -> Panel:
    settings = {**START, **(shared.stored.settings if shared.stored else {})}
    view(framed(f"<h3>{word('branch_go')}</h3>", sentence("branch_about")), elem_id="t2i-branch")
    step = StepChoice(elem_id="t2i-branch-step")
    form = _form(settings)
    with gr.Row(elem_classes="t2i-buttons"):
        go = gr.Button(t("text_to_image.branch_go"), variant="primary", size="sm", elem_id="t2i-branch-go")
        stop = gr.Button(t("shell.cancel"), size="sm", elem_id="t2i-branch-stop")
    status = jobs.status_line(elem_id="t2i-branch-status")
    film = Film(strips=("text_to_image.branch_was", "text_to_image.branch_now"), elem_id="t2i-branch-film")
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280, scale=2):
            result = view("", elem_id="t2i-branch-result")
        with gr.Column(min_width=260, elem_classes="t2i-mapped"):
            view(text("branch_map", kind="t2i-note"))
            heat = HeatMap(elem_id="t2i-branch-heat")
    curves = view("", elem_id="t2i-branch-curves")
    panel = Panel(step, form, status, film, result, heat, curves)
    _wire(page, shared, machine, panel, go=go, stop=stop)
    return panel


def _form(settings: dict) -> Form:
    def made(kind, name: str, *given, **options):
        options = {"interactive": True, "min_width": 200, "elem_id": f"t2i-branch-{name.replace('_', '-')}", **options}
        return kind(*given, label=t(f"text_to_image.branch_{name}"), **options)

    with gr.Row():
        prompt = made(gr.Textbox, "prompt", settings.get("prompt", ""), max_lines=4)
        negative = made(gr.Textbox, "negative_prompt", settings["negative_prompt"], max_lines=4)
    with gr.Row():
        guidance = made(gr.Slider, "guidance_scale", *GUIDANCE, settings["guidance_scale"], step=0.5)
        names = [(t(f"text_to_image.sampler_{key}"), key) for key in SAMPLERS]
        sampler = made(gr.Dropdown, "sampler", names, value=settings["sampler"])
        eta = made(gr.Slider, "eta", 0.0, 1.0, settings["eta"], step=0.05)
        noise = made(gr.Checkbox, "noise", False)
    return Form(prompt, negative, guidance, sampler, eta, noise)


def _wire(page, shared: parts.Shared, machine: machine_panel.Panel, panel: Panel, *, go, stop) -> None:
    def on_run(lang, request: gr.Request):
        run = sessions.of(request).get(parts.RUN)
        form = as_it_was(run.settings) if run else [gr.skip() for _ in panel.form.inputs]
        return {**dict(zip(panel.form.inputs, form, strict=True)), **panel.cleared()}

    def on_branch(track, k, prompt, negative_prompt, guidance_scale, sampler, eta, noise, lang, request: gr.Request):
        denoising = yield from tracks.awaited(track, request, shared, status=panel.status)
        values = (prompt, negative_prompt, guidance_scale, sampler, eta)
        wanted = dict(zip(CHANGES, values, strict=True))
        now = yield from streamed(panel, denoising, check_step(k, denoising), changes(denoising, wanted, noise=noise))
        run = parts.current(request)
        number = tracks.add(run, tracks.Branch(track or tracks.RUN, k, now), request)
        yield {
            **compared(panel, denoising, now, k),
            machine.track: tracks.selector(run, request, track=number, lang=lang),
            machine.machine: machine_panel.shown(now, request, at=k),
        }

    filled = [*panel.form.inputs, *panel.outputs]
    shared.finished.change(jobs.short(on_run), [page.lang], filled, **jobs.SHORT)
    machine.track.input(jobs.short(on_track), [machine.track, page.lang], panel.form.inputs, **jobs.SHORT)
    inputs = [machine.track, panel.step, *panel.form.inputs, page.lang]
    outputs = [*panel.outputs, machine.track, machine.machine]
    branching = go.click(jobs.long(on_branch, status=panel.status), inputs, outputs, **jobs.LONG)
    jobs.wire_stop(stop, [branching], status=panel.status)


def on_track(track, lang, request: gr.Request):
    """The form as it was in the run or branch that is now shown."""
    return as_it_was(tracks.chosen(parts.current(request), track, request).settings)


def as_it_was(settings) -> list:
    """The form's values without a change."""
    return [*(getattr(settings, name) for name in CHANGES), False]


def changes(denoising, wanted: dict, *, noise: bool) -> dict:
    """What `Change` takes: only that which differs from how it was."""
    changed = {name: value for name, value in wanted.items() if value != getattr(denoising.settings, name)}
    return {**changed, "noise_seed": secrets.randbits(32)} if noise else changed


def streamed(panel: Panel, was, k: int, changed: dict) -> Generator:
    """The branch as this generator's return value; yields status line and film, a frame a call of the UNet."""
    from pipelines.text_to_image.branch import Change, branch

    model = parts.load(was.model_id)
    for item in jobs.steps(branch(model, was, k, Change(**changed))):
        if hasattr(item, "pictures"):
            return item
        i, n = item.index, item.total
        pair = (beside(was.steps, item.step), item.step)
        pictures = [jobs.on_device(reel.clean, model, step.x0[:1])[0] for step in pair]
        said = spans("text_to_image.branch_step", i=i + 1, n=n, k=k + 1)
        yield {panel.status: said, panel.film: frame(i - k, n - k, *pictures, first=k)}


def beside(steps, step):
    """The step of the other run that stands at the same noise; another sampler may have other steps."""
    return min(steps, key=lambda one: abs(math.log(one.sigma / step.sigma)))


def compared(panel: Panel, was, now, k: int) -> dict:
    """Both futures, their difference and the branch's own curve."""
    from pipelines.text_to_image.trace import fixed_share

    fixed = fixed_share(now)
    fork = machine_views.Fork(
        was=was.pictures,
        now=now.pictures,
        k=k,
        n=len(was.steps),
        was_fixed=fixed_share(was),
        now_fixed=fixed[k:],
        now_steps=range(k, len(fixed)),
    )
    apart = machine_views.difference_of(fork)
    return {
        panel.status: "",
        panel.result: machine_views.fork(fork),
        panel.heat: {"picture": ready(now.pictures[0]), "map": apart, "range": (0, max(float(apart.max()), 1.0))},
        panel.curves: machine_views.fork_curves(fork),
    }
