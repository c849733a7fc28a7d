"""The finished result that the tab opens with is the real models' own, and not an old one."""

import numpy as np
import pytest

from demos.zero_shot import answer as answers
from demos.zero_shot import examples, store
from pipelines.runtime.pictures import open_picture
from tests.demos.zero_shot.made_up import half


@pytest.fixture(params=["en", "zh"])
def stored(request) -> store.Stored:
    result = store.load(request.param)
    assert result is not None, "run `make stored`"
    return result


def test_it_was_made_by_these_models_from_this_picture_by_this_code(stored):
    assert stored.made_of == store.made_of(), "run `make stored`"
    assert stored.example == examples.offered()[0].id


def test_the_models_still_say_the_same(stored):
    pixels = open_picture(examples.offered()[0].path).pixels
    now = answers.ask(pixels, stored.answer.question)
    for name in ("softmax", "sigmoid"):
        was, is_now = getattr(stored.answer, name), getattr(now, name)
        assert was.labels == is_now.labels and was.model_id == is_now.model_id
        assert np.abs(was.cosines - is_now.cosines).max() < 1e-3
        assert was.tokens == is_now.tokens


def test_the_first_example_is_named_rightly(stored):
    """Among its labels are two kinds of the animal, either of which may come before its plain name."""
    main = stored.answer.main
    best = {main.labels[i] for i in main.cosines.argsort()[-3:]}
    assert best & set(examples.offered()[0].truth.values())


def test_packing_and_unpacking_loses_nothing_but_a_little_of_the_view():
    for original in (half(), half(bias=-2.0, cut=(True, False))):
        again = store._unpacked(store._packed(original))
        for field in ("model_id", "labels", "logit_scale", "logit_bias", "tokens", "kept", "cut", "blocks", "ms"):
            assert getattr(again, field) == getattr(original, field)
        assert np.allclose(again.cosines, original.cosines) and again.view.shape == original.view.shape
        assert (again.sigmoid is None) == (original.sigmoid is None)
