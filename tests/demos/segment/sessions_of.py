"""Visitors and a picture for tests of the tab's handlers, answered by a SAM of 64 px with random weights."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from demos.segment import parts
from demos.segment.stage import Asked
from demos.segment.wanted import Wanted
from demos.shell import sessions
from tests.pipelines.segment.conftest import make_model


class Visitor(SimpleNamespace):
    """What a handler gets as its gr.Request. session_hash: of this visitor's page."""

    def close(self) -> None:
        """Leave the page."""
        sessions.forget(self)


@pytest.fixture
def visitors():
    """Two visitors, whose sessions are freed afterwards."""
    both = [Visitor(session_hash=name) for name in ("segment-a", "segment-b")]
    yield both
    for one in both:
        one.close()


@pytest.fixture
def tiny(monkeypatch):
    """The tab's only model: a tiny one, under the bundled one's name."""
    model = make_model(parts.BUNDLED)
    monkeypatch.setattr(parts, "load", lambda model_id: model)
    monkeypatch.setattr(parts, "chosen", lambda model_id: parts.BUNDLED)
    return model


def picture_file(folder: Path, *, width: int = 60, height: int = 40, seed: int = 0) -> Path:
    """A PNG of random colours."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    path = folder / f"picture-{seed}.png"
    Image.fromarray(pixels).save(path)
    return path


def on_stage(path: Path, *objects: dict, active: int = 0, finger=None) -> Asked:
    """The stage with this picture and these objects."""
    return Asked(str(path), path, list(objects), active, finger)


def point(x: int, y: int, label: int = 1) -> dict:
    return {"kind": "point", "x": x, "y": y, "label": label}


def box(x0, y0, x1, y1) -> dict:
    return {"kind": "box", "x0": x0, "y0": y0, "x1": x1, "y1": y1}


def wanted_of(*marks: dict, **given) -> Wanted:
    """An object with these marks on a picture of 60 x 40 pixels."""
    from demos.segment import wanted

    (one,), _ = wanted.read({"objects": [{"id": 1, "marks": list(marks), **given}]}, 60, 40)
    return one
