"""Filling as the panel does it: each step to the board and the film, and what is refused with a sentence."""

import math

import gradio as gr
import numpy as np
import pytest

from demos.shell.arrays import unpack
from demos.tokenise import answer, fill_panel, fill_run
from demos.tokenise.fill_film import FillFilm
from demos.tokenise.fill_run import Wanted
from pipelines.tokenise import code
from pipelines.tokenise.fill import fill
from tests.demos.tokenise.fill_tiny import (  # noqa: F401
    CELL,
    CODES,
    board_of,
    one_visitor,
    question_of,
    refusal,
    shared_of,
    tiny_models,
)

ASKED = Wanted("", 1.0, 4, 1.0, 5)


@pytest.fixture
def panel():
    with gr.Blocks():
        film = FillFilm()
        return fill_panel.Panel(*(gr.Textbox() for _ in range(6)), film=film)


def hole_of(rows: int, columns: int) -> np.ndarray:
    hole = np.zeros((rows, columns), bool)
    hole[1:5, 2:6] = True
    return hole


def run(panel, shared, request, *, question, board, asked=ASKED) -> list[dict]:
    return list(fill_panel.filled(panel, shared, answered=question.text, board=board, asked=asked, request=request))


def test_each_step_reaches_board_and_film_and_the_end_is_the_pipelines(panel, models, visitor):
    shared, question = shared_of(), question_of((45, 60))
    board = board_of(question, hole_of(6, 8))
    first, *steps, last = run(panel, shared, visitor, question=question, board=board)
    expected = list(fill(models["stage"], board.indices, board.hole, steps=4, seed=5))
    assert list(first) == [panel.status]
    assert len(steps) == 4
    for update, one in zip(steps, expected, strict=True):
        answer = update[shared.decoded]
        assert (answer["name"], answer["serial"]) == (board.name, board.serial)
        hidden = one.indices == CODES
        assert np.array_equal(_cells(answer["hole"]), hidden)
        assert np.array_equal(_cells(answer["indices"]), np.where(hidden, board.indices, one.indices))
        assert update[panel.film]["i"] == one.step - 1
        assert update[panel.film]["points"][-1]["left"] == one.left
    assert not _cells(steps[-1][shared.decoded]["hole"]).any()
    assert set(last) == {panel.status, shared.edited}
    assert "16" in last[panel.status]


def _cells(packed: dict) -> np.ndarray:
    """(rows, columns) integers that the page would unpack."""
    if packed["dtype"] == "uint8":
        return unpack(packed).astype(bool)
    import base64

    return np.frombuffer(base64.b64decode(packed["data"]), "<u2").reshape(packed["shape"]).astype(np.int32)


def test_the_last_picture_is_what_the_codes_decode_to(panel, models, visitor, monkeypatch):
    shown = []
    monkeypatch.setattr(fill_panel, "_answer", lambda board, step, pixels: shown.append((step.indices, pixels)))
    question = question_of((45, 60))
    run(panel, shared_of(), visitor, question=question, board=board_of(question, hole_of(6, 8)))
    indices, pixels = shown[-1]
    assert pixels.shape == (45, 60, 3)
    assert np.array_equal(pixels, code.decode(models["autoencoder"], indices, size=(45, 60)))


def test_the_curves_have_a_point_for_each_step(panel, models, visitor):
    question = question_of((48, 64))
    board = board_of(question, hole_of(6, 8))
    *_, step, _ = run(panel, shared_of(), visitor, question=question, board=board)
    value = step[panel.film]
    assert (value["n"], value["count"], value["bits"]) == (4, 16, math.log2(CODES))
    assert [point["left"] for point in value["points"]] == [14, 11, 6, 0]
    assert sum(point["committed"] for point in value["points"]) == 16
    assert all(0 < point["confidence"] < 1 and 0 < point["entropy"] <= 5 for point in value["points"])


def test_what_cannot_be_filled_is_told(panel, models, visitor):
    shared, question = shared_of(), question_of((48, 64))
    board = board_of(question, hole_of(6, 8))

    def refused(question, board, asked=ASKED) -> str:
        return refusal(
            fill_panel.filled, panel, shared, answered=question.text, board=board, asked=asked, request=visitor
        )

    assert refused(question, None) == "tokenise.nothing_shown"
    assert refused(question_of((48, 64)), board) == "tokenise.nothing_shown"  # another grid was answered meanwhile
    assert refused(question, board_of(question, np.zeros((6, 8), bool))) == "tokenise.fill_no_hole"
    twin = question_of((48, 64), model="lucida-vqvae")
    assert refused(twin, board_of(twin, hole_of(6, 8))) == "errors.no_second_stage"
    for changed, key in (
        ({"steps": 65}, "errors.fill_steps"),
        ({"temperature": math.nan}, "errors.fill_temperature"),
        ({"guidance": "2"}, "errors.fill_guidance"),
        ({"seed": None}, "errors.fill_seed"),
    ):
        assert refused(question, board, Wanted(**{**vars(ASKED), **changed})) == key


def test_a_text_is_read_by_the_stages_own_clip_and_none_is_no_condition(models, monkeypatch):
    from demos.shell import models as shell_models
    from pipelines.tokenise import fill as pipeline

    feature = np.eye(8, dtype=np.float32)[0]
    monkeypatch.setattr(shell_models.runtime(), "load", lambda model_id: model_id)
    monkeypatch.setattr(pipeline, "read", lambda clip, text: (clip, text, feature))
    assert fill_run.read(models["stage"], "a cat") == ("lucida-clip", "a cat", feature)
    assert fill_run.read(models["stage"], "  ") is None
    assert fill_run.read(models["stage"], None) is None


def test_closing_between_steps_frees_the_device(panel, models, visitor):
    from demos.shell import jobs

    question = question_of((48, 64))
    board = board_of(question, np.ones((6, 8), bool))
    running = fill_panel.filled(panel, shared_of(), answered=question.text, board=board, asked=ASKED, request=visitor)
    next(running), next(running)
    running.close()
    assert jobs.on_device(lambda: "free") == "free"
    assert models["autoencoder"].cell == CELL


def test_another_grid_on_the_board_ends_it(panel, models, visitor):
    shared, question = shared_of(), question_of((48, 64))
    board = board_of(question, np.ones((6, 8), bool))
    running = fill_panel.filled(panel, shared, answered=question.text, board=board, asked=ASKED, request=visitor)
    next(running), next(running)
    pixels = np.zeros((48, 64, 3), np.uint8)
    answer.keep(answer.Grid(question_of((48, 64)), board.indices, pixels), visitor)
    (last,) = running
    assert list(last) == [panel.status]
