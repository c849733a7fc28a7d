"""An answer -> what every component of the tab shows of it. Pure but for the files of the download."""

from __future__ import annotations

import csv
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from demos.shell import models, results
from demos.shell.words import LANGUAGES, say, spans
from demos.zero_shot import answer as answers
from demos.zero_shot import examples, nothing, quarrel, snippet, views
from demos.zero_shot.answer import Answer
from demos.zero_shot.quarrel import Settings

MOST_NAMED = 5  # labels named in a note before it says how many more


@dataclass(frozen=True)
class Shown:
    """The values of the tab's components after one classification."""

    quarrel: dict
    refusal: dict | None
    notes: str
    provenance: str
    blocks: str
    reliability: str
    ranked: list[str]


def shown(answer: Answer, *, live: bool, example: str = "", temperature: float = 1.0, refusal: dict | None) -> Shown:
    """Everything but the panels that run on a button."""
    main = answer.main
    order = np.argsort(-main.cosines, kind="stable")
    known = nothing.measured(main.model_id)
    return Shown(
        quarrel=quarrel_value(answer, temperature=temperature),
        refusal=refusal,
        notes=notes(answer, example=example),
        provenance=provenance(answer, live=live),
        blocks=views.blocks(main),
        reliability=views.reliability(known.reliability if known else None),
        ranked=[main.labels[i] for i in order],
    )


def quarrel_value(answer: Answer, *, temperature: float) -> dict:
    """The value of the quarrel: both halves, the labels with their marks."""
    halves = {
        name: quarrel.side(half, title=title_of(half.model_id)) if half is not None else None
        for name, half in (("softmax", answer.softmax), ("sigmoid", answer.sigmoid))
    }
    bundled = any(half is not None and origin(half.model_id) == "bundled" for half in (answer.softmax, answer.sigmoid))
    labels = answer.main.labels
    marks = answers.marks(labels) if bundled else ["unknown"] * len(labels)
    return quarrel.value(labels, marks, **halves, temperature=temperature)


def title_of(model_id: str) -> dict[str, str]:
    return models.runtime().catalogue.find(model_id).title


def origin(model_id: str) -> str:
    return models.runtime().catalogue.find(model_id).origin


def notes(answer: Answer, *, example: str) -> str:
    """What should be known beside the bars: duplicates, cut labels, a model that could not answer, the truth."""
    lines = [spans(note.key, **note.values) for note in answer.question.notes]
    cut = [label for label, was_cut in zip(answer.main.labels, answer.main.cut, strict=True) if was_cut]
    if cut:
        read = max(kept for kept, was_cut in zip(answer.main.kept, answer.main.cut, strict=True) if was_cut)
        lines.append(views.word("note_cut", tokens=read, labels=_named(cut)))
    if answer.missing is not None:
        reason = {lang: say(answer.missing.key, lang, **answer.missing.values) for lang in LANGUAGES}
        lines.append(views.word("note_half", reason=reason))
    known = examples.find(example)
    if known and known.truth:
        lines.append(views.word("truth", label=known.truth))
    return views.framed(*(f'<p class="zs-note">{line}</p>' for line in lines)) if lines else ""


def _named(labels: list[str]) -> str:
    text = ", ".join(label[:30] for label in labels[:MOST_NAMED])
    return f"{text}, … ({len(labels)})" if len(labels) > MOST_NAMED else text


def provenance(answer: Answer, *, live: bool) -> str:
    """The line under the quarrel. A stored result was computed elsewhere: why here is not its question."""
    main = answer.main
    halves = [half for half in (answer.softmax, answer.sigmoid) if half is not None]
    titles = [title_of(half.model_id) for half in halves]
    placement = models.runtime().placement if live else None
    return results.provenance(
        live=live,
        title={lang: " + ".join(title[lang] for title in titles) for lang in LANGUAGES},
        source=origin(main.model_id),
        device=main.device,
        dtype=main.dtype,
        reason=(placement.reason_key, placement.reason_values) if placement else None,
        ms=sum(half.ms["total"] for half in halves),
    )


def code(answer: Answer, settings: Settings, *, example: str) -> str:
    """The lines of "Copy as Python" as HTML."""
    models = tuple(half.model_id for half in (answer.softmax, answer.sigmoid) if half is not None)
    return results.snippet(snippet.python(answer.question, settings, example=example, models=models))


def plain(answer: Answer) -> dict:
    """The answer as JSON can say it: for the download and for the API."""
    halves = {}
    for name in ("softmax", "sigmoid"):
        half = getattr(answer, name)
        if half is not None:
            halves[name] = _plain_half(half, name)
    question = answer.question
    return {
        "labels": [
            {"label": label, "taught": mark} for label, mark in zip(question.labels, _marks(answer), strict=True)
        ],
        "templates": list(question.templates),
        "crop": question.crop if question.box is None else list(question.box),
        **halves,
    }


def _marks(answer: Answer) -> list[str]:
    return [item["mark"] for item in quarrel_value(answer, temperature=1.0)["labels"]]


def _plain_half(half, read_out: str) -> dict:
    return {
        "model": half.model_id,
        "cosines": [round(float(cosine), 6) for cosine in half.cosines],
        "logit_scale": float(half.logit_scale),
        "logit_bias": None if half.logit_bias is None else float(half.logit_bias),
        "probabilities": [round(float(p), 6) for p in getattr(half, read_out)],
        "milliseconds": round(half.ms["total"], 2),
        "device": half.device,
        "dtype": half.dtype,
    }


def files(answer: Answer, folder: Path) -> tuple[str, str]:
    """Write the result into the session's folder as JSON and as CSV; returns both paths."""
    stem = folder / secrets.token_urlsafe(16)
    stem.mkdir()
    data = plain(answer)
    as_json, as_csv = stem / "zero_shot.json", stem / "zero_shot.csv"
    as_json.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", "utf-8")
    with as_csv.open("w", encoding="utf-8-sig", newline="") as file:  # a spreadsheet knows Chinese by the mark
        table = csv.writer(file)
        sides = [name for name in ("softmax", "sigmoid") if name in data]
        table.writerow(["label", "taught", *(f"{what} {data[s]['model']}" for s in sides for what in ("cosine", s))])
        for i, item in enumerate(data["labels"]):
            numbers = [data[s][column][i] for s in sides for column in ("cosines", "probabilities")]
            table.writerow([_cell(item["label"]), item["taught"], *numbers])
    return str(as_json), str(as_csv)


def _cell(text: str) -> str:
    """A spreadsheet runs a cell that begins like a formula: an apostrophe keeps it a text."""
    return "'" + text if text[:1] in "=+-@" else text
