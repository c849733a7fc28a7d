"""A tiny real pipeline as the running app holds it, and a finished run of it."""

from types import SimpleNamespace

import pytest

from demos.text_to_image import parts
from tests.pipelines.text_to_image.conftest import tiny_model, tiny_pipeline  # noqa: F401  (fixtures)


@pytest.fixture
def runtime_model(tiny_model, monkeypatch):  # noqa: F811  (a fixture's name)
    """The tiny model in place of every model that the tab loads."""
    monkeypatch.setattr(parts, "load", lambda model_id: tiny_model)
    return tiny_model


@pytest.fixture(scope="session")
def run(tiny_model):  # noqa: F811
    """Two pictures in four guided steps."""
    from pipelines.text_to_image.sample import generate
    from pipelines.text_to_image.settings import Settings

    *_, denoising = generate(tiny_model, Settings("a red apple", steps=4, width=64, height=64, batch=2, seed=3))
    return denoising


@pytest.fixture
def request_of():
    """request_of("name") -> what a handler gets as its request, of a session of its own."""
    made = []

    def of(name: str = "visitor"):
        made.append(SimpleNamespace(session_hash=f"test-{name}-{id(made)}"))
        return made[-1]

    from demos.shell import sessions

    yield of
    for request in made:
        sessions.forget(request)
