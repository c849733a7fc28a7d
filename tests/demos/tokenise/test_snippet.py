"""The lines of "Copy as Python" run, and paint what the tab shows."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from demos.tokenise import answer, changes, downloads, examples, parts, snippet
from pipelines.runtime.pictures import open_picture
from pipelines.tokenise import code
from tests.conftest import REPO

SIZE = 128


@pytest.fixture
def picture():
    """(tokens of the first example, indices with some of them changed)."""
    pixels = code.prepared(open_picture(examples.offered()[0].path).pixels, longest=SIZE)
    tokens = code.encode(parts.load(parts.BUNDLED), pixels)
    edited = tokens.indices.copy()
    edited[2:4, 3:6] = 17
    return tokens, edited


def run(lines: str, folder, monkeypatch) -> tuple[str, np.ndarray]:
    """What the lines print, and the picture that they save."""
    (folder / "assets").symlink_to(REPO / "assets")
    monkeypatch.chdir(folder)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(lines, "snippet", "exec"), {})
    return printed.getvalue(), np.asarray(Image.open("reconstruction.png"))


@pytest.mark.snippet
@pytest.mark.parametrize("as_edited", [False, True])
def test_it_paints_the_pixels_of_the_tab(picture, as_edited, tmp_path, monkeypatch):
    tokens, edited = picture
    now = edited if as_edited else tokens.indices
    path = f"assets/examples/{examples.offered()[0].path.name}"
    changed = changes.between(tokens.indices, now)
    lines = snippet.python(path, longest=SIZE, model_id=parts.BUNDLED, changes=changed)
    printed, pixels = run(lines, tmp_path, monkeypatch)
    assert np.array_equal(pixels, answer.painted(parts.BUNDLED, now, size=tokens.size)[0])
    assert f"{tokens.indices.size} tokens, {tokens.bytes} bytes" in printed


@pytest.mark.snippet
def test_a_grid_of_no_picture_is_read_from_its_file(picture, tmp_path, monkeypatch):
    tokens, edited = picture
    question = parts.Question("a", "", SIZE, parts.BUNDLED, "random", tokens.size)
    (tmp_path / "tokens.vq").write_bytes(downloads.vq(question, edited))
    _, pixels = run(snippet.from_file(parts.BUNDLED), tmp_path, monkeypatch)
    assert np.array_equal(pixels, answer.painted(parts.BUNDLED, edited, size=tokens.size)[0])


def test_it_is_short_and_its_values_cannot_run_code():
    changed = [(1, 2, 3)] * snippet.MOST_CHANGES
    for changes_now in (changed, [*changed, (0, 0, 0)]):
        lines = snippet.python("x'); import os; ('", longest=SIZE, model_id="a'b\\", changes=changes_now)
        assert lines.count("\n") <= snippet.MOST_LINES
        compile(lines, "snippet", "exec")
        assert "'); import os" not in lines.replace("\"x'); import os; ('\"", "")
    assert "tokens.vq" in lines  # too many changes to write out
