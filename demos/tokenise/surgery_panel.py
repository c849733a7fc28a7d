"""Token surgery: the token that is picked laid open, edits of many at once, how far one reaches, a second picture.

Edits by hand are the board's own, and so are undo and the map of all changes. What is edited here on the server goes to
the board through `Decoded`, as one undo step.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import gradio as gr
import numpy as np

from demos.shell import jobs, sessions
from demos.shell.components.heat import HeatMap
from demos.shell.components.picture import PictureInput
from demos.shell.words import t
from demos.tokenise import answer, decoded, examples, parts, surgery_views
from demos.tokenise.board import Edited
from demos.tokenise.token_card import TokenCard, card
from pipelines.runtime.errors import UserError

if TYPE_CHECKING:
    from pipelines.runtime.pictures import Picture
    from pipelines.tokenise.models import TokeniseModel
    from pipelines.tokenise.tokens import Tokens

MOST_K, FIRST_K = 128, 0
OTHERS = ("farthest", "tenth", "nearest")  # codes that the footprint may put in the token's place
TENTH = 10
KTH = "tokenise.kth"  # session: Kth


@dataclass(frozen=True, eq=False)
class Kth:
    """The last grid of the slider: moving it on starts from `base` again, within the same undo step."""

    name: str
    serial: int
    region: tuple[int, int, int, int] | None
    base: np.ndarray
    made: np.ndarray


@dataclass(frozen=True)
class Panel:
    token: TokenCard
    status: gr.HTML
    k: gr.Slider
    other: gr.Radio
    reach: gr.HTML
    heat: HeatMap
    second: PictureInput
    second_status: gr.HTML


def lay_out(page, shared: parts.Shared) -> Panel:
    """The panel; it begins when a token is picked on the board."""
    _html(surgery_views.heading("surgery_look", "surgery_look_about"))
    token = TokenCard(elem_id="tk-token")
    _html(surgery_views.heading("surgery_many", "surgery_many_about"))
    with gr.Row(elem_classes="lucida-actions"):
        shuffle = gr.Button(t("tokenise.surgery_shuffle"), size="sm", elem_id="tk-shuffle")
        scatter = gr.Button(t("tokenise.surgery_random"), size="sm", elem_id="tk-scatter")
    k = gr.Slider(
        0, MOST_K, value=FIRST_K, step=1, label=t("tokenise.surgery_k"), info=t("tokenise.surgery_k_info"),
        interactive=True, elem_id="tk-kth",
    )  # fmt: skip
    status = jobs.status_line(elem_id="tk-surgery-status")
    _html(surgery_views.heading("surgery_reach_title", "surgery_reach_about"))
    other = gr.Radio(
        [(t(f"tokenise.surgery_other_{name}"), name) for name in OTHERS], value=OTHERS[0],
        label=t("tokenise.surgery_other"), interactive=True, elem_id="tk-other",
    )  # fmt: skip
    with gr.Row(elem_classes="lucida-actions"):
        go = gr.Button(t("tokenise.surgery_reach_go"), variant="primary", size="sm", elem_id="tk-reach-go")
    reach = _html(elem_id="tk-reach")
    heat = HeatMap(elem_id="tk-footprint")
    _html(surgery_views.heading("surgery_second", "surgery_second_about"))
    offered = [(each.path, each.name) for each in examples.offered()]
    second = PictureInput(examples=offered, elem_id="tk-second")
    second_status = jobs.status_line(elem_id="tk-second-status")
    panel = Panel(token, status, k, other, reach, heat, second, second_status)
    _wire(page, shared, panel, shuffle=shuffle, scatter=scatter, go=go)
    return panel


def _html(value: str = "", **kwargs) -> gr.HTML:
    return gr.HTML(value, apply_default_css=False, **kwargs)


def _wire(page, shared: parts.Shared, panel: Panel, *, shuffle, scatter, go) -> None:
    asked, last = [shared.board, shared.answered], {**jobs.SHORT, "trigger_mode": "always_last"}

    def on_look(board, answered, lang, request: gr.Request):
        return looked_at(board, answered, shared, request)

    def on_shuffle(board, answered, lang, request: gr.Request):
        return to_shuffled(board, answered, request)

    def on_scatter(board, answered, lang, request: gr.Request):
        return to_random(board, answered, request)

    def on_kth(board, answered, k, lang, request: gr.Request):
        return to_kth(board, answered, request, k=k)

    def on_reach(board, answered, other, lang):
        return footprint(board, answered, other=other)

    def on_second(board, answered, picture, lang):
        return second_picture(board, answered, picture=picture)

    for event in (shared.board.pick, shared.edited.change):
        event(jobs.short(on_look), [*asked, page.lang], panel.token, **last)
    edits = [shared.decoded, panel.status, shared.edited]
    shuffle.click(jobs.short(on_shuffle), [*asked, page.lang], edits, **last)
    scatter.click(jobs.short(on_scatter), [*asked, page.lang], edits, **last)
    panel.k.input(jobs.short(on_kth), [*asked, panel.k, page.lang], edits, **last)
    go.click(jobs.short(on_reach), [*asked, panel.other, page.lang], [panel.reach, panel.heat], **last)
    inputs = [*asked, panel.second, page.lang]
    panel.second.input(jobs.short(on_second), inputs, [shared.decoded, panel.second_status], **last)
    cleared = [panel.token, panel.status, panel.k, panel.reach, panel.heat, panel.second, panel.second_status]
    shared.answered.change(lambda: (None, "", FIRST_K, "", None, None, ""), None, cleared, **jobs.SHORT)


# --- one token ---


def looked_at(board: Edited | None, answered: str, shared: parts.Shared, request: gr.Request):
    """The card of the token that is picked, None where none is. Raises UserError."""
    if board is None or board.selected is None:
        return None
    if stale(board, answered):
        return gr.skip()
    board, model, tokens = checked(board, answered), parts.model(answered), tokens_behind(answered, shared, request)
    from pipelines.tokenise import surgery

    found = jobs.on_device(surgery.look, model, tokens, board.indices, *board.selected)
    picture = None if tokens is None else tokens.pixels
    return card(board.name, found, places=board.indices.size, picture=picture)


def footprint(board: Edited | None, answered: str, *, other):
    """What changes when another code stands at the token that is picked: a sentence and a map. Raises UserError."""
    board = checked(board, answered)
    if board.selected is None:
        raise UserError("tokenise.surgery_pick_first")
    if other not in OTHERS:
        raise UserError("tokenise.surgery_other_unknown", other=str(other)[:20])
    model, size = parts.model(answered), parts.question(answered).size
    from pipelines.tokenise import surgery

    put = code_at(model, int(board.indices[board.selected]), other)
    found = jobs.on_device(surgery.footprint, model, board.indices, *board.selected, other=put, size=size)
    return surgery_views.reached(found, cell=model.cell), surgery_views.over(found)


def code_at(model: TokeniseModel, index: int, other: str) -> int:
    """The code that is nearest to this one, the tenth nearest, or the farthest."""
    from pipelines.tokenise.surgery import nearest_kth

    k = {"nearest": 1, "tenth": TENTH, "farthest": model.codes - 1}[other]
    return int(nearest_kth(model, np.array([[index]], np.int32), min(k, model.codes - 1))[0, 0])


# --- edits of many ---


def to_shuffled(board: Edited | None, answered: str, request: gr.Request):
    """The tokens of the region, or all, in another order."""
    board, seed = checked(board, answered), secrets.randbits(32)
    from pipelines.tokenise.surgery import shuffled

    made = shuffled(board.indices, seed=seed, region=board.region)
    value = edited(board, made, answered, request)
    return value, said("surgery_shuffled", board, seed=seed), secrets.token_hex(8)


def to_random(board: Edited | None, answered: str, request: gr.Request):
    """Random codes in the region, or everywhere."""
    board, seed, model = checked(board, answered), secrets.randbits(32), parts.model(answered)
    from pipelines.tokenise.surgery import randomised

    made = randomised(board.indices, model.codes, seed=seed, region=board.region)
    value = edited(board, made, answered, request)
    return value, said("surgery_scattered", board, seed=seed), secrets.token_hex(8)


def to_kth(board: Edited | None, answered: str, request: gr.Request, *, k):
    """Every token of the region, or all, as its k-th nearest code: of the codes before the slider was first moved."""
    board, model, session = checked(board, answered), parts.model(answered), sessions.of(request)
    from pipelines.tokenise.surgery import nearest_kth

    k = whole(k, most=min(MOST_K, model.codes - 1))
    before = session.get(KTH)
    goes_on = before is not None and continues(board, before)
    base, serial = (before.base, before.serial) if goes_on else (board.indices, board.serial)
    made = nearest_kth(model, base, k, region=board.region)
    session.put(KTH, Kth(board.name, serial, board.region, base, made), nbytes=base.nbytes + made.nbytes)
    value = edited(board, made, answered, request, serial=serial)
    return value, said("surgery_kth", board, k=k), secrets.token_hex(8)


def continues(board: Edited, before: Kth) -> bool:
    """Whether the board shows what the slider last made: it counts such an edit as one after the serial it answered."""
    here, there = (board.name, board.serial, board.region), (before.name, before.serial + 1, before.region)
    return here == there and np.array_equal(board.indices, before.made)


def said(name: str, board: Edited, **values) -> str:
    """The status line after an edit."""
    top, left, bottom, right = board.region or (0, 0, *board.indices.shape)
    places = (bottom - top) * (right - left)
    return surgery_views.did(name, places=places, region=board.region is not None, **values)


def edited(
    board: Edited,
    made: np.ndarray,
    answered: str,
    request: gr.Request,
    *,
    serial: int | None = None,
) -> dict:
    """An edit of the server, decoded, on its way to the board. serial: that it goes on from, if not the board's."""
    begun = answer.grid(answered, request)
    found = answer.edited(begun.question, replace(board, indices=made, other=None), request)
    from pipelines.tokenise.surgery import difference

    change, serial = difference(begun.pixels, found.pixels), board.serial if serial is None else serial
    return decoded.answer(board.name, serial, found.pixels, indices=made, change=change, ms=round(found.ms, 1))


# --- a second picture ---


def second_picture(board: Edited | None, answered: str, *, picture):
    """Encode the middle of a second picture to a grid of the same shape, for the board to swap with."""
    if picture is None:
        return gr.skip(), ""
    board, model, asked = checked(board, answered), parts.model(answered), parts.question(answered)
    from pipelines.tokenise import code

    pixels, part = fitted(picture, board.indices.shape, cell=model.cell)
    tokens = jobs.on_device(code.encode, model, pixels, picture=picture.sha256)
    shown, _ = answer.painted(model.id, tokens.indices, size=asked.size)
    value = decoded.answer(board.name, board.serial, other=tokens.indices, other_pixels=shown)
    return value, surgery_views.second(pixels.shape[:2], part, tokens.indices.shape)


def fitted(picture: Picture, grid: tuple[int, int], *, cell: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The largest middle part of a picture in the grid's proportions, at its size; and the part's (H, W) in pixels."""
    from PIL import Image

    (height, width), (rows, columns) = picture.pixels.shape[:2], grid
    scale = min(height / rows, width / columns)
    part = max(1, round(rows * scale)), max(1, round(columns * scale))
    top, left = (height - part[0]) // 2, (width - part[1]) // 2
    middle = Image.fromarray(picture.pixels[top : top + part[0], left : left + part[1]])
    return np.asarray(middle.resize((columns * cell, rows * cell), Image.Resampling.LANCZOS)), part


# --- what is asked ---


def checked(board: Edited | None, answered: str) -> Edited:
    """The grid, which belongs to what is shown and holds codes of its model. Raises UserError."""
    if board is None:
        raise UserError("tokenise.nothing_shown")
    if stale(board, answered):
        raise UserError("tokenise.surgery_other_grid")
    model = parts.model(answered)
    from pipelines.tokenise.tokens import check_indices

    check_indices(board.indices, codes=model.codes)
    return board


def stale(board: Edited, answered: str) -> bool:
    """Whether another grid was answered meanwhile."""
    return board.name != parts.question(answered).name


def tokens_behind(answered: str, shared: parts.Shared, request: gr.Request) -> Tokens | None:
    """The tokens of the picture whose codes the grid began with, None where it began with other codes."""
    return parts.tokens(answered, shared, request) if parts.question(answered).source == "picture" else None


def whole(value, *, most: int) -> int:
    """A whole number from 0 to `most`. Raises UserError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or not 0 <= value <= most:
        raise UserError("errors.token_nearest", k=str(value)[:20], last=most)
    return int(value)
