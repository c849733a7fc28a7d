"""Reading weights strictly: safetensors whose header we check ourselves, pickles only when they are published ones.

Format: https://github.com/huggingface/safetensors (8 bytes of header length, JSON header, tensors without gaps).
"""

import json
import math
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.runtime.catalogue import Published
from pipelines.runtime.errors import UserError
from pipelines.runtime.manifest import sha256_of

MOST_HEADER_BYTES = 10 * 1024 * 1024  # the largest public models need about 1 MB; the library allows 100 MB
MOST_TENSORS = 20_000
PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl")
BYTES_OF = {"BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "I32": 4, "I64": 8, "F16": 2, "BF16": 2, "F32": 4, "F64": 8}


@dataclass(frozen=True)
class TensorInfo:
    """What a header says of one tensor. dtype: the format's name, for example "F16". nbytes: in the file."""

    dtype: str
    shape: tuple[int, ...]
    nbytes: int


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Read and check the header of a safetensors file without reading a tensor.

    Raises UserError (``errors.weights_*``) when it is a pickle, a large-file pointer, a web page, cut off, or when
    tensors overlap, leave gaps, have a name twice or an unknown number format; the file's name stands in ``name``.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
        length = int.from_bytes(head[:8], "little")
        if head[8:9] != b"{":
            raise _not_safetensors(path, head)
        if length > MOST_HEADER_BYTES:
            raise UserError("errors.weights_header", name=path.name, limit_mb=MOST_HEADER_BYTES // 1024**2)
        if 8 + length > size:
            raise UserError("errors.weights_cut_off", name=path.name)
        file.seek(8)
        raw = file.read(length)
    try:
        header = json.loads(raw, object_pairs_hook=_without_doubles)
        return _check_layout(header, size - 8 - length, path.name)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError("errors.weights_damaged", name=path.name) from error


def _not_safetensors(path: Path, head: bytes) -> UserError:
    """The sentence for a file that does not begin like safetensors."""
    if head.startswith(b"version https://git-lfs"):
        return UserError("errors.weights_pointer", name=path.name)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return UserError("errors.weights_page", name=path.name)
    if head.startswith(b"PK") or (head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")):
        return pickle_refusal(path)
    return UserError("errors.weights_cut_off" if len(head) < 9 else "errors.weights_damaged", name=path.name)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) != len(pairs):
        raise ValueError("a name is given twice")
    return items


def _check_layout(header: dict[str, Any], data_bytes: int, name: str) -> dict[str, TensorInfo]:
    """Shapes must agree with the offsets, and the offsets must cover the data exactly once."""
    header.pop("__metadata__", None)
    if len(header) > MOST_TENSORS:
        raise ValueError("too many tensors")
    tensors, spans = {}, []
    for tensor, entry in header.items():
        shape = tuple(entry["shape"])
        if not all(type(side) is int and side >= 0 for side in shape):
            raise ValueError(f"shape of {tensor}")
        start, end = entry["data_offsets"]
        nbytes = math.prod(shape) * BYTES_OF[entry["dtype"]]
        if type(start) is not int or end - start != nbytes:
            raise ValueError(f"size of {tensor}")
        tensors[tensor] = TensorInfo(entry["dtype"], shape, nbytes)
        spans.append((start, end))
    reached = 0
    for start, end in sorted(spans):
        if start != reached:
            raise ValueError("tensors overlap or leave a gap")
        reached = end
    if reached > data_bytes:
        raise UserError("errors.weights_cut_off", name=name)
    if reached < data_bytes:
        raise ValueError("bytes are left over")
    return tensors


def read_safetensors(path: Path, *, device: str = "cpu") -> dict[str, Any]:
    """Read all tensors of a safetensors file: {name: torch.Tensor on ``device``}, in the file's dtypes.

    Raises UserError as ``read_header`` does, and ``errors.weights_not_finite``, naming the tensor, for NaN or inf.
    """
    read_header(path)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(path, device=device)
    except SafetensorError as error:
        raise UserError("errors.weights_damaged", name=path.name) from error
    check_finite(state, name=path.name)
    return state


def read_published_pickle(path: Path, *, published: Iterable[Published]) -> Any:
    """Read a pickle if its SHA-256 is that of a published checkpoint, with ``weights_only=True``.

    Raises UserError ``errors.weights_pickle`` for every other one, unread, with the command that converts it.
    """
    if sha256_of(path) not in {checkpoint.sha256 for checkpoint in published}:
        raise pickle_refusal(path)
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def pickle_refusal(path: Path, *, folder: Path | None = None) -> UserError:
    """Pickles are programs. The sentence gives the command that converts one in a process of its own.

    folder: the diffusers folder that it is a part of; the command converts the whole folder then.
    """
    if folder is not None:
        names = shlex.quote(folder.name), shlex.quote(f"{folder.name}-safetensors")
    else:
        names = shlex.quote(path.name), shlex.quote(f"{path.stem}.safetensors")
    return UserError("errors.weights_pickle", name=path.name, command=" ".join((CONVERT, *names)))


CONVERT = "python -m pipelines.runtime.convert"


def check_finite(state: Mapping[str, Any], *, name: str) -> None:
    """Raises UserError, naming the tensor, when one holds NaN or inf."""
    for tensor, values in state.items():
        if values.is_floating_point() and not values.isfinite().all():
            raise UserError("errors.weights_not_finite", name=name, tensor=tensor)


def check_sha256(path: Path, expected: str) -> None:
    """Raises UserError with both hashes when the file is not the one that was meant."""
    found = sha256_of(path)
    if found != expected:
        raise UserError("errors.weights_altered", name=path.name, expected=expected, found=found)


def load_strict(module: Any, state: Mapping[str, Any], *, name: str) -> None:
    """Load a state dict into a torch module; names and shapes are compared before anything is copied.

    Raises UserError ``errors.weights_do_not_fit`` with the first five differences: "- a" is missing in the file,
    "+ b" is not known to the model, "c (2, 3) / (4, 3)" has another shape in the file / in the model.
    """
    own = module.state_dict()
    wrong = [f"- {key}" for key in own if key not in state]
    wrong += [f"+ {key}" for key in state if key not in own]
    shapes = [(key, tuple(state[key].shape), tuple(own[key].shape)) for key in own if key in state]
    wrong += [f"{key} {theirs} / {ours}" for key, theirs, ours in shapes if theirs != ours]
    if wrong:
        raise UserError("errors.weights_do_not_fit", name=name, count=len(wrong), wrong="; ".join(wrong[:5]))
    module.load_state_dict(state, strict=True)


def inside(folder: Path, name: str) -> Path:
    """The path of ``name`` in ``folder``, links resolved. Raises UserError when it leads out of the folder."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UserError("errors.local_outside", name=Path(name).name)
    return path
