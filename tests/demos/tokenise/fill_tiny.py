"""A tiny autoencoder and its tiny second stage in place of the bundled ones, and a grid on the board."""

from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch

from demos.shell import sessions
from demos.tokenise import parts
from demos.tokenise.edited import Edited
from pipelines.runtime.errors import UserError
from pipelines.tokenise.second_stage import MaskedTransformer, SecondStage, SecondStageConfig
from tests.pipelines.tokenise.conftest import make_model

CODES, SIDE, CELL = 32, 4, 8


class Visitor(SimpleNamespace):
    """What a handler gets as its gr.Request. session_hash: of this visitor's page."""


@pytest.fixture(name="visitor")
def one_visitor():
    """A visitor, whose session is freed afterwards."""
    one = Visitor(session_hash="tokenise-fill")
    yield one
    sessions.forget(one)


@pytest.fixture(name="models")
def tiny_models(monkeypatch):
    """{"autoencoder", "stage"}, loaded under the bundled ones' names; the twin has no second stage, as in the app."""
    torch.manual_seed(0)
    module = MaskedTransformer(SecondStageConfig(CODES, SIDE, 16, 1, 2, 8)).eval().requires_grad_(False)
    torch.nn.init.normal_(module.codes.weight)
    stage = SecondStage(parts.SECOND_STAGE, parts.BUNDLED, "lucida-clip", module, "cpu", torch.float32)
    loaded = {parts.SECOND_STAGE: stage}
    loaded |= {name: make_model(name) for name in (parts.BUNDLED, parts.TWIN)}
    monkeypatch.setattr(parts, "load_any", loaded.__getitem__)
    monkeypatch.setattr(parts, "load", loaded.__getitem__)
    monkeypatch.setattr(parts, "chosen", lambda model_id: model_id or parts.BUNDLED)
    return {"autoencoder": loaded[parts.BUNDLED], "stage": stage}


def shared_of() -> parts.Shared:
    """The components that handlers answer with; only their identity counts."""
    names = ("board", "decoded", "picture", "model", "size", "lang", "answered", "edited")
    return parts.Shared(**{name: gr.Textbox() for name in names}, stored=None)


def board_of(question: parts.Question, hole: np.ndarray, *, seed: int = 0) -> Edited:
    """The board with random codes and this hole."""
    indices = np.random.default_rng(seed).integers(0, CODES, hole.shape).astype(np.int32)
    return Edited(question.name, indices, None, hole, None, None, 11, question.source, CODES)


def question_of(size: tuple[int, int], *, model: str = parts.BUNDLED, source: str = "picture") -> parts.Question:
    made = parts.ask("cat", 128, model, source)
    return parts.Question(made.name, made.picture, made.longest, made.model_id, made.source, size)


def refusal(call, *arguments, **named) -> str:
    """The key of the UserError that a call raises; a generator is run to its end."""
    with pytest.raises(UserError) as raised:
        list(call(*arguments, **named) or ())
    return raised.value.key
