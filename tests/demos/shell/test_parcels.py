"""Parcels between tabs: what comes out of the browser is checked."""

import numpy as np
import pytest
from gradio.data_classes import FileData
from PIL import Image

from demos.shell import parcels, sessions
from demos.shell.parcels import ParcelData, opened, packed
from demos.shell.tabs import PARCELS, TabSpec, find, shown
from pipelines.runtime.errors import UserError


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "cache", lambda: tmp_path)
    return tmp_path


def test_each_kind_arrives_as_it_was_sent(folder):
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    mask = np.eye(4, dtype=bool)
    sent = {"picture": picture, "mask": mask, "prompt": "猫 <b>", "skeleton": [[1.5, 2, 0.9]]}
    got = {
        kind: opened(packed(kind, value, sender="pose", to="segment", folder=folder)) for kind, value in sent.items()
    }
    assert set(got) == set(PARCELS)
    np.testing.assert_array_equal(np.asarray(Image.open(got["picture"].path)), picture)
    np.testing.assert_array_equal(np.asarray(Image.open(got["mask"].path)), mask)
    assert (got["prompt"].text, got["skeleton"].data) == ("猫 <b>", [[1.5, 2, 0.9]])
    assert {parcel.sender for parcel in got.values()} == {"pose"}


def test_a_mask_brings_the_picture_that_it_lies_on(folder):
    picture, mask = np.full((4, 4, 3), 7, dtype=np.uint8), np.eye(4, dtype=bool)
    got = opened(packed("mask", mask, sender="segment", to="text_to_image", folder=folder, ground=picture))
    np.testing.assert_array_equal(np.asarray(Image.open(got.path)), mask)
    np.testing.assert_array_equal(np.asarray(Image.open(got.ground)), picture)
    alone = opened(packed("mask", mask, sender="segment", to="text_to_image", folder=folder))
    assert alone.ground is None


def test_file_names_cannot_be_guessed(folder):
    picture = np.zeros((2, 2, 3), dtype=np.uint8)
    names = {packed("picture", picture, sender="a", to="b", folder=folder).file.path for _ in range(3)}
    assert len(names) == 3


FORGED = [
    ParcelData(kind="weights", sender="a", text="x"),
    ParcelData(kind="prompt", sender="<b>", text="x"),
    ParcelData(kind="prompt", sender="a"),
    ParcelData(kind="prompt", sender="a", text="x" * 200_001),
    ParcelData(kind="skeleton", sender="a", text="[" * 100_000),
    ParcelData(kind="skeleton", sender="a", text="no JSON"),
    ParcelData(kind="picture", sender="a", text="x"),
    ParcelData(kind="picture", sender="a", file=FileData(path="/etc/passwd")),
    ParcelData(kind="mask", sender="a", file=FileData(path="app.py")),
]


def test_a_forged_ground_is_refused_as_well(folder):
    good = packed("mask", np.eye(4, dtype=bool), sender="a", to="b", folder=folder)
    with pytest.raises(UserError):
        opened(good.model_copy(update={"ground": FileData(path="/etc/passwd")}))


@pytest.mark.parametrize("payload", FORGED)
def test_forged_parcels_are_refused(payload):
    with pytest.raises(UserError) as refused:
        opened(payload)
    assert refused.value.key == "errors.parcel"


def test_a_file_that_is_gone_is_refused(folder):
    gone = ParcelData(kind="picture", sender="a", file=FileData(path=str(folder / "gone.png")))
    with pytest.raises(UserError):
        opened(gone)


def test_an_empty_box_is_no_parcel():
    assert parcels.Box(render=False).preprocess(None) is None


def test_the_registry_knows_its_tabs_and_kinds():
    assert [spec.id for spec in shown("zero_shot")] == ["zero_shot"]
    assert find("zero_shot") in shown()
    with pytest.raises(KeyError):
        find("none")
    with pytest.raises(ValueError, match="sound"):
        TabSpec(id="a", chapter="b", module="c", takes=("sound",))
