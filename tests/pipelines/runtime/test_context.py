"""The runtime: which model is chosen and why, and loading under one lock, within the budget, checked by hash."""

import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from pipelines.runtime import context, hub, local, manifest
from pipelines.runtime.catalogue import Bundled, Catalogue, Entry, Hub
from pipelines.runtime.context import Runtime, Settings
from pipelines.runtime.device import Placement
from pipelines.runtime.errors import UserError
from tests.pipelines.runtime.sentences import sentence

GPU = Placement("cuda", "bfloat16", "errors.device_cuda", {"name": "Test", "capability": "9.0"})
CPU = Placement("cpu", "float32", "errors.device_cpu_asked")


def entry(model_id: str, source, *, role="main", **changes) -> Entry:
    title = {"en": f"the {model_id}", "zh": f"{model_id}模型"}
    made = Entry(
        id=model_id,
        topic="zero_shot",
        role=role,
        title=title,
        source=source,
        loader="lucida_test_loader:load",
        architecture="ViT-B-32",
        pretrained=None,
        licence="MIT",
        parameters=100,
        bytes=400,
        memory_bytes=400,
        image_size=224,
    )
    return replace(made, **changes)


@pytest.fixture
def loads(monkeypatch):
    """A loader that notes its calls; answers with a module of 100 parameters, or raises what is put into errors."""
    noted = SimpleNamespace(calls=[], errors=[])

    def load(asked: Entry, placement: Placement):
        noted.calls.append(asked)
        if noted.errors:
            raise noted.errors.pop(0)
        assert asked.weights.is_file()
        return SimpleNamespace(module=torch.nn.Linear(99, 1), entry=asked)

    module = ModuleType("lucida_test_loader")
    module.load = load
    monkeypatch.setitem(sys.modules, "lucida_test_loader", module)
    return noted


@pytest.fixture
def models(tmp_path) -> Path:
    """assets/models with one bundled folder."""
    folder = tmp_path / "assets"
    (folder / "zero_shot/clip").mkdir(parents=True)
    save_file({"w": torch.zeros(100)}, folder / "zero_shot/clip/model.safetensors")
    manifest.write_manifest(folder)
    return folder


@pytest.fixture
def models_dir(tmp_path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def make(models, models_dir, monkeypatch, tmp_path):
    """Runtime of two catalogue entries, `small` (bundled) and `large` (hub, not present), on a device of choice."""
    monkeypatch.setattr(hub, "_hub_cache", lambda: tmp_path / "no-cache")

    def make(mode="auto", *, placement=CPU, memory_gib=1.0, extra=()):
        small = entry("small", Bundled("zero_shot/clip"), weights=models / "zero_shot/clip/model.safetensors")
        large = entry("large", Hub("maker/large", None, ("model.safetensors",)))
        settings = Settings(models=mode, models_dir=models_dir, memory_gib=memory_gib)
        runtime = Runtime(settings, catalogue=Catalogue((small, large, *extra), ()), models=models)
        runtime.__dict__["placement"] = placement
        return runtime

    return make


def bring(models_dir: Path, name: str = "large") -> None:
    (models_dir / name).mkdir()
    save_file({"w": torch.zeros(100)}, models_dir / name / "model.safetensors")


def chosen(runtime: Runtime, **asked) -> tuple[str, str]:
    choice = runtime.choose("zero_shot", **asked)
    sentence(SimpleNamespace(key=choice.reason_key, values=choice.reason_values))
    return choice.entry.id, choice.reason_key.removeprefix("errors.")


@pytest.mark.parametrize(
    ("mode", "placement", "present", "expected"),
    [
        ("auto", CPU, False, ("small", "chosen_bundled_only")),
        ("auto", GPU, False, ("small", "chosen_bundled_only")),
        ("auto", CPU, True, ("small", "chosen_bundled_no_gpu")),
        ("auto", GPU, True, ("large", "chosen_full_gpu")),
        ("bundled", GPU, True, ("small", "chosen_bundled_asked")),
        ("full", CPU, True, ("large", "chosen_full_asked")),
        ("full", GPU, False, ("small", "chosen_full_absent")),
    ],
)
def test_choice_and_its_reason(make, models_dir, mode, placement, present, expected):
    if present:
        bring(models_dir)
    assert chosen(make(mode, placement=placement)) == expected


def test_choosing_never_downloads(make, monkeypatch):
    monkeypatch.setattr(hub, "download", pytest.fail)
    chosen(make("full", placement=GPU))


def test_S11_an_altered_bundled_model_is_greyed_out_and_another_taken(make, models, models_dir):
    path = models / "zero_shot/clip/model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    runtime = make("bundled")
    availability = runtime.availability(runtime.catalogue.find("small"))
    assert (availability.state, availability.reason_key) == ("missing", "errors.bundled_altered")
    with pytest.raises(UserError, match="no_model_ready"):
        runtime.choose("zero_shot")
    with pytest.raises(UserError, match="bundled_altered"):
        runtime.load("small")
    bring(models_dir)
    assert chosen(make("bundled")) == ("large", "chosen_bundled_broken")


def test_roles_are_chosen_apart(make, models_dir):
    twin = entry("twin", Hub("maker/twin", None, ("model.safetensors",)), role="twin")
    bring(models_dir, "twin")
    runtime = make("full", extra=(twin,))
    assert chosen(runtime) == ("small", "chosen_full_absent")
    assert chosen(runtime, role="twin") == ("twin", "chosen_bundled_broken")


def test_a_missing_package_is_named(make):
    lame = entry("lame", Bundled("zero_shot/clip"), packages=("no-such-package-at-all",))
    runtime = make(extra=(lame,))
    availability = runtime.availability(lame)
    assert availability.state == "missing"
    assert availability.values == {"package": "no-such-package-at-all"}


def test_what_would_be_downloaded_is_said(make):
    runtime = make()
    availability = runtime.availability(runtime.catalogue.find("large"))
    assert (availability.state, availability.bytes) == ("download", 400)
    with pytest.raises(UserError, match="model_not_here") as caught:
        runtime.load("large")
    assert "the large" in sentence(caught.value)


def test_two_visitors_load_once(make, loads):
    runtime, results = make(), []
    threads = [threading.Thread(target=lambda: results.append(runtime.load("small"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads.calls) == 1
    assert len({id(result) for result in results}) == 1
    assert loads.calls[0].folder.name == "clip"
    assert runtime.memory.used_bytes == 400


def test_M11_a_replaced_file_is_loaded_again(make, loads, models_dir):
    bring(models_dir)
    runtime = make()
    first = runtime.load("large")
    assert runtime.load("large") is first
    save_file({"w": torch.ones(101)}, models_dir / "large/model.safetensors")
    assert runtime.load("large") is not first


def test_M10_weights_with_another_hash_are_refused(make, loads, models_dir):
    pinned = entry("pinned", Hub("maker/pinned", None, ("model.safetensors",), sha256="0" * 64))
    bring(models_dir, "pinned")
    with pytest.raises(UserError, match="weights_altered"):
        make(extra=(pinned,)).load("pinned")
    assert loads.calls == []


def folder_of_parts(models_dir: Path) -> Entry:
    """A diffusers folder in the models folder, of two weight files, one of them with a known hash."""
    files = ("unet/a.safetensors", ("vae/b.fp16.safetensors", "vae/b.safetensors"))
    for name in ("unet/a.safetensors", "vae/b.safetensors"):
        (models_dir / "parts" / name).parent.mkdir(parents=True)
        save_file({"w": torch.zeros(100)}, models_dir / "parts" / name)
    (models_dir / "parts/model_index.json").write_text("{}")
    hashes = {"unet/a.safetensors": manifest.sha256_of(models_dir / "parts/unet/a.safetensors")}
    hashes["vae/b.fp16.safetensors"] = "0" * 64  # of the file of the choice that is not here
    return entry("parts", Hub("maker/parts", None, ("model_index.json",), files, hashes=hashes))


def test_M10_every_file_of_a_folder_with_a_known_hash_is_checked(make, models_dir, loads):
    parts = folder_of_parts(models_dir)
    assert make(extra=(parts,)).load("parts").entry.weights.name == "model_index.json"
    save_file({"w": torch.ones(100)}, models_dir / "parts/unet/a.safetensors")
    with pytest.raises(UserError, match="weights_altered"):
        make(extra=(parts,)).load("parts")


def test_M11_any_file_of_a_folder_that_is_replaced_is_noticed(make, models_dir, loads):
    runtime = make(extra=(folder_of_parts(models_dir),))
    first = runtime.load("parts")
    assert runtime.load("parts") is first
    save_file({"w": torch.ones(101)}, models_dir / "parts/vae/b.safetensors")
    assert runtime.load("parts") is not first


def test_larger_than_the_budget(make, loads):
    with pytest.raises(UserError, match="model_too_large"):
        make(memory_gib=1e-9).load("small")
    assert loads.calls == []


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_S13_out_of_memory_makes_room_and_tries_once_more(make, loads, models_dir, error):
    bring(models_dir)
    runtime = make()
    runtime.load("small")
    loads.errors = [error]
    assert runtime.load("large").entry.id == "large"
    assert [key[0] for key in runtime.memory.keys] == ["large"]


def test_S13_out_of_memory_twice_is_a_sentence_and_the_next_load_works(make, loads):
    runtime = make()
    loads.errors = [torch.OutOfMemoryError("CUDA out of memory")] * 2
    with pytest.raises(UserError, match="model_out_of_memory") as caught:
        runtime.load("small")
    sentence(caught.value)
    assert runtime.load("small")


def test_a_bug_in_a_loader_stays_a_bug(make, loads):
    loads.errors = [RuntimeError("shape mismatch")]
    with pytest.raises(RuntimeError, match="shape mismatch"):
        make().load("small")


def test_local_files_are_listed_and_loaded(make, loads, models_dir, monkeypatch):
    monkeypatch.setattr(local, "LOADER", "lucida_test_loader:load")
    save_file({"w": torch.zeros(100)}, models_dir / "ViT-B-32__mine.safetensors")
    (models_dir / "theirs.pt").write_bytes(b"x")
    runtime = make()
    ids = [found.id for found in runtime.catalogue.of_topic("zero_shot")]
    assert ids == ["small", "large", "local:ViT-B-32__mine.safetensors", "local:theirs.pt"]
    assert runtime.load("local:ViT-B-32__mine.safetensors").entry.architecture == "ViT-B-32"
    with pytest.raises(UserError, match="weights_pickle"):
        runtime.load("local:theirs.pt")
    with pytest.raises(UserError, match="model_unknown"):
        runtime.load("local:../../etc/passwd")


def test_only_catalogue_models_are_downloaded(make):
    for model_id in ("small", "local:x", "maker/anything"):
        with pytest.raises(UserError, match="model_unknown"):
            next(make().download(model_id))


@pytest.mark.parametrize("settings", [Settings(models="huge"), Settings(device="gpu")])
def test_wrong_words_are_refused_at_the_start(settings):
    with pytest.raises(UserError) as caught:
        Runtime(settings)
    sentence(caught.value)


def test_configure_sets_what_current_gives(monkeypatch):
    monkeypatch.setattr(context, "_current", None)
    assert context.current() is context.current()
    assert context.current().settings == Settings()
    configured = context.configure(Settings(device="cpu", models="bundled"))
    assert context.current() is configured
