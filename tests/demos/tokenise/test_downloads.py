"""The files hold the grid as it is on the board: its codes come back, its picture is the one on screen."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from demos.shell import sessions
from demos.tokenise import answer, downloads, parts
from pipelines.runtime.errors import UserError
from pipelines.tokenise import container
from tests.demos.tokenise.fill_tiny import board_of, one_visitor, question_of, tiny_models  # noqa: F401

HOLE = np.zeros((3, 4), bool)


def saved(kind: str, visitor, tmp_path, monkeypatch, *, board, answered) -> bytes:
    monkeypatch.setattr(sessions, "of", lambda request: SimpleNamespace(folder=tmp_path))
    address = downloads._saver(kind)(board, answered, "en", visitor)
    path = tmp_path / address.split("/")[-2] / downloads.KINDS[kind]
    assert address.endswith(downloads.KINDS[kind])
    return path.read_bytes()


def test_the_codes_of_an_edited_board_come_back(models, visitor, tmp_path, monkeypatch):
    asked = question_of((20, 31))
    board = board_of(asked, HOLE)
    found = container.unpack(saved("vq", visitor, tmp_path, monkeypatch, board=board, answered=asked.text))
    assert np.array_equal(found.indices, board.indices)
    assert (found.size, found.model_id, found.codes, found.cell) == ((20, 31), parts.BUNDLED, 32, 8)


def test_the_png_is_what_the_board_shows(models, visitor, tmp_path, monkeypatch):
    asked = question_of((20, 31))
    board = board_of(asked, HOLE)
    data = saved("png", visitor, tmp_path, monkeypatch, board=board, answered=asked.text)
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    assert np.array_equal(pixels, answer.painted(parts.BUNDLED, board.indices, size=(20, 31))[0])


@pytest.mark.parametrize("answered", ["", "other"])
def test_without_a_grid_of_this_answer_nothing_is_saved(models, visitor, answered):
    text = question_of((20, 31)).text if answered else ""
    with pytest.raises(UserError, match="nothing_shown"):
        downloads._saver("vq")(board_of(question_of((20, 31)), HOLE), text, "en", visitor)
