"""The finished result that the tab opens with is the real model's own, and not an old one."""

import subprocess
import sys

import numpy as np
import pytest

from demos.segment import answer as answers
from demos.segment import examples, parts, store, wanted
from pipelines.runtime.pictures import open_picture
from pipelines.segment import prompt
from tests.conftest import REPO


@pytest.fixture(scope="module")
def stored() -> store.Stored:
    result = store.load()
    assert result is not None, "run `make stored`"
    return result


def test_it_was_made_by_this_model_from_this_picture_by_this_code(stored):
    assert stored.made_of == store.made_of(), "run `make stored`"
    assert stored.asked.name == examples.offered()[0].id


def test_the_model_still_says_the_same(stored):
    model, first = parts.load(parts.BUNDLED), examples.offered()[0]
    (one,), _ = wanted.read(stored.asked.value, *examples.size(first))
    embedding = prompt.encode(model, open_picture(first.path).pixels)
    now, was = answers.solve(model, embedding, one, chained=True).masks, stored.layer.masks
    assert np.abs(now.iou - was.iou).max() < 1e-3
    assert np.abs(now.logits - was.logits).max() < 0.05  # stored as float16
    assert (now.valid, now.size, now.picture_key) == (was.valid, was.size, was.picture_key)


def test_its_cut_out_can_be_fetched_by_the_page(stored):
    from demos.shell import sessions

    assert sessions.is_own_file(stored.cut_out())


def test_a_panel_that_needs_more_gets_it_computed_live(stored, visitors):
    shared = parts.Shared(None, None, None, None, stored)
    embedding = parts.embedding(stored.name, shared, visitors[0])
    masks = parts.masks(stored.name, shared, visitors[0])
    assert embedding.picture_key == stored.layer.masks.picture_key
    assert np.abs(masks.iou - stored.layer.masks.iou).max() < 1e-3


def test_it_is_read_without_a_model_library():
    code = "import sys; from demos.segment import store; store.load(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == ["False"], done.stderr
