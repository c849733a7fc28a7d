"""The ambiguity ladder: the four masks of one answer as cards, and how far the three lie apart from click to click."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from demos.segment import ladder_views, logit_files, logit_views, parts, truth
from demos.segment.level_views import about
from demos.segment.threshold_panel import TOKEN_WORDS
from demos.shell import jobs, models, sessions
from demos.shell.components.shown import Shown, files

if TYPE_CHECKING:
    from pipelines.segment.masks import Masks

HISTORY = "segment.spread"  # session: (sha256 of the picture, model, {object's id: {number of marks: spread}})
FIGURES_FILE = "figures.json"  # in a model's folder: what was measured of it
_WORDS = (
    *TOKEN_WORDS,
    *("ladder_none", "ladder_cards", "ladder_again", "ladder_shown", "ladder_iou", "ladder_true", "ladder_against"),
    *("ladder_stability", "ladder_area", "ladder_highest", "ladder_inside"),
    *("ladder_why_best", "ladder_why_single", "ladder_why_chosen"),
)


class Ladder(Shown):
    """The cards. Python gets nothing from it: choosing a card tells the stage, which asks for that object anew."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        words = [f"segment.{name}" for name in _WORDS]
        super().__init__(value, **files(Path(__file__).parent, "ladder", "enlarge.js"), words=words, **kwargs)


@dataclass(frozen=True)
class Panel:
    ladder: Ladder
    spread: gr.HTML


def lay_out(page, shared: parts.Shared) -> Panel:
    """The panel, open on the stored result where there is one."""
    gr.HTML(about("ladder_about"), apply_default_css=False)
    first, drawn = _opening(shared)
    panel = Panel(
        ladder=Ladder(first, elem_id="sg-ladder"),
        spread=gr.HTML(drawn, apply_default_css=False, elem_id="sg-spread"),
    )
    shared.answered.change(
        jobs.short(_follow(shared)), [shared.answered, page.lang], [panel.ladder, panel.spread], **jobs.SHORT,
        trigger_mode="always_last",
    )  # fmt: skip
    return panel


def _opening(shared: parts.Shared) -> tuple[dict | None, str]:
    """What the stored result shows, without a model library."""
    if shared.stored is None:
        return None, ladder_views.spread({}, None)
    from pipelines.segment.ambiguity import spread

    layer, asked = shared.stored.layer, shared.stored.asked
    under = logit_files.under(shared.stored.pixels)
    cards = value(layer, logit_files.stored(layer.masks), under, rungs=rungs(layer.masks, asked.name))
    history = {len(asked.objects[asked.active]["marks"]): spread(layer.masks)}
    return cards, ladder_views.spread(history, known(layer.masks.model_id))


def _follow(shared: parts.Shared):
    def on_answer(answered, lang, request: gr.Request):
        shown = logit_files.shown(answered, shared, request)
        if shown is None:
            return None, ladder_views.spread({}, None)
        masks = shown.layer.masks
        cards = value(shown.layer, shown.packed, shown.under, rungs=rungs(masks, shown.picture.name))
        history = remembered(shown.layer, request)
        return cards, ladder_views.spread(history, known(masks.model_id))

    return on_answer


def value(layer: parts.Layer, packed: Mapping, under: Mapping, *, rungs: list[dict]) -> dict:
    """What the cards take. packed: the logits of all four tokens. under: the picture, as a map's value names it."""
    best = layer.masks.best
    return {
        **under,
        "logits": packed,
        "place": logit_views.place(layer.masks),
        "rungs": rungs,
        "object": layer.id,
        "token": layer.token,
        "chosen": layer.chosen,
        "best": best,
        "why": ladder_views.why(token=layer.token, best=best, chosen=layer.chosen),
    }


def rungs(masks: Masks, picture: str) -> list[dict]:
    """[{"token", "iou", "stability", "area", "truth", "inside"}], the smallest of the three first, the single one last.

    truth: {"iou", "name"} of the known object that the mask fits best, among those that the marks can mean; else None.
    inside: (the next larger mask, share of this one in it), or None. picture: its name on the stage.
    """
    from pipelines.segment.ambiguity import ladder
    from pipelines.segment.clicks import intersection_over_union

    meant = truth.meant(truth.of(picture), masks.prompt)
    inside = logit_views.inside_next(masks)
    made = []
    for rung in ladder(masks):
        mask = logit_views.enlarged(masks, rung.token) > 0 if meant else None
        fits = [(intersection_over_union(mask, one.mask), one.name) for one in meant]
        iou, name = max(fits, key=lambda fit: fit[0], default=(None, None))
        made.append(
            {
                "token": rung.token,
                "iou": rung.iou,
                "stability": ladder_views.finite(rung.stability),
                "area": rung.area,
                "truth": None if iou is None else {"iou": iou, "name": name},
                "inside": inside.get(rung.token),
            }
        )
    return made


def marks(prompt) -> int:
    """How many marks a prompt holds: its clicks, and its box as one."""
    return len(prompt.points) + (prompt.box is not None)


def remembered(layer: parts.Layer, request: gr.Request) -> dict[int, float]:
    """The spread after each mark of this object in this session; what was undone is forgotten."""
    from pipelines.segment.ambiguity import spread

    session, masks, n = sessions.of(request), layer.masks, marks(layer.masks.prompt)
    key = (masks.picture_key, masks.model_id)
    kept = session.get(HISTORY)
    objects = dict(kept[1]) if kept is not None and kept[0] == key else {}
    before = {count: value for count, value in objects.get(layer.id, {}).items() if count < n}
    objects[layer.id] = {**before, n: spread(masks)}
    session.put(HISTORY, (key, objects), nbytes=1_000 + 100 * sum(map(len, objects.values())))
    return objects[layer.id]


def known(model_id: str) -> ladder_views.Measured | None:
    """What was measured of this model's spread, from its own folder; None where its folder says nothing."""
    runtime = models.runtime()
    path = runtime.resolve(runtime.catalogue.find(model_id)).folder / FIGURES_FILE
    if not path.is_file():
        return None
    return ladder_views.measured(json.loads(path.read_text("utf-8")))
