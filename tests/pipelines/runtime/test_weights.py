"""Group M of the bad-input cases: model files that lie, and the one way to convert a pickle."""

import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines.runtime.catalogue import Published
from pipelines.runtime.convert import convert
from pipelines.runtime.errors import UserError
from pipelines.runtime.manifest import sha256_of
from pipelines.runtime.weights import (
    TensorInfo,
    check_sha256,
    inside,
    load_strict,
    read_header,
    read_published_pickle,
    read_safetensors,
)
from tests.pipelines.runtime.sentences import sentence

ROOT = Path(__file__).parents[3]


def refused(call, *arguments, **keywords) -> UserError:
    with pytest.raises(UserError) as caught:
        call(*arguments, **keywords)
    sentence(caught.value)
    return caught.value


def raw(path: Path, header, data: bytes = b"", *, length: int | None = None) -> Path:
    """A safetensors file as its header claims it to be. header: a dict, or JSON text."""
    text = header if isinstance(header, str) else json.dumps(header)
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text.encode() + data)
    return path


def f32(start: int, end: int, shape) -> dict:
    return {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {"a.weight": torch.randn(3, 4), "a.bias": torch.randn(3).half(), "n": torch.tensor(7)}


@pytest.fixture
def file(tmp_path, state) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(state, path, metadata={"format": "pt"})
    return path


def test_what_the_library_writes_is_read_back(file, state):
    assert read_header(file)["a.bias"] == TensorInfo("F16", (3,), 6)
    back = read_safetensors(file)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


class Bomb:
    """Unpickling it would create the marker file."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.bin", "model.safetensors"])
@pytest.mark.parametrize("protocol", ["zip", 2, 4])
def test_M01_pickle_bomb_is_refused_unread(name, protocol, tmp_path):
    marker, path = tmp_path / "marker", tmp_path / name
    if protocol == "zip":
        torch.save(Bomb(marker), path)
    else:
        path.write_bytes(pickle.dumps(Bomb(marker), protocol=protocol))
    calls = [read_safetensors] if name.endswith("safetensors") else []
    calls.append(lambda p: read_published_pickle(p, published=()))
    for call in calls:
        error = refused(call, path)
        assert error.key == "errors.weights_pickle"
        assert f"pipelines.runtime.convert {name} model.safetensors" in sentence(error)
    assert not marker.exists()


def test_M01_a_published_pickle_is_read_without_code(tmp_path, state):
    good, bad, marker = tmp_path / "good.pth", tmp_path / "bad.pth", tmp_path / "marker"
    torch.save(state, good)
    torch.save(Bomb(marker), bad)
    published = [Published(path.name, sha256_of(path), "test") for path in (good, bad)]
    assert torch.equal(read_published_pickle(good, published=published)["a.weight"], state["a.weight"])
    with pytest.raises(pickle.UnpicklingError):
        read_published_pickle(bad, published=published)
    assert not marker.exists()


def test_M02_names_and_shapes_are_listed_and_nothing_is_half_loaded():
    module = torch.nn.Sequential(*[torch.nn.Linear(2, 2) for _ in range(3)])
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    given = {name: tensor + 1 for name, tensor in before.items()}
    del given["0.bias"]
    given["1.weight"] = torch.zeros(5, 2)
    given |= {f"extra.{number}": torch.zeros(1) for number in range(9)}
    error = refused(load_strict, module, given, name="x.safetensors")
    assert error.values["count"] == 11
    wrong = error.values["wrong"].split("; ")
    assert wrong == ["- 0.bias", "+ extra.0", "+ extra.1", "+ extra.2", "+ extra.3"]
    assert all(torch.equal(module.state_dict()[name], before[name]) for name in before)


def test_M02_shapes_of_both_sides_are_named():
    error = refused(load_strict, torch.nn.Linear(2, 3), {"weight": torch.zeros(5, 2), "bias": torch.zeros(3)}, name="x")
    assert error.values["wrong"] == "weight (5, 2) / (3, 2)"


def test_a_fitting_state_is_loaded():
    module, other = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    load_strict(module, other.state_dict(), name="x")
    assert torch.equal(module.weight, other.weight)


@pytest.mark.parametrize("length", [2**63, 95 * 1024**2])
def test_M03_header_that_is_too_large(length, tmp_path):
    path = raw(tmp_path / "x.safetensors", "{}" + " " * 100, length=length)
    assert refused(read_safetensors, path).key == "errors.weights_header"


def test_M03_many_empty_tensors_are_refused_quickly(tmp_path):
    header = {f"t{number}": f32(0, 0, [0]) for number in range(25_000)}
    assert refused(read_safetensors, raw(tmp_path / "x.safetensors", header)).key == "errors.weights_damaged"


@pytest.mark.parametrize(
    ("header", "nbytes"),
    [
        ({"a": f32(0, 8, [2]), "b": f32(4, 12, [2])}, 12),  # overlap
        ({"a": f32(0, 8, [2]), "b": f32(12, 20, [2])}, 20),  # gap
        ({"a": f32(0, 8, [3])}, 8),  # the shape says 12 bytes
        ({"a": f32(0, 8, [2])}, 12),  # bytes left over
        ({"a": f32(-8, 0, [2])}, 8),
        ({"a": f32(0, 8, [-2, -1])}, 8),
        ({"a": f32(0, 8, [2.0])}, 8),
        ({"a": {"dtype": "F8_E9", "shape": [2], "data_offsets": [0, 2]}}, 2),
        ({"a": [1, 2]}, 0),
        ([1], 0),
        ('{"a": ' + "[" * 5000, 0),
        ('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": 1}', 4),
        ("{not json", 0),
    ],
)
def test_M04_layouts_that_lie(header, nbytes, tmp_path):
    error = refused(read_safetensors, raw(tmp_path / "x.safetensors", header, bytes(nbytes)))
    assert error.key in ("errors.weights_damaged", "errors.weights_cut_off")
    assert error.values["name"] == "x.safetensors"


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "weights_pointer"),
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "weights_page"),
        (b"\n <html>", "weights_page"),
        (b"", "weights_cut_off"),
        (b"\x40\0\0\0\0\0\0\0", "weights_cut_off"),
        (b'{"error": "Repository not found"}', "weights_damaged"),
    ],
)
def test_M05_which_of_the_three_it_is(content, key, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    assert refused(read_safetensors, path).key == f"errors.{key}"


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_M05_cut_off(share, file):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    assert refused(read_safetensors, file).key == "errors.weights_cut_off"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_M06_not_finite_names_the_tensor(value, dtype, tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"good": torch.zeros(3), "bad": torch.tensor([0, value]).to(dtype)}, path)
    assert refused(read_safetensors, path).values["tensor"] == "bad"


def run_convert(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pipelines.runtime.convert", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_M07_zip_bomb_is_not_converted(tmp_path):
    path, out = tmp_path / "bomb.pt", tmp_path / "out.safetensors"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    done = run_convert(path, out)
    assert done.returncode == 1
    assert "compressed" in done.stderr
    assert not out.exists()


def test_M08_out_of_the_models_folder(tmp_path, file):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "link.safetensors").symlink_to(file)
    (folder / "own.safetensors").write_bytes(b"x")
    (folder / "near.safetensors").symlink_to(folder / "own.safetensors")
    for name in ("link.safetensors", "../model.safetensors", str(file)):
        error = refused(inside, folder, name)
        assert str(tmp_path) not in sentence(error)
    assert inside(folder, "near.safetensors") == folder / "own.safetensors"


def test_M10_both_hashes_are_shown(file):
    error = refused(check_sha256, file, "0" * 64)
    assert "0" * 64 in sentence(error)
    assert sha256_of(file) in sentence(error)
    check_sha256(file, sha256_of(file))


def test_M11_a_replaced_file_is_hashed_again(file):
    before = sha256_of(file)
    file.write_bytes(file.read_bytes() + b"x")
    assert sha256_of(file) != before


def test_convert_makes_a_file_that_is_read(tmp_path, state):
    """Like open_clip's training checkpoints: in a wrapper, with the prefix of parallel training, with shared memory."""
    shared = {f"module.{name}": tensor for name, tensor in state.items()} | {"module.twin": state["a.weight"][:2]}
    path, out = tmp_path / "epoch_3.pt", tmp_path / "out.safetensors"
    torch.save({"epoch": 3, "state_dict": shared}, path)
    done = run_convert(path, out)
    assert done.returncode == 0, done.stderr
    back = read_safetensors(out)
    assert back.keys() == {*state, "twin"}
    assert torch.equal(back["twin"], state["a.weight"][:2])


def test_convert_takes_a_bare_state_dict(tmp_path, state):
    path, out = tmp_path / "x.pt", tmp_path / "out.safetensors"
    torch.save(state, path)
    assert convert(path, out) == len(state)
    assert torch.equal(read_safetensors(out)["a.weight"], state["a.weight"])


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {}, {"a": torch.zeros(1), "b": "text"}])
def test_convert_wants_tensors_only(content, tmp_path):
    path = tmp_path / "x.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match="tensors"):
        convert(path, tmp_path / "out.safetensors")


def test_convert_runs_no_code(tmp_path):
    marker, path, out = tmp_path / "marker", tmp_path / "bomb.pt", tmp_path / "out.safetensors"
    torch.save({"a": torch.zeros(1), "b": Bomb(marker)}, path)
    done = run_convert(path, out)
    assert done.returncode == 1
    assert "code" in done.stderr
    assert "Traceback" not in done.stderr
    assert not marker.exists()
    assert not out.exists()


def test_convert_never_overwrites(tmp_path, state, file):
    path = tmp_path / "x.pt"
    torch.save(state, path)
    before = file.read_bytes()
    assert run_convert(path, file).returncode == 1
    assert file.read_bytes() == before
