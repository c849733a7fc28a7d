"""S12: a hub that refuses, hangs, gives a web page, 401, 429, or breaks off half way; and one that works."""

import hashlib
import os
import socket
import time
from dataclasses import replace

import pytest

from pipelines.runtime import hub
from pipelines.runtime.catalogue import Hub, read_catalogue
from pipelines.runtime.errors import UserError
from tests.pipelines.runtime.fake_hub import COMMIT, FakeHub
from tests.pipelines.runtime.sentences import sentence

WEIGHTS = os.urandom(3_000_000)
FILES = {"model.safetensors": WEIGHTS, "tokenizer.json": b"{}" * 500}
# The process that downloads takes a second or two to start on a busy machine; the app waits longer than this.
PATIENCE_S = 5.0


def entry(**source):
    source = {"revision": None, "weights": ("other.safetensors", "model.safetensors"), "files": (), **source}
    return replace(read_catalogue().entries[2], id="test-model", source=Hub("maker/model", **source))


@pytest.fixture
def server():
    fake = FakeHub(dict(FILES))
    yield fake
    fake.close()


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def download(server, cache, what=None):
    address = server if isinstance(server, str) else server.url
    return list(hub.download(what or entry(), patience_s=PATIENCE_S, cache_dir=cache, endpoint=address))


def refused(server, cache, what=None) -> UserError:
    started = time.monotonic()
    with pytest.raises(UserError) as caught:
        download(server, cache, what)
    # Far more than the patience, for busy machines, and far less than the 60 seconds for which the fake hub hangs.
    assert time.monotonic() - started < 30
    sentence(caught.value)
    return caught.value


def test_a_hub_that_works(server, cache):
    what = entry(files=("tokenizer.json",), sha256=hashlib.sha256(WEIGHTS).hexdigest())
    assert hub.present(what, cache_dir=cache) is None
    steps = download(server, cache, what)
    total = len(WEIGHTS) + len(FILES["tokenizer.json"])
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[0].total == total
    assert (steps[-1].done, steps[-1].total, steps[-1].commit) == (total, total, COMMIT)

    count = len(server.requests)
    found = hub.present(what, cache_dir=cache)
    assert found.weights.read_bytes() == WEIGHTS
    assert (found.folder / "tokenizer.json").is_file()
    assert hub.commit_of(found) == COMMIT
    assert len(server.requests) == count  # present() asks no network


PARTS = {
    "model_index.json": b"{}",
    "unet/model.fp16.safetensors": os.urandom(2_000_000),
    "vae/model.safetensors": os.urandom(1_000_000),
    "vae/config.json": b"[]",
}


def folder_entry(**hashes):
    files = (("unet/model.fp16.safetensors", "unet/model.safetensors"), "vae/model.safetensors", "vae/config.json")
    return entry(weights=("model_index.json",), files=files, hashes=hashes)


def test_a_folder_of_several_weight_files(server, cache):
    server.files = PARTS
    hashes = {"vae/model.safetensors": hashlib.sha256(PARTS["vae/model.safetensors"]).hexdigest()}
    steps = download(server, cache, folder_entry(**hashes))
    assert steps[-1].done == steps[-1].total == sum(map(len, PARTS.values()))
    found = hub.present(folder_entry(**hashes), cache_dir=cache)
    assert found.weights == found.folder / "model_index.json"
    assert {path.relative_to(found.folder).as_posix() for path in found.weight_files} == {
        "unet/model.fp16.safetensors",
        "vae/model.safetensors",
    }
    for name, content in PARTS.items():
        assert (found.folder / name).read_bytes() == content


def test_of_a_choice_of_files_the_one_that_the_repository_has(server, cache):
    server.files = {name.replace(".fp16", ""): content for name, content in PARTS.items()}
    download(server, cache, folder_entry())
    found = hub.present(folder_entry(), cache_dir=cache)
    assert (found.folder / "unet/model.safetensors").is_file()


def test_M10_one_of_several_files_is_another(server, cache):
    server.files = PARTS
    wrong = folder_entry(**{"vae/model.safetensors": "0" * 64})
    assert refused(server, cache, wrong).key == "errors.weights_altered"
    assert hub.present(wrong, cache_dir=cache) is None


def test_a_folder_with_pickles_only(server, cache):
    server.files = {name.replace(".safetensors", ".bin"): content for name, content in PARTS.items()}
    assert refused(server, cache, folder_entry()).key == "errors.hub_no_safetensors"


def test_a_folder_that_was_stopped_goes_on_with_the_file_it_was_at(server, cache):
    server.files = PARTS
    steps = hub.download(folder_entry(), patience_s=PATIENCE_S, cache_dir=cache, endpoint=server.url)
    next(step for step in steps if step.done >= len(PARTS["unet/model.fp16.safetensors"]))
    steps.close()
    server.requests.clear()
    assert download(server, cache, folder_entry())[-1].done == sum(map(len, PARTS.values()))
    assert [path for method, path, _ in server.requests if method == "GET" and "unet" in path] == []


def test_a_pinned_revision_is_asked_for(server, cache):
    what = entry(revision=COMMIT)
    download(server, cache, what)
    assert all(COMMIT in path for _, path, _ in server.requests)
    assert hub.present(what, cache_dir=cache).folder.name == COMMIT


def test_files_in_the_models_folder_count_too(tmp_path, cache):
    folder = tmp_path / "models" / "test-model"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x")
    what = entry(files=("tokenizer.json",))
    assert hub.present(what, models_dir=tmp_path / "models", cache_dir=cache) is None
    (folder / "tokenizer.json").write_bytes(b"{}")
    found = hub.present(what, models_dir=tmp_path / "models", cache_dir=cache)
    assert found.weights == folder / "model.safetensors"
    assert hub.commit_of(found) is None


def test_S12_refuses(cache):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert refused(f"http://127.0.0.1:{port}", cache).key == "errors.hub_unreachable"


@pytest.mark.parametrize(
    ("mode", "key"),
    [
        ("page", "hub_not_hub"),
        (401, "hub_denied"),
        (404, "hub_not_found"),
        (429, "hub_busy"),
        (503, "hub_fault"),
    ],
)
def test_S12_answers_with_something_else(server, cache, mode, key):
    server.mode = mode
    assert refused(server, cache).key == f"errors.{key}"


def test_S12_switched_off_by_the_operator(server, cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert refused(server, cache).key == "errors.hub_offline"
    assert server.requests == []


def test_S12_hangs(server, cache):
    server.mode = "hang"
    assert refused(server, cache).key == "errors.hub_silent"


def test_S12_breaks_off_and_goes_on_later(server, cache):
    server.mode = "half"  # half of the file, then it hangs
    error = refused(server, cache)
    assert error.key == "errors.hub_broke_off"
    assert hub.present(entry(), cache_dir=cache) is None
    server.mode = "good"
    server.requests.clear()
    steps = download(server, cache)
    assert steps[-1].done == len(WEIGHTS)
    assert hub.present(entry(), cache_dir=cache).weights.read_bytes() == WEIGHTS
    (resumed,) = [wanted for method, _, wanted in server.requests if method == "GET" and wanted]
    assert int(resumed.removeprefix("bytes=").split("-")[0]) > 0


def test_M10_another_file_than_the_one_meant_is_deleted(server, cache):
    what = entry(sha256="0" * 64)
    error = refused(server, cache, what)
    assert error.key == "errors.weights_altered"
    assert error.values["found"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert hub.present(what, cache_dir=cache) is None


def test_a_repository_with_a_pickle_only(server, cache):
    server.files = {"open_clip_pytorch_model.bin": b"x"}
    assert refused(server, cache).key == "errors.hub_no_safetensors"


def test_a_repository_without_the_tokenizer(server, cache):
    error = refused(server, cache, entry(files=("spiece.model",)))
    assert error.values["file"] == "spiece.model"


def test_S03_cancel_stops_the_process_and_a_second_download_is_refused_meanwhile(server, cache):
    server.mode = "stall"
    steps = hub.download(entry(), patience_s=PATIENCE_S, cache_dir=cache, endpoint=server.url)
    next(steps)
    with pytest.raises(UserError, match="hub_running"):
        download(server, cache)
    steps.close()
    server.end.set()
    server.mode = "good"
    assert download(server, cache)[-1].done == len(WEIGHTS)


def test_no_place_to_write(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert refused(server, tmp_path / "file").key == "errors.hub_disk"
