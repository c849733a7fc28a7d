"""Every component that a classification fills, and what each gets: live, stored, or emptied."""

from dataclasses import dataclass

import gradio as gr
import numpy as np

from demos.shell import model_switch, sessions
from demos.zero_shot import answer as answers
from demos.zero_shot import (
    asked,
    break_panel,
    evidence_panel,
    examples,
    lab_panel,
    model_panel,
    none_panel,
    nothing,
    result,
    store,
    views,
)
from demos.zero_shot.quarrel import Quarrel, Settings
from demos.zero_shot.question import TOPIC, read


@dataclass(frozen=True)
class Parts:
    """Every component that a classification fills."""

    asked: asked.Asked
    quarrel: Quarrel
    notes: gr.HTML
    provenance: gr.HTML
    blocks: gr.HTML
    worked: gr.Dropdown
    numbers: gr.HTML
    reliability: gr.HTML
    code: gr.HTML
    as_json: gr.DownloadButton
    as_csv: gr.DownloadButton
    none: none_panel.Panel
    evidence: evidence_panel.Panel
    lab: lab_panel.Panel
    attack: break_panel.Panel
    model: model_switch.Panel


def classified(parts: Parts, picture, asked_for: tuple, example, temperature, request: gr.Request) -> dict:
    """Classify and fill every component; the panels' older results are cleared."""
    question = read(*asked_for)
    answer = answers.current(picture, question, request)
    example = example if isinstance(example, str) else ""
    settings = Settings.read({"temperature": temperature})
    refusal = nothing.refusal_value(answer.main)
    told = model_switch.told(TOPIC, question.model, model_panel.note(answer, request))
    folder = sessions.of(request).folder
    return {
        **filled(parts, answer, live=True, refusal=refusal, example=example, settings=settings, folder=folder),
        parts.model.facts: told,
    }


def filled(parts: Parts, answer, *, live: bool, refusal, example: str, settings: Settings, folder) -> dict:
    """Every component's value for an answer, stored or live."""
    main = answer.main
    shown = result.shown(answer, live=live, example=example, temperature=settings.temperature, refusal=refusal)
    best = int(np.argmax(main.cosines))
    as_json, as_csv = result.files(answer, folder)
    return {
        parts.quarrel: shown.quarrel,
        parts.notes: shown.notes,
        parts.provenance: shown.provenance,
        **parts.none.filled(shown.refusal, main.model_id),
        parts.blocks: shown.blocks,
        parts.worked: gr.Dropdown(choices=shown.ranked, value=shown.ranked[0]),
        parts.numbers: views.numbers(main, chosen=best, temperature=settings.temperature),
        parts.reliability: shown.reliability,
        parts.code: result.code(answer, settings, example=example),
        parts.as_json: as_json,
        parts.as_csv: as_csv,
        **parts.evidence.cleared(shown.ranked),
        **parts.lab.cleared(),
        **parts.attack.cleared(main.model_id),
    }


def in_other_language(parts: Parts, picture, asked_for: tuple, example, temperature, lang, request: gr.Request) -> dict:
    """An example's own labels follow the page's language; labels that somebody typed stay as they are."""
    known = examples.find(example) if isinstance(example, str) else None
    lang, other = ("zh", "en") if lang == "zh" else ("en", "zh")
    labels, templates, crop, model = asked_for
    if known is None or labels != known.labels[other]:
        return dict.fromkeys([*outputs(parts), parts.asked.labels], gr.skip())
    stored = store.load(lang)
    untouched = not templates and crop == "own" and not model and stored and stored.example == known.id
    if not untouched:
        asked_for = (known.labels[lang], templates, crop, model)
        return {
            **classified(parts, picture, asked_for, example, temperature, request),
            parts.asked.labels: known.labels[lang],
        }
    settings, folder = Settings.read({"temperature": temperature}), sessions.of(request).folder
    return {
        **dict.fromkeys(outputs(parts), gr.skip()),
        **filled(
            parts, stored.answer, live=False, refusal=stored.refusal, example=known.id, settings=settings, folder=folder
        ),
        parts.asked.labels: known.labels[lang],
    }


def emptied(parts: Parts) -> dict:
    """What stands there when the picture was taken away."""
    return {
        parts.quarrel: None,
        parts.none.refusal: None,
        parts.notes: views.framed(views.sentence("no_picture", kind="zs-verdict")),
        parts.provenance: "",
        parts.blocks: "",
        parts.numbers: "",
        parts.evidence.gradient: None,
        parts.evidence.occlusion: None,
        parts.evidence.test: "",
        **parts.lab.cleared(),
        parts.attack.result: "",
    }


def outputs(parts: Parts) -> list:
    """The components of `classified`, each once."""
    panels = [
        *(parts.none.refusal, parts.none.bank, parts.none.stop, parts.none.status),
        *(parts.evidence.label_a, parts.evidence.label_b, parts.evidence.gradient, parts.evidence.occlusion),
        *(parts.evidence.status, parts.evidence.test, parts.lab.result, parts.attack.result),
        *(parts.attack.expectation, parts.model.facts),
    ]
    own = [
        *(parts.quarrel, parts.notes, parts.provenance, parts.blocks, parts.worked, parts.numbers),
        *(parts.reliability, parts.code, parts.as_json, parts.as_csv),
    ]
    return [*own, *panels]
