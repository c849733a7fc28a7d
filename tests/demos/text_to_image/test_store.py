"""The finished result that the tab opens with is the real model's own, and not an old one."""

import json

import numpy as np
import pytest
from PIL import Image

from demos.text_to_image import parts, store
from pipelines.text_to_image.metadata import read_png
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings


@pytest.fixture(params=["en", "zh"])
def stored(request) -> store.Stored:
    result = store.load(request.param)
    assert result is not None, "run `make stored`"
    return result


def test_it_was_made_by_this_model_from_this_prompt_by_this_code(stored):
    assert stored.made_of == store.made_of(), "run `make stored`"


def test_the_model_still_draws_the_same(stored):
    *_, run = generate(parts.load(stored.shown.model_id), Settings(**stored.settings))
    (drawn,) = stored.drawn()
    assert np.abs(np.asarray(Image.open(drawn.path)).astype(int) - run.pictures[0]).max() <= 2
    assert read_png(drawn.path.read_bytes())[0] == stored.settings


def test_everything_that_the_tab_opens_with_is_there(stored):
    said = stored.said
    assert all(said[name] for name in ("strip", "provenance", "code", "blocks", "numbers"))
    assert (
        len(said["numbers"]) == stored.settings["steps"] == json.loads((stored.folder / "reel.json").read_text())["n"]
    )
    assert "lucida-stored" in said["provenance"] and "lucida-live" not in said["provenance"]
