"""What the panel's handlers answer, and what is kept of a codebook, on a tiny real VQModel."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from demos.shell import examples, models
from demos.shell.arrays import unpack
from demos.tokenise import codebook_panel, codebook_views, parts
from pipelines.tokenise import codebook
from pipelines.tokenise.code import encode, prepared
from tests.demos.tokenise.opened import one_visitor, opened_page, shared, tiny_model  # noqa: F401

PANEL = codebook_panel.Panel("status", "map", "of")  # a handler only uses them as keys
TWO = ("cat", "coffee")


@pytest.fixture(autouse=True)
def few_photographs(monkeypatch):
    monkeypatch.setattr(codebook_panel, "PHOTOGRAPHS", TWO)


def run(visitor) -> list[dict]:
    return list(codebook_panel.opened(PANEL, visitor.answered, visitor.request))


def test_the_fixed_set_is_photographs_of_the_app(monkeypatch):
    monkeypatch.undo()
    paths = [each.path for each in examples.offered(codebook_panel.PHOTOGRAPHS)]
    assert len(paths) >= 10
    for path in paths:
        with Image.open(path) as file:
            assert max(file.size) >= codebook.FIXED_PX, path  # shrunk, never enlarged


def test_the_map_is_drawn_and_the_set_counted(visitor, model):
    updates = run(visitor)
    said = [update["status"] for update in updates if "status" in update]
    assert "32 of 32 codes drawn" in said[1]
    assert "2 of 2 photographs counted" in said[-2]
    drawn, counted = (update["map"] for update in updates if "map" in update)
    assert drawn["set"] is None
    places = unpack(counted["places"]).reshape(-1, counted["columns"])
    np.testing.assert_array_equal(places, codebook.layout(model))
    grids = []
    for each in examples.offered(TWO):
        with Image.open(each.path) as file:
            grids.append(encode(model, prepared(np.asarray(file.convert("RGB")), longest=256)).indices)
    expected = codebook.usage(grids, 32)
    np.testing.assert_array_equal(unpack(counted["set"]["counts"]), expected.counts)
    assert counted["set"]["pictures"] == 2
    assert f"{expected.tokens:,} tokens" in said[-1]
    assert [update["of"] for update in updates if "of" in update] == [parts.BUNDLED]


def test_the_map_is_drawn_once(visitor, monkeypatch):
    run(visitor)
    monkeypatch.setattr(codebook, "painted", lambda model: pytest.fail("drawn again"))
    assert run(visitor)[-1]["map"]["set"]["pictures"] == 2


@pytest.mark.parametrize("quick", [True, False])
def test_another_model_brings_its_own_map_where_that_is_quick(visitor, monkeypatch, quick):
    monkeypatch.setattr(models, "is_quick", lambda model_id: quick)
    said, value, of = codebook_panel.on_answer(visitor.answered, "another", "en", visitor.request)
    assert (said, of) == ("", parts.BUNDLED)
    assert (value is not None) == quick


def test_the_same_model_keeps_its_map(visitor):
    skipped = (gr.skip(), gr.skip(), gr.skip())
    assert codebook_panel.on_answer(visitor.answered, parts.BUNDLED, "en", visitor.request) == skipped
    assert codebook_panel.on_answer("", "another", "en", visitor.request) == skipped


def test_a_kept_codebook_is_the_same(model, tmp_path):
    book = codebook_panel.measure(model)
    codebook_views.save(book, tmp_path)
    found, sheet = codebook_views.stored(tmp_path, "tokenise")
    assert sheet.is_file()
    for name, value in asdict(book).items():
        np.testing.assert_array_equal(getattr(found, name), value)
    assert codebook_views.value(found, card=None, sheet=sheet)["set"]["pictures"] == 2


def test_the_tab_opens_with_what_is_kept(model, tmp_path, monkeypatch):
    monkeypatch.setattr(codebook_panel, "card", lambda model_id: None)
    opening = shared()
    assert codebook_panel.stored(opening) is None
    kept = parts.Shared(**{**vars(opening), "stored": SimpleNamespace(folder=tmp_path)})
    assert codebook_panel.stored(kept) is None  # a result without a codebook
    codebook_views.save(codebook_panel.measure(model), tmp_path)
    assert codebook_panel.stored(kept)["model"] == parts.BUNDLED


def test_the_cards_figures_are_read_where_there_are_some(tmp_path):
    assert codebook_views.measured(None) is None
    assert codebook_views.measured(tmp_path) is None
    usage = {"pictures": 500, "tokens": 512_000, "codes": 1024, "used": 1020, "perplexity": 731.5}
    (tmp_path / "figures.json").write_text(json.dumps({"usage": {**usage, "more": 1}}))
    assert codebook_views.measured(tmp_path) == usage
    (tmp_path / "figures.json").write_text("{}")
    assert codebook_views.measured(tmp_path) is None


def test_a_place_without_a_code_has_a_number_that_is_none(model):
    book = codebook_panel.drawn(model)
    places = book.places.copy()
    places[0, 0] = -1
    value = codebook_views.value(codebook_views.Book(**{**asdict(book), "places": places}), card=None)
    assert unpack(value["places"])[0, 0] == 65_535
