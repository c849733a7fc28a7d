"""Where the codes come from: random ones are drawn evenly, the second stage's are its own; each says so."""

import numpy as np
import pytest

from demos.tokenise import answer, fill_run, parts, sources
from tests.demos.tokenise.fill_tiny import CELL, CODES, SIDE, one_visitor, question_of, refusal, shared_of, tiny_models  # noqa: F401


def texts_of(html: str) -> str:
    return html.replace("&#x27;", "'")


def test_each_source_has_its_sentence_in_both_languages():
    said = {}
    for source in parts.SOURCES:
        said[source] = sources.told(question_of((8, 8), source=source).text)
        assert 'lang="en"' in said[source] and 'lang="zh-CN"' in said[source]
    assert len(set(said.values())) == len(parts.SOURCES)
    assert sources.told("") == ""


def test_a_new_question_keeps_picture_size_and_model():
    now = question_of((40, 64))
    new = sources.asked(now.text, 1024, "lucida-vqvae", source="random")
    assert (new.picture, new.longest, new.model_id, new.source) == ("cat", 128, parts.BUNDLED, "random")
    assert new.name != now.name


def test_without_a_picture_the_pages_settings_count(models):
    new = sources.asked("", 512, "", source="random")
    assert (new.picture, new.longest, new.model_id) == ("", 512, parts.BUNDLED)
    assert refusal(sources.asked, "", 500, "", source="random") == "tokenise.size_unknown"


def test_random_codes_fill_the_pictures_grid_evenly_and_differ_each_time(models, visitor):
    shared, grids = shared_of(), []
    for _ in range(2):
        question = sources.asked(question_of((1, 1)).text, 128, "", source="random")
        made = sources.rubbish(question, shared, visitor)
        grids.append(answer.latest(visitor).indices)
        assert parts.question(made[shared.answered]).source == "random"
        assert made[shared.board]["source"] == "random" and made[shared.board]["original"] is None
    tokens = parts.encoded("cat", 128, parts.BUNDLED, visitor).tokens
    assert grids[0].shape == grids[1].shape == tokens.indices.shape
    assert not np.array_equal(*grids)
    counts = np.bincount(np.concatenate(grids, axis=None), minlength=CODES)
    assert len(counts) == CODES
    assert counts.sum() / CODES == pytest.approx(np.median(counts), rel=0.5)


def test_random_codes_without_a_picture_fill_a_square(models, visitor):
    question = sources.asked("", 128, "", source="random")
    sources.rubbish(question, shared_of(), visitor)
    assert answer.latest(visitor).indices.shape == (128 // CELL, 128 // CELL)


def test_the_second_stage_makes_a_grid_of_its_own_size(models, visitor, monkeypatch):
    shared, status = shared_of(), object()
    monkeypatch.setattr(fill_run, "read", lambda stage, text: np.eye(8, dtype=np.float32)[len(text) % 8])
    question = sources.asked(question_of((1, 1)).text, 128, "", source="second_stage")
    *steps, last = sources.generated(question, shared, visitor, status=status)
    assert len(steps) == fill_run.STEPS
    kept = answer.latest(visitor)
    assert kept.indices.shape == (SIDE, SIDE) and kept.pixels.shape == (SIDE * CELL, SIDE * CELL, 3)
    assert (kept.indices < CODES).all()
    shown = last[shared.board]
    assert (shown["rows"], shown["columns"], shown["source"]) == (SIDE, SIDE, "second_stage")
    assert any(name in last[status] for name in sources.names("en"))


def test_the_twin_has_no_second_stage(models, visitor):
    question = sources.asked(question_of((1, 1), model=parts.TWIN).text, 128, "", source="second_stage")
    assert refusal(sources.generated, question, shared_of(), visitor, status=object()) == "errors.no_second_stage"


def test_names_stand_in_the_same_order_in_both_languages():
    assert len(sources.names("en")) == len(sources.names("zh")) > 4
    assert all(name.strip() for lang in ("en", "zh") for name in sources.names(lang))
