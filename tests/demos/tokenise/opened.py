"""A visitor with a tiny model's grid of an example on the board, for tests of the panels' handlers."""

from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest

from demos.shell import sessions
from demos.tokenise import answer, codebook_panel, parts, surgery_panel
from demos.tokenise.board import Edited
from tests.pipelines.tokenise.conftest import make_model

LONGEST = 128


@pytest.fixture(scope="module", name="model")
def tiny_model():
    """32 codes, 8 px a token, under the bundled model's name."""
    return make_model(parts.BUNDLED)


@pytest.fixture(scope="module", name="page")
def opened_page(model):
    """A page with the first example on the board, encoded once for all tests of a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "load", lambda model_id: model)
        patch.setattr(parts, "chosen", lambda model_id: parts.BUNDLED)
        request = SimpleNamespace(session_hash=f"tokenise-{id(model)}")
        asked = answer.of_picture(parts.ask("cat", LONGEST, parts.BUNDLED), request).question
        tokens = parts.encoded("cat", LONGEST, parts.BUNDLED, request).tokens
        yield SimpleNamespace(request=request, shared=shared(), asked=asked, answered=asked.text, tokens=tokens)
        sessions.forget(request)


@pytest.fixture(name="visitor")
def one_visitor(page):
    """That page before its visitor did anything: request, shared, asked, answered, tokens."""
    for key in (surgery_panel.KTH, codebook_panel.BOOK):
        sessions.of(page.request).put(key, None, nbytes=0)
    return SimpleNamespace(**vars(page))


def shared() -> parts.Shared:
    """The hidden boxes of a page."""
    with gr.Blocks():
        names = ("board", "decoded", "picture", "model", "size", "lang", "answered", "edited")
        return parts.Shared(**{name: gr.Textbox() for name in names}, stored=None)


def board(visitor, **changed) -> Edited:
    """What a handler gets of the board: the picture's codes, with what a test changes."""
    indices = changed.get("indices", visitor.tokens.indices)
    given = {
        "name": visitor.asked.name,
        "indices": indices,
        "other": None,
        "hole": np.zeros(indices.shape, bool),
        "selected": None,
        "region": None,
        "serial": 700,
        "source": visitor.asked.source,
        "codes": visitor.tokens.codes,
    }
    return Edited(**{**given, **changed})
