"""Edits of a grid as a link writes them: read back to the same grid, and nothing else is read."""

import numpy as np
import pytest

from demos.tokenise import changes
from pipelines.runtime.errors import UserError


def grids(count: int, side: int = 20):
    before = np.arange(side * side, dtype=np.int32).reshape(side, side)
    now = before.copy()
    now.flat[:count] = 1_000 + np.arange(count)
    return before, now


@pytest.mark.parametrize("count", [0, 1, 7, changes.MOST])
def test_what_is_written_gives_the_edited_grid_again(count):
    before, now = grids(count)
    text = changes.written(changes.between(before, now))
    assert np.array_equal(changes.applied(before, changes.read(text), codes=2_000), now)
    assert before.max() == before.size - 1  # the grid itself is left alone


def test_by_hand():
    before = np.zeros((2, 3), np.int32)
    now = np.array([[0, 7, 0], [0, 0, 9]], np.int32)
    assert changes.between(before, now) == [(0, 1, 7), (1, 2, 9)]
    assert changes.written([(0, 1, 7), (1, 2, 9)]) == "0-1-7_1-2-9"


def test_more_than_an_address_holds_are_not_written():
    assert changes.written(changes.between(*grids(changes.MOST + 1))) == ""


FOREIGN = ("1", "1-2", "1-2-3_", "-1-2-3", "1-2-3;", "a-b-c", "1-2-3_1", "1-2-3\n", "1-2-1e9", "1-2-3_" * 400 + "1-2-3")


@pytest.mark.parametrize("text", FOREIGN)
def test_other_texts_are_refused(text):
    with pytest.raises(UserError, match="changes_form"):
        changes.read(text)


@pytest.mark.parametrize("change", [(2, 0, 1), (0, 3, 1), (0, 0, 10)])
def test_what_lies_outside_the_grid_or_the_codebook_is_refused(change):
    with pytest.raises(UserError, match="changes_outside"):
        changes.applied(np.zeros((2, 3), np.int32), [change], codes=10)
