"""The finished result that the tab opens with is the real model's own, and not an old one."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from demos.shell import sessions
from demos.tokenise import answer, examples, parts, result, store
from pipelines.tokenise import code
from tests.conftest import REPO


@pytest.fixture(scope="module")
def stored() -> store.Stored:
    found = store.load()
    assert found is not None, "run `make stored`"
    return found


def test_it_was_made_by_these_models_from_this_picture_by_this_code(stored):
    assert stored.made_of == store.made_of(), "run `make stored`"
    assert stored.question.picture == examples.offered()[0].id


def test_the_model_still_says_the_same(stored):
    tokens = code.encode(parts.load(parts.BUNDLED), stored.tokens.pixels)
    assert np.array_equal(tokens.indices, stored.tokens.indices)
    assert np.abs(tokens.latents - stored.tokens.latents).max() < 0.01 * np.abs(tokens.latents).max()
    pixels, _ = answer.painted(parts.BUNDLED, tokens.indices, size=tokens.size)
    assert np.abs(pixels.astype(int) - stored.pixels).max() <= 1


def test_its_figures_are_what_the_page_computes(stored):
    visitor = SimpleNamespace(session_hash="tokenise-stored")
    try:
        made = result.shown(stored.question.text, None, visitor)
    finally:
        sessions.forget(visitor)
    assert made.figures.bytes == stored.figures.bytes and made.figures.edited == 0
    assert abs(made.figures.psnr_db - stored.figures.psnr_db) < 0.01
    assert stored.rows[0]["psnr_db"] == round(stored.figures.psnr_db, 2)


def test_its_rivals_can_be_fetched_by_the_page(stored):
    rows = stored.rivals()["rows"]
    assert [row["own"] for row in rows] == [True, False, False, False]
    assert all(sessions.is_own_file(row["src"].split("file=")[1]) for row in rows)


def test_it_is_read_without_a_model_library():
    code = "import sys; from demos.tokenise import store; store.load(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["False"], done.stderr
