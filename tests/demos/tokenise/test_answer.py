"""Grids on the board and what they paint: kept as they began, found again, decoded anew only where they differ."""

from dataclasses import replace

import numpy as np
import pytest

from demos.shell import sessions
from demos.tokenise import answer, parts
from pipelines.runtime.errors import UserError
from pipelines.tokenise import code
from tests.demos.tokenise.fill_tiny import CELL, CODES, board_of, one_visitor, shared_of, tiny_models  # noqa: F401


def placed(visitor, *, source: str = "random", shape=(3, 4)):
    """(question, indices, values of the board and of `answered`)."""
    indices = np.random.default_rng(1).integers(0, CODES, shape).astype(np.int32)
    asked, size = parts.ask("cat", 128, parts.BUNDLED, source), (shape[0] * CELL, shape[1] * CELL)
    pixels, ms = answer.painted(parts.BUNDLED, indices, size=size)
    shared = shared_of()
    made = answer.put(asked, indices, pixels, codes=CODES, cell=CELL, shared=shared, request=visitor, ms=ms)
    return parts.question(made[shared.answered]), indices, made[shared.board]


def test_what_is_put_on_the_board_is_kept_as_it_began(models, visitor):
    asked, indices, board = placed(visitor)
    kept = answer.grid(asked.text, visitor)
    assert kept.question == asked and asked.size == (24, 32) and board["size"] == [24, 32]
    assert board["name"] == asked.name and board["source"] == "random"
    assert np.array_equal(kept.indices, indices)
    assert np.array_equal(kept.pixels, code.decode(models["autoencoder"], indices, size=(24, 32)))


def test_random_codes_that_were_let_go_of_are_gone(models, visitor):
    asked, _, _ = placed(visitor)
    sessions.forget(visitor)
    with pytest.raises(UserError, match="grid_gone"):
        answer.grid(asked.text, visitor)


def test_a_pictures_grid_that_was_let_go_of_is_computed_again(models, visitor):
    asked = answer.of_picture(parts.ask("cat", 128, parts.BUNDLED), visitor).question
    first = answer.grid(asked.text, visitor)
    sessions.forget(visitor)
    again = answer.grid(asked.text, visitor)
    assert again is not first and np.array_equal(again.pixels, first.pixels)
    assert answer.latest(visitor) is again


def test_an_older_picture_does_not_displace_what_is_on_the_board(models, visitor):
    older = answer.of_picture(parts.ask("coffee", 128, parts.BUNDLED), visitor).question
    asked, _, _ = placed(visitor)
    assert answer.grid(older.text, visitor).question.picture == "coffee"
    assert answer.latest(visitor).question == asked


def test_an_edit_is_decoded_once(models, visitor, monkeypatch):
    asked, indices, _ = placed(visitor)
    board = board_of(asked, np.zeros(indices.shape, bool), seed=5)
    made = answer.edited(asked, board, visitor)
    assert made.other is None and not np.array_equal(made.pixels, answer.latest(visitor).pixels)
    monkeypatch.setattr(answer, "painted", lambda *given, **named: pytest.fail("decoded again"))
    begun = answer.grid(asked.text, visitor)
    assert answer.pixels_of(begun, board.indices, visitor) is made.pixels
    assert answer.pixels_of(begun, indices, visitor) is begun.pixels


def test_a_swap_paints_both_grids(models, visitor):
    asked, indices, _ = placed(visitor)
    board = board_of(asked, np.zeros(indices.shape, bool), seed=5)
    made = answer.edited(asked, replace(board, other=indices), visitor)
    assert np.array_equal(made.other, answer.latest(visitor).pixels)


def test_a_grid_that_does_not_fit_its_size_is_refused(models):
    with pytest.raises(UserError, match="tokens_shape"):
        answer.painted(parts.BUNDLED, np.zeros((2, 2), np.int32), size=(99, 99))
