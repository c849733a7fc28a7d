"""The levels Blocks and Numbers of the picture that is shown. They are worked out when they are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from demos.shell import array_files, jobs, results, sessions
from demos.shell.components.heat import ready
from demos.shell.components.over_heat import OverHeat
from demos.shell.levels import Writer, when_seen
from demos.shell.words import t
from demos.tokenise import level_views, parts

TIMED = "tokenise.timed"  # session: (the key of the tokens, the parts' HTML)
SOON_MS = 3_000  # a model whose encoder takes longer runs again only when asked
_HERE = Path(__file__).parent
_WORDS = (
    *("title", "edited", "search", "sum", "terms", "code", "distance", "chosen", "all_codes", "not_first"),
    *("step", "straight", "vector", "step_said", "losses", "codebook", "commitment", "mean"),
)


class Quantiser(OverHeat):
    """The quantiser at the cell under the pointer; its value is made by `cells_value`. Python gets nothing from it."""

    def __init__(self, value: Mapping | None = None, **kwargs: Any):
        words = tuple(f"tokenise.quantiser_{name}" for name in _WORDS)
        super().__init__(value, folder=_HERE, name="quantiser", none="tokenise.numbers_none", words=words, **kwargs)


@dataclass(frozen=True)
class Panel:
    """time: a button for models whose encoder is slow; hidden for others."""

    switch: results.LevelSwitch
    parts: gr.HTML
    time: gr.Button
    colours: gr.HTML
    numbers: gr.HTML
    quantiser: Quantiser


def lay_out(page, shared: parts.Shared, levels: results.Levels) -> Panel:
    """Both levels, empty until one is looked at."""
    with levels.blocks:
        _html(level_views.STYLE)
        table = _html(level_views.about("blocks_none"), elem_id="tk-blocks")
        time = gr.Button(t("tokenise.blocks_time"), size="sm", visible=False, elem_id="tk-blocks-time")
        colours = _html(elem_id="tk-colours")
    with levels.numbers:
        _html(level_views.heading("quantiser", "quantiser_about"))
        quantiser = Quantiser(elem_id="tk-quantiser")
        numbers = _html(level_views.about("numbers_none"), elem_id="tk-numbers")
    panel = Panel(levels.switch, table, time, colours, numbers, quantiser)
    _wire(page, shared, panel)
    return panel


def _html(value: str = "", **kwargs: Any) -> gr.HTML:
    return gr.HTML(value, apply_default_css=False, **kwargs)


def _wire(page, shared: parts.Shared, panel: Panel) -> None:
    def on_time(answered, lang, request: gr.Request):
        return _timed(answered, shared, request), gr.Button(visible=False)

    blocks = Writer(
        lambda answered, request: _blocks(answered, shared, request), [panel.parts, panel.time, panel.colours]
    )
    numbers = Writer(lambda answered, request: _numbers(answered, shared, request), [panel.numbers, panel.quantiser])
    when_seen(page, panel.switch, shared.answered, blocks=blocks, numbers=numbers)
    panel.time.click(jobs.short(on_time), [shared.answered, page.lang], [panel.parts, panel.time], **jobs.SHORT)


def _pictured(answered: str) -> bool:
    """Whether a picture stands behind the grid; that of a file, or an empty one, has none."""
    return bool(answered) and bool(parts.question(answered).picture)


# --- Blocks ---


def _blocks(answered: str, shared: parts.Shared, request: gr.Request) -> list:
    if not _pictured(answered):
        return [level_views.about("blocks_none"), gr.Button(visible=False), ""]
    from pipelines.tokenise.blocks import coloured

    tokens, model = parts.tokens(answered, shared, request), parts.model(answered)
    soon = tokens.ms <= SOON_MS or _kept_times(tokens, request) is not None
    return [
        _timed(answered, shared, request) if soon else level_views.slow(tokens.ms),
        gr.Button(visible=not soon),
        level_views.colours(coloured(model, tokens), tokens),
    ]


def _timed(answered: str, shared: parts.Shared, request: gr.Request) -> str:
    """The parts with their times, measured once for a picture, a size and a model."""
    tokens, model = parts.tokens(answered, shared, request), parts.model(answered)
    kept = _kept_times(tokens, request)
    if kept is not None:
        return kept
    from pipelines.tokenise.blocks import blocks

    run = jobs.on_device(blocks, model, tokens)
    if tokens.ms <= SOON_MS:  # the second time shows the milliseconds after the first
        run = jobs.on_device(blocks, model, tokens)
    told = level_views.blocks(run, tiles=tokens.tiles)
    sessions.of(request).put(TIMED, (_key(tokens), told), nbytes=len(told))
    return told


def _kept_times(tokens, request: gr.Request) -> str | None:
    kept = sessions.of(request).get(TIMED)
    return kept[1] if kept is not None and kept[0] == _key(tokens) else None


def _key(tokens) -> tuple:
    return tokens.picture_key, tokens.size, tokens.model_id


# --- Numbers ---


def _numbers(answered: str, shared: parts.Shared, request: gr.Request) -> list:
    if not _pictured(answered):
        return [level_views.about("numbers_none"), None]
    from pipelines.tokenise.formula import quantising

    tokens, model = parts.tokens(answered, shared, request), parts.model(answered)
    found = quantising(model, tokens)
    bundled = model.id in (parts.BUNDLED, parts.TWIN)
    made = cells_value(level_views.cells(found, cell=tokens.cell), parts.question(answered).name, request)
    return [
        level_views.numbers(found, codes=tokens.codes, bundled=bundled),
        {**made, "picture": ready(tokens.pixels)},
    ]


def cells_value(made: dict, name: str, request: gr.Request) -> dict:
    """What the component takes, but the picture. made: of `level_views.cells`. name: of the answer on the board."""
    arrays = made.pop("arrays")
    files = {stem: array_files.private(array, stem, request) for stem, array in arrays.items()}
    return {**made, "name": name, "files": files}
