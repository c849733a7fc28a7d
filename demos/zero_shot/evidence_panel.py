""" "Where does it look?": gradient and occlusion maps in one colour scale, and the test that deletes the hottest."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
import numpy as np

from demos.shell import jobs, models, sessions
from demos.shell.components import heat
from demos.shell.words import spans, t
from demos.zero_shot import answer as answers
from demos.zero_shot import trials, views
from demos.zero_shot.asked import Asked, view
from demos.zero_shot.question import place, read
from pipelines.runtime.errors import UserError

MAPS = "zero_shot.maps"
NOBODY = ""
METHODS = ("gradient", "occlusion")


@dataclass(frozen=True)
class Panel:
    """The panel's components. `cleared` is what an event gives them when the picture or the labels changed."""

    label_a: gr.Dropdown
    label_b: gr.Dropdown
    gradient: heat.HeatMap
    occlusion: heat.HeatMap
    status: gr.HTML
    test: gr.HTML

    def cleared(self, ranked: list[str]) -> dict:
        """Empty maps, and the new labels to choose from, the best one first."""
        return {
            self.label_a: gr.Dropdown(choices=ranked, value=ranked[0]),
            self.label_b: gr.Dropdown(choices=[(t("zero_shot.nobody"), NOBODY), *ranked], value=NOBODY),
            self.gradient: None,
            self.occlusion: None,
            self.status: "",
            self.test: "",
        }


@dataclass(frozen=True)
class Target:
    """What is explained: the label's text feature, and that of the one subtracted. name: tells maps apart."""

    answer: answers.Answer
    feature: np.ndarray
    against: np.ndarray | None
    name: str


def lay_out(page, asked: Asked, ranked: list[str], tab: gr.Tab) -> Panel:
    view(views.framed(views.sentence("evidence_about")))
    with gr.Row():
        label_a = _choice("label_a", ranked, ranked[0] if ranked else None)
        label_b = _choice("label_b", [(t("zero_shot.nobody"), NOBODY), *ranked], NOBODY)
    with gr.Row(equal_height=False):
        with gr.Column(min_width=280):
            view(views.framed(_head("gradient")))
            gradient = heat.HeatMap(elem_id="zs-gradient")
            with gr.Row(elem_classes="zs-buttons"):
                again = gr.Button(t("zero_shot.show_gradient"), size="sm", elem_id="zs-run-gradient")
        with gr.Column(min_width=280):
            view(views.framed(_head("occlusion")))
            occlusion = heat.HeatMap(elem_id="zs-occlusion")
            with gr.Row(elem_classes="zs-buttons"):
                run = gr.Button(t("zero_shot.show_occlusion"), size="sm", elem_id="zs-run-occlusion")
                stop = gr.Button(t("shell.cancel"), size="sm", elem_id="zs-stop")
    view(views.framed(f"<h4>{views.word('deletion')}</h4>", views.sentence("test_about")))
    with gr.Row(elem_classes="zs-buttons"):
        which = gr.Radio(
            [(t(f"zero_shot.map_{name}"), name) for name in METHODS],
            value="gradient",
            show_label=False,
            container=False,
            interactive=True,
            elem_id="zs-which",
        )
        test = gr.Button(t("zero_shot.test_map"), size="sm", elem_id="zs-run-test")
    status = jobs.status_line()
    chart = view("", elem_id="zs-test")
    panel = Panel(label_a, label_b, gradient, occlusion, status, chart)
    _wire(page, asked, panel, quick=(tab.select, again.click), run=run, which=which, test=test, stop=stop)
    return panel


def _head(method: str) -> str:
    return f"<h4>{views.word('head_' + method)}</h4>" + views.sentence(f"{method}_about")


def _choice(name: str, choices, value) -> gr.Dropdown:
    return gr.Dropdown(
        choices, value=value, label=t(f"zero_shot.{name}"), allow_custom_value=True, interactive=True,
        elem_id=f"zs-{name.replace('_', '-')}",
    )  # fmt: skip


def _wire(page, asked: Asked, panel: Panel, *, quick, run, which, test, stop) -> None:
    inputs = [*asked.inputs, panel.label_a, panel.label_b]
    maps = [panel.gradient, panel.occlusion, panel.status, panel.test]
    gr.on(
        [*quick, panel.label_a.input, panel.label_b.input],
        jobs.short(on_gradient),
        [*inputs, page.lang],
        maps,
        **jobs.SHORT,
    )
    occlude, check = (jobs.long(handler, status=panel.status) for handler in (on_occlusion, on_test))
    occluding = run.click(occlude, [*inputs, page.lang], maps, **jobs.LONG)
    testing = test.click(check, [*inputs, which, page.lang], [panel.status, panel.test], **jobs.LONG)
    jobs.wire_stop(stop, [occluding, testing], status=panel.status)


def on_gradient(picture, labels, templates, crop, model, label_a, label_b, lang, request: gr.Request):
    """One backward pass; the occlusion map of the same labels stays if there is one."""
    target = target_of(picture, labels, templates, crop, model, label_a, label_b, request)
    maps = _kept(target, request)
    if "gradient" not in maps:
        maps["gradient"] = jobs.on_device(_gradient, target, picture.pixels)
        _keep(target, maps, request)
    shown = _values(heat.ready(picture), maps)
    return shown["gradient"], shown.get("occlusion"), "", ""


def on_occlusion(picture, labels, templates, crop, model, label_a, label_b, lang, request: gr.Request):
    """The map as it grows, beside the gradient map in the same colours."""
    target = target_of(picture, labels, templates, crop, model, label_a, label_b, request)
    maps, under = _kept(target, request), heat.ready(picture)
    for step, finished in occlusion_steps(target, picture.pixels):
        maps["occlusion"] = finished
        values, said = _values(under, maps), spans("zero_shot.occlusion_step", i=step.done, n=step.total)
        yield values.get("gradient"), values["occlusion"], said, ""
    _keep(target, maps, request)


def on_test(picture, labels, templates, crop, model, label_a, label_b, which, lang, request: gr.Request):
    """The deletion test of one of the maps, curve by curve."""
    target = target_of(picture, labels, templates, crop, model, label_a, label_b, request)
    maps = _kept(target, request)
    if which not in METHODS or which not in maps:
        key = f"zero_shot.map_{which}" if which in METHODS else "zero_shot.map_gradient"
        raise UserError("zero_shot.map_first", map=both_of(key))
    for test in deletion_steps(target, picture.pixels, maps[which].values):
        yield spans("zero_shot.deletion_step", i=test.done, n=test.total), trials.deletion(test)


def both_of(key: str) -> dict[str, str]:
    """A sentence in both languages, to stand inside another."""
    from demos.shell.words import LANGUAGES, say

    return {lang: say(key, lang) for lang in LANGUAGES}


def target_of(picture, labels, templates, crop, model, label_a, label_b, request) -> Target:
    """The question's answer and the features of the two labels. Raises UserError."""
    question = read(labels, templates, crop, model)
    answer = answers.current(picture, question, request)
    return target_in(answer, label_a, label_b, answers.key(picture, question))


def target_in(answer: answers.Answer, label_a, label_b, name: str) -> Target:
    """The target for label A, or for A minus B where B is named. Without an A, the best label. Raises UserError."""
    main = answer.main
    a = place(main.labels, label_a) if label_a else int(main.cosines.argmax())
    b = place(main.labels, label_b) if label_b else None
    if a == b:
        raise UserError("zero_shot.same_labels")
    against = None if b is None else main.text_features[b]
    return Target(answer, main.text_features[a], against, f"{name}:{a}:{b}")


def _gradient(target: Target, pixels: np.ndarray):
    from pipelines.zero_shot.evidence import gradient_map

    model, crop = _tools(target)
    return gradient_map(model, pixels, target.feature, against=target.against, crop=crop)


def occlusion_steps(target: Target, pixels: np.ndarray):
    """(OcclusionStep, its EvidenceMap so far) a step, the device taken for each."""
    from pipelines.zero_shot.evidence import as_evidence, occlusion

    model, crop = _tools(target)
    for step in jobs.steps(occlusion(model, pixels, target.feature, against=target.against, crop=crop)):
        yield step, as_evidence(step, ms=0.0)


def map_of(target: Target, pixels: np.ndarray, method: str):
    """The finished `EvidenceMap` of one method."""
    if method == "gradient":
        return jobs.on_device(_gradient, target, pixels)
    *_, (_step, finished) = occlusion_steps(target, pixels)
    return finished


def deletion_steps(target: Target, pixels: np.ndarray, evidence: np.ndarray):
    """`DeletionTest` a step, the device taken for each."""
    from pipelines.zero_shot.evidence import deletion

    model, crop = _tools(target)
    yield from jobs.steps(deletion(model, pixels, target.feature, evidence=evidence, against=target.against, crop=crop))


def _tools(target: Target):
    return models.runtime().load(target.answer.main.model_id), answers.crop_of(target.answer.question)


def _kept(target: Target, request: gr.Request) -> dict:
    """The maps of this very target that the session already has."""
    kept = sessions.of(request).get(MAPS)
    return dict(kept[1]) if kept is not None and kept[0] == target.name else {}


def _keep(target: Target, maps: dict, request: gr.Request) -> None:
    sessions.of(request).put(MAPS, (target.name, maps), nbytes=sum(one.values.nbytes for one in maps.values()) + 1000)


def _values(under: dict, maps: dict) -> dict[str, dict]:
    """The maps as `HeatMap` takes them, all with the range of the largest value among them, zero in the middle."""
    largest = max((float(np.nanmax(np.abs(one.values), initial=0.0)) for one in maps.values()), default=0.0) or 1e-6
    return {
        name: {
            "picture": under,
            "map": one.values,
            "box": one.region_xyxy,
            "signed": True,
            "range": (-largest, largest),
        }
        for name, one in maps.items()
    }
