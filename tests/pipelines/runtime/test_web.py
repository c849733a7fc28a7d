"""Files published outside of the hub: downloaded once, resumed, checked by their SHA-256, found by their names."""

import hashlib
import os
from dataclasses import replace

import pytest

from pipelines.runtime import hub
from pipelines.runtime.catalogue import Catalogue, Web, read_catalogue
from pipelines.runtime.context import Runtime, Settings
from pipelines.runtime.errors import UserError
from tests.pipelines.runtime.fake_hub import FakeHub
from tests.pipelines.runtime.sentences import sentence

NAME = "sam_tiny_012345.pth"
CONTENT = os.urandom(2_000_000)
PATIENCE_S = 30.0  # for a server that answers: a busy machine may take seconds to start the process
SILENCE_S = 6.0  # where it is waited for in vain


@pytest.fixture
def server():
    fake = FakeHub({NAME: CONTENT})
    yield fake
    fake.close()


def entry(server, *, sha256: str | None = None):
    source = Web(f"{server.url}/resolve/files/{NAME}", sha256 or hashlib.sha256(CONTENT).hexdigest())
    return replace(read_catalogue().entries[0], id="test-web", source=source, packages=())


def fetch(what, cache, *, patience_s=PATIENCE_S):
    return list(hub.download(what, patience_s=patience_s, cache_dir=cache))


def test_a_file_comes_once_and_is_found_again(server, tmp_path):
    what = entry(server)
    assert hub.present(what, cache_dir=tmp_path) is None
    steps = fetch(what, tmp_path)
    assert (steps[-1].done, steps[-1].total) == (len(CONTENT), len(CONTENT))
    found = hub.present(what, cache_dir=tmp_path)
    assert found.weights.read_bytes() == CONTENT
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME]
    count = len(server.requests)
    fetch(what, tmp_path)
    assert len(server.requests) == count


def test_what_broke_off_goes_on_where_it_was(server, tmp_path):
    server.mode = "half"
    with pytest.raises(UserError) as caught:
        fetch(entry(server), tmp_path, patience_s=SILENCE_S)
    assert caught.value.key in ("errors.hub_broke_off", "errors.hub_silent")
    assert caught.value.values["host"] == "127.0.0.1"
    server.mode, server.requests = "good", []
    fetch(entry(server), tmp_path)
    (begun,) = (start for method, _, start in server.requests if method == "GET")
    assert 0 < int(begun.removeprefix("bytes=").removesuffix("-")) <= len(CONTENT) // 2
    assert (tmp_path / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("mode", "key"), [("page", "hub_not_hub"), (404, "hub_not_found"), (503, "hub_fault"), ("hang", "hub_silent")]
)
def test_what_is_no_file_has_its_sentence(server, tmp_path, mode, key):
    server.mode = mode
    with pytest.raises(UserError) as caught:
        fetch(entry(server), tmp_path, patience_s=SILENCE_S if mode == "hang" else PATIENCE_S)
    sentence(caught.value)
    assert caught.value.key == f"errors.{key}"
    assert not (tmp_path / NAME).exists()


def test_another_file_is_deleted(server, tmp_path):
    with pytest.raises(UserError, match="weights_altered"):
        fetch(entry(server, sha256="0" * 64), tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


def test_a_file_in_the_models_folder_is_the_entrys_and_checked_before_it_is_read(server, tmp_path):
    what = entry(server)
    (tmp_path / NAME).write_bytes(b"something else")
    runtime = Runtime(Settings(device="cpu", models_dir=tmp_path), catalogue=Catalogue((what,), ()))
    assert [one.id for one in runtime.catalogue.entries] == ["test-web"]  # not a second time, as a refused pickle
    availability = runtime.availability(what)
    assert (availability.state, availability.values) == ("ready", {"name": NAME})
    with pytest.raises(UserError) as caught:
        runtime.load("test-web")
    assert caught.value.key == "errors.weights_altered"
    assert caught.value.values["expected"] == what.source.sha256


def test_the_cache_is_where_torch_looks(monkeypatch, tmp_path):
    import torch

    for name, value in (("TORCH_HOME", str(tmp_path)), ("XDG_CACHE_HOME", str(tmp_path / "cache"))):
        monkeypatch.delenv("TORCH_HOME", raising=False)
        monkeypatch.setenv(name, value)
        assert str(hub.torch_cache()) == os.path.join(torch.hub.get_dir(), "checkpoints")


def test_every_pickle_of_the_catalogue_is_a_published_one():
    catalogue = read_catalogue()
    published = {one.name: one.sha256 for one in catalogue.published}
    files = [entry.source for entry in catalogue.entries if isinstance(entry.source, Web)]
    assert {file.name: file.sha256 for file in files}.items() <= published.items()
