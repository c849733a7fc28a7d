"""Which device computes, in which number format, and why: decided here and nowhere else."""

import os
import warnings
from dataclasses import dataclass, field
from typing import Any

from pipelines.runtime.errors import UserError

DEVICES = ("auto", "cpu", "cuda", "mps")

# Measured on two cores shared with a browser: threads that spin while they wait made two threads
# 8 to 11 times slower than one; passive waiting costs next to nothing on an idle machine.
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTORCH_ENABLE_MPS_FALLBACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


@dataclass(frozen=True)
class Placement:
    """Where a model computes. device: "cpu", "cuda" or "mps". dtype: a torch dtype's name, "float32"."""

    device: str
    dtype: str
    reason_key: str
    reason_values: dict[str, Any] = field(default_factory=dict)

    @property
    def torch_dtype(self):
        """The torch.dtype that ``dtype`` names."""
        import torch

        return getattr(torch, self.dtype)


CPU = Placement("cpu", "float32", "errors.device_cpu_asked")


def set_environment_defaults() -> None:
    """Set what torch and the hub's library read once, while they are imported. Call it before them.

    A variable that is set already is left as it is.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def place(wanted: str = "auto") -> Placement:
    """Decide device and dtype; imports torch unless "cpu" is asked for.

    wanted: "auto", "cpu", "cuda" or "mps". A device that is asked for and absent gives the CPU, and the
    reason says so. The CPU always computes in float32: without special instructions bfloat16 was
    measured 4 to 30 times slower there.
    Raises UserError for another word.
    """
    if wanted not in DEVICES:
        raise UserError("errors.device_unknown", device=str(wanted)[:40], choices=", ".join(DEVICES))
    if wanted == "cpu":
        return CPU
    import torch

    if wanted in ("auto", "cuda"):
        placement = _cuda(torch)
        if placement.device == "cuda" or wanted == "cuda":
            return placement
    if torch.backends.mps.is_available():
        return Placement("mps", "float32", "errors.device_mps")
    if wanted == "mps":
        return Placement("cpu", "float32", "errors.device_mps_absent")
    return placement


def _cuda(torch) -> Placement:
    """The placement on CUDA, or on the CPU with the reason why CUDA cannot be used."""
    if torch.version.cuda is None:
        return Placement("cpu", "float32", "errors.device_cuda_not_built")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if not available:
        too_old = any("driver" in str(warning.message) and "old" in str(warning.message) for warning in caught)
        return Placement("cpu", "float32", "errors.device_driver_old" if too_old else "errors.device_cuda_absent")
    try:
        name = torch.cuda.get_device_name(0)
        major, minor = torch.cuda.get_device_capability(0)
        # A GPU too old for this build of torch is listed and fails at its first kernel.
        (torch.zeros(1, device="cuda") + 1).item()
    except RuntimeError:
        return Placement("cpu", "float32", "errors.device_cuda_broken")
    return Placement("cuda", cuda_dtype(major), "errors.device_cuda", {"name": name, "capability": f"{major}.{minor}"})


def cuda_dtype(major: int) -> str:
    """The number format for a compute capability: bfloat16 from 8 on, float16 from 7 on, else float32."""
    if major >= 8:
        return "bfloat16"
    return "float16" if major == 7 else "float32"
