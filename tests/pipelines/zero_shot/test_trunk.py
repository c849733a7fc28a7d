import importlib.metadata

import pytest
import timm
import torch

from pipelines.runtime.errors import UserError
from pipelines.zero_shot import trunk

WINDOW_SCREEN = 904  # its place among the 1,000 ImageNet classes


def test_the_wheel_fills_timms_model_strictly():
    state = trunk.load_trunk_state(classifier=True)
    assert len(state) == 296
    timm.create_model(trunk.TIMM_NAME).load_state_dict(state, strict=True)


def test_without_the_classifier_it_is_open_clips_trunk():
    state = trunk.load_trunk_state()
    assert len(state) == 294
    timm.create_model(trunk.TIMM_NAME, num_classes=0).load_state_dict(state, strict=True)


def test_it_sees_a_window_screen_in_a_grid():
    """Weights sit where they belong: put in another order, they would not name any picture."""
    model = timm.create_model(trunk.TIMM_NAME).eval()
    model.load_state_dict(trunk.load_trunk_state(classifier=True))
    grid = torch.ones(1, 3, 224, 224)
    grid[:, :, :, ::16] = grid[:, :, ::16, :] = -1
    with torch.inference_mode():
        probability, number = model(grid).softmax(dim=1).max(dim=1)
    assert number.item() == WINDOW_SCREEN
    assert probability.item() > 0.3


def test_a_missing_package_is_said(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(UserError) as caught:
        trunk.load_trunk_state()
    assert caught.value.key == "errors.trunk_missing"
    assert caught.value.values == {"package": trunk.PACKAGE}


def test_an_altered_file_is_refused_unread(monkeypatch, tmp_path):
    altered = tmp_path / trunk.FILE_NAME
    altered.write_bytes(trunk.find_trunk_file().read_bytes() + b"x")
    monkeypatch.setattr(trunk, "find_trunk_file", lambda: altered)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read before it was checked"))
    with pytest.raises(UserError) as caught:
        trunk.load_trunk_state()
    assert caught.value.key == "errors.trunk_altered"


def test_tensors_that_do_not_fit_are_named():
    published = dict(trunk.load_trunk_state(classifier=True))
    first = next(iter(published))
    published[first] = torch.zeros(3)
    with pytest.raises(ValueError, match=first):
        trunk._onto_timm(published)
