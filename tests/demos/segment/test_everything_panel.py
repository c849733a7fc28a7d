"""What the panel's handlers answer, on a tiny real SAM: the pass with its progress, the last filter, the COCO file."""

import json
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import unquote

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from demos.segment import answer, everything_panel, parts
from demos.segment.funnel import Sieve
from demos.segment.stage import Asked
from demos.shell import sessions
from pipelines.runtime.errors import UserError
from pipelines.segment.everything import Thresholds, filter
from tests.pipelines.segment.conftest import make_model, make_picture

LOOSE = {"iou": 0.0, "stability": 0.2, "nms": 1.0, "min_area": 0}


@pytest.fixture(scope="module")
def laid_out():
    """shared: `parts.Shared`; panel: the components."""
    with gr.Blocks():
        page = SimpleNamespace(lang=gr.Textbox("en"), link={}, tab="segment")
        hidden = {name: gr.Textbox() for name in ("stage", "model", "lang", "answered")}
        shared = parts.Shared(**hidden, stored=None)
        yield SimpleNamespace(shared=shared, panel=everything_panel.lay_out(page, shared))


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture
def visitor(model, monkeypatch, tmp_path):
    """A session with a picture of 90 x 120 pixels on the stage, named "one"."""
    request = SimpleNamespace(session_hash=f"everything-{id(monkeypatch)}")
    request.stage = on_stage(make_picture(90, 120), tmp_path)
    monkeypatch.setattr(parts, "load", lambda model_id: model)
    monkeypatch.setattr(parts, "chosen", lambda model_id: model.id)
    yield request
    sessions.forget(request)


@pytest.fixture
def other(tmp_path):
    """Another picture on the stage."""
    return on_stage(make_picture(60, 60, seed=5), tmp_path, "two")


def on_stage(pixels, folder, name: str = "one") -> Asked:
    """The picture as a file on the stage, without a mark."""
    path = folder / f"{name}.png"
    Image.fromarray(pixels).save(path)
    return Asked(name=name, path=path, objects=[], active=0)


def run(laid_out, visitor, *, side=8) -> list[dict]:
    return list(everything_panel.found(laid_out.panel, visitor.stage, model="", side=side, request=visitor))


def sieve(value: dict, **limits) -> Sieve:
    return Sieve(value["serial"], {**LOOSE, **limits}, value)


def test_a_pass_tells_how_far_it_is_and_gives_the_funnel(laid_out, visitor):
    panel, updates = laid_out.panel, run(laid_out, visitor, side=16)
    said = [update[panel.status] for update in updates]
    assert sum("of 256 points" in text for text in said) == 4
    assert [panel.funnel in update for update in updates] == [False] * (len(updates) - 1) + [True]
    value = updates[-1][panel.funnel]
    assert value["name"] == "one"
    assert value["masks"]["shape"][0] == 768
    assert "768 masks" in said[-1]


@pytest.mark.parametrize("side", [0, 7, 16.5, "16; drop", None, True, 10**9])
def test_a_grid_that_is_not_offered_is_refused(laid_out, visitor, side):
    with pytest.raises(UserError, match="everything_side_unknown"):
        run(laid_out, visitor, side=side)


def test_without_a_picture_it_says_so(laid_out, visitor):
    visitor.stage = None
    with pytest.raises(UserError, match="picture_missing"):
        run(laid_out, visitor)


def test_the_picture_is_encoded_once(laid_out, visitor, model, monkeypatch):
    run(laid_out, visitor)
    monkeypatch.setattr(parts, "keep_embedding", lambda *given: pytest.fail("encoded again"))
    assert laid_out.panel.funnel in run(laid_out, visitor)[-1]


def test_a_pass_of_a_picture_that_has_gone_is_dropped(laid_out, visitor, other):
    steps = everything_panel.found(laid_out.panel, visitor.stage, model="", side=8, request=visitor)
    next(steps), next(steps)
    answer.pictured(other, visitor)
    *_, last = steps
    assert laid_out.panel.funnel not in last
    assert sessions.of(visitor).get(everything_panel.PASS) is None


def test_another_picture_empties_the_funnel_and_the_same_one_does_not(laid_out, visitor, other):
    value = run(laid_out, visitor)[-1][laid_out.panel.funnel]
    assert everything_panel.on_answer("a", sieve(value), "en", visitor) == (gr.skip(), gr.skip())
    answer.pictured(other, visitor)
    assert everything_panel.on_answer("b", sieve(value), "en", visitor) == ("", None)
    with pytest.raises(UserError, match="everything_run_first"):
        everything_panel.on_coco(sieve(value), "en", visitor)


def test_another_model_empties_the_funnel(laid_out, visitor):
    value = run(laid_out, visitor)[-1][laid_out.panel.funnel]
    parts.keep_embedding(replace(sessions.of(visitor).get(parts.EMBEDDING), model_id="larger"), visitor)
    assert everything_panel.on_answer("a", sieve(value), "en", visitor) == ("", None)


def test_a_picture_taken_away_empties_the_funnel(laid_out, visitor):
    value = run(laid_out, visitor)[-1][laid_out.panel.funnel]
    assert everything_panel.on_answer("", sieve(value), "en", visitor) == ("", None)
    assert everything_panel.on_answer("", None, "en", visitor) == (gr.skip(), gr.skip())


def test_the_last_filter_is_the_pipelines(laid_out, visitor):
    value = run(laid_out, visitor)[-1][laid_out.panel.funnel]
    grid = sessions.of(visitor).get(everything_panel.PASS).grid
    for area in (30, 200, 30):
        sent = everything_panel.on_small(sieve(value, min_area=area), "en", visitor)
        funnel = filter(grid, Thresholds(**{**LOOSE, "min_area": area}))
        assert sent["serial"] == value["serial"]
        assert sent["small"]["kept"] == funnel.kept.tolist()
        assert sent["small"]["limits"]["min_area"] == area


def test_a_pass_of_another_session_is_refused(laid_out, visitor):
    value = run(laid_out, visitor)[-1][laid_out.panel.funnel]
    somebody = SimpleNamespace(session_hash="somebody else")
    for asked, request in ((sieve(value), somebody), (replace(sieve(value), serial="made up"), visitor)):
        with pytest.raises(UserError, match="everything_run_first"):
            everything_panel.on_coco(asked, "en", request)
        assert "Find everything" in everything_panel.on_small(asked, "en", request)["small"]["refused"]["en"]


def test_too_many_masks_are_not_looked_at_pixel_by_pixel(laid_out, visitor, monkeypatch):
    value = run(laid_out, visitor)[-1][laid_out.panel.funnel]
    monkeypatch.setattr(everything_panel, "MOST_PIXELS", 5)
    small = everything_panel.on_small(sieve(value, min_area=50), "en", visitor)["small"]
    assert "at most 5" in small["refused"]["en"] and small["limits"]["min_area"] == 50
    with pytest.raises(UserError, match="everything_many"):
        everything_panel.on_coco(sieve(value), "en", visitor)


@pytest.mark.parametrize("min_area", [0, 60])
def test_all_kept_masks_are_in_the_coco_file(laid_out, visitor, min_area):
    value = run(laid_out, visitor)[-1][laid_out.panel.funnel]
    address = everything_panel.on_coco(sieve(value, min_area=min_area), "zh", visitor)
    path = unquote(address).removeprefix("gradio_api/file=")
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    grid = sessions.of(visitor).get(everything_panel.PASS).grid
    funnel = filter(grid, Thresholds(**{**LOOSE, "min_area": min_area}))
    assert data["images"][0]["width"] == 120
    assert len(data["annotations"]) == len(funnel.kept) > 1
    for index, annotation in zip(funnel.kept.tolist(), data["annotations"], strict=True):
        np.testing.assert_array_equal(
            coco_mask.decode(annotation["segmentation"]).astype(bool), funnel.mask(grid, index)
        )


def test_nothing_left_is_said(laid_out, visitor):
    value = run(laid_out, visitor)[-1][laid_out.panel.funnel]
    with pytest.raises(UserError, match="everything_none_kept"):
        everything_panel.on_coco(sieve(value, iou=1.0, stability=1.0), "en", visitor)


def test_a_session_keeps_the_files_of_one_pass(laid_out, visitor):
    for _ in range(3):
        run(laid_out, visitor)
    folder = sessions.of(visitor).folder / everything_panel.FOLDER
    assert len(list(folder.iterdir())) == 3
