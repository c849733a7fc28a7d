"""The device policy, with torch's answers exchanged where this machine has none of the devices."""

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from pipelines.runtime import device
from pipelines.runtime.errors import UserError
from tests.pipelines.runtime.sentences import SENTENCES

ROOT = Path(__file__).parents[3]


def run_fresh(code: str) -> str:
    """Output of code in a new interpreter."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_runtime_imports_no_model_library():
    code = """
import importlib, pathlib, sys
for path in sorted(pathlib.Path("pipelines/runtime").glob("*.py")):
    if path.stem != "fetch":  # the program of the download process
        importlib.import_module(f"pipelines.runtime.{path.stem}")
from pipelines.runtime import context
context.Runtime(context.Settings(device="cpu", models="bundled")).placement
print([name for name in ("torch", "open_clip", "timm", "transformers", "gradio", "safetensors") if name in sys.modules])
"""
    assert run_fresh(code) == "[]"


def test_environment_defaults_leave_what_is_set():
    code = """
import os
os.environ["OMP_WAIT_POLICY"] = "ACTIVE"
os.environ.pop("TOKENIZERS_PARALLELISM", None)
from pipelines.runtime import device
device.set_environment_defaults()
print(os.environ["OMP_WAIT_POLICY"], os.environ["TOKENIZERS_PARALLELISM"])
"""
    assert run_fresh(code) == "ACTIVE false"


def test_cpu_computes_in_float32():
    placement = device.place("cpu")
    assert (placement.device, placement.dtype, placement.torch_dtype) == ("cpu", "float32", torch.float32)


@pytest.mark.parametrize(
    ("major", "dtype"), [(10, "bfloat16"), (9, "bfloat16"), (8, "bfloat16"), (7, "float16"), (6, "float32")]
)
def test_dtype_follows_the_compute_capability(major, dtype):
    assert device.cuda_dtype(major) == dtype


def test_unknown_word_is_refused():
    with pytest.raises(UserError) as caught:
        device.place("gpu")
    assert "cuda" in caught.value.values["choices"]


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")


@pytest.mark.parametrize(
    ("wanted", "key"),
    [("auto", "device_cuda_absent"), ("cuda", "device_cuda_absent"), ("mps", "device_mps_absent")],
)
def test_S14_absent_device_gives_the_cpu_and_says_so(wanted, key, no_gpu):
    placement = device.place(wanted)
    assert (placement.device, placement.dtype) == ("cpu", "float32")
    assert placement.reason_key == f"errors.{key}"
    assert key in SENTENCES


def test_S14_torch_without_cuda(monkeypatch, no_gpu):
    monkeypatch.setattr(torch.version, "cuda", None)
    assert device.place("cuda").reason_key == "errors.device_cuda_not_built"


def test_S14_driver_too_old(monkeypatch, no_gpu):
    def is_available():
        warnings.warn(
            "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040).", stacklevel=2
        )
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    assert device.place("auto").reason_key == "errors.device_driver_old"


def fake_gpu(monkeypatch, *, capability, works: bool):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Test GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capability)

    def zeros(*size, device):
        if not works:
            raise RuntimeError("CUDA error: no kernel image is available for execution on the device")
        return torch.ones(*size)

    monkeypatch.setattr(torch, "zeros", zeros)


def test_gpu_is_taken_with_its_dtype(monkeypatch):
    fake_gpu(monkeypatch, capability=(9, 0), works=True)
    placement = device.place("auto")
    assert (placement.device, placement.dtype) == ("cuda", "bfloat16")
    assert placement.reason_values == {"name": "Test GPU", "capability": "9.0"}


def test_S14_gpu_without_kernels(monkeypatch):
    fake_gpu(monkeypatch, capability=(3, 5), works=False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device.place("auto").reason_key == "errors.device_cuda_broken"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_real_gpu():
    placement = device.place("auto")
    assert placement.device == "cuda"
    ones = torch.ones(4, 4, device=placement.device, dtype=placement.torch_dtype)
    assert (ones @ ones).sum().item() == 64
