"""What is shown is said in a text that anybody can forge; the picture's tokens belong to one visitor and come back."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from demos.shell import sessions
from demos.tokenise import examples, parts
from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import open_picture
from tests.demos.tokenise.fill_tiny import Visitor, question_of, shared_of, tiny_models  # noqa: F401


@pytest.fixture
def visitors():
    both = [Visitor(session_hash=f"tokenise-parts-{name}") for name in "ab"]
    yield both
    for one in both:
        sessions.forget(one)


def test_a_question_comes_back_from_its_text(models):
    asked = question_of((40, 64), source="random")
    assert parts.question(asked.text) == asked


FORGED = [
    {"source": "../x"}, {"picture": 5}, {"picture": None}, {"name": []}, {"size": [1]}, {"size": [0, 5]},
    {"size": "ab"}, {"size": [1.5, 2]}, {"size": [True, 5]}, {"longest": 300}, {"longest": True}, {"longest": "256"},
    {"more": 1},
]  # fmt: skip


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_text_is_refused(models, forged):
    text = json.dumps({**json.loads(question_of((40, 64)).text), **forged})
    with pytest.raises(UserError):
        parts.question(text)


@pytest.mark.parametrize("text", ["", "x", "[]", "3", "null", "{}", "[" * 100_000])
def test_a_text_of_another_kind_is_refused(models, text):
    with pytest.raises(UserError, match=r"tokenise\.(gone|nothing_shown)"):
        parts.question(text)


@pytest.mark.parametrize("path", ["/etc/passwd", "assets/examples/cat.jpg", "../cat", "\0", "pair"])
def test_no_other_file_of_the_server_is_opened(models, visitors, path):
    with pytest.raises(UserError, match="picture_gone"):
        parts.encoded(path, 128, parts.BUNDLED, visitors[0])


def test_the_second_stage_cannot_encode():
    with pytest.raises(UserError, match="model_second_stage"):
        parts.chosen(parts.SECOND_STAGE)


def test_a_model_of_another_tab_is_refused():
    with pytest.raises(UserError, match="model_of_other_tab"):
        parts.chosen("lucida-clip")


def test_a_session_that_let_go_encodes_again_and_gets_the_same(models, visitors):
    answered, shared = question_of((85, 128)).text, shared_of()
    first = parts.tokens(answered, shared, visitors[0])
    assert parts.tokens(answered, shared, visitors[0]) is first
    sessions.forget(visitors[0])
    again = parts.tokens(answered, shared, visitors[0])
    assert again is not first and np.array_equal(again.indices, first.indices)
    assert again.picture_key == open_picture(examples.find("cat").path).sha256


def test_two_visitors_hold_their_own_tokens(models, visitors):
    cat, coffee = question_of((1, 1)), replace(question_of((1, 1)), picture="coffee")
    shared = shared_of()
    a, b = (parts.tokens(each.text, shared, one) for each, one in zip((cat, coffee), visitors, strict=True))
    assert parts.tokens(cat.text, shared, visitors[0]) is a and parts.tokens(coffee.text, shared, visitors[1]) is b
    assert not np.array_equal(a.pixels[:80, :80], b.pixels[:80, :80])


def test_both_models_of_a_picture_are_held_and_a_new_picture_replaces_them(models, visitors):
    kept = [parts.encoded("cat", 128, name, visitors[0]) for name in (parts.BUNDLED, parts.TWIN)]
    assert [parts.encoded("cat", 128, name, visitors[0]) for name in (parts.BUNDLED, parts.TWIN)] == kept
    parts.encoded("coffee", 128, parts.BUNDLED, visitors[0])
    assert list(sessions.of(visitors[0]).get(parts.TOKENS)) == [("coffee", 128, parts.BUNDLED)]


def test_a_picture_is_shrunk_and_never_enlarged(models, visitors, tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "is_own_file", lambda path: True)
    path = tmp_path / "small.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    small = parts.encoded(str(path), 1024, parts.BUNDLED, visitors[0])
    assert small.tokens.size == small.full_size == (40, 60)
    large = parts.encoded("cat", 128, parts.BUNDLED, visitors[0])
    assert max(large.tokens.size) == 128 < max(large.full_size)


def test_without_a_picture_there_are_no_tokens(models, visitors):
    with pytest.raises(UserError, match="picture_first"):
        parts.tokens(replace(question_of((8, 8)), picture="").text, shared_of(), visitors[0])
