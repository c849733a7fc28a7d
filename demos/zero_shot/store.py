"""The finished result that the tab opens with, made by the real models: `python -m demos.zero_shot.store`.

assets/stored/zero_shot/{en,zh}.json hold both models' answers to the first example with its labels in that language,
and what made them: the hashes of models, picture and code. Reading one imports no model library.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from demos.shell.stored import hashed
from demos.zero_shot import examples
from demos.zero_shot.answer import Answer
from demos.zero_shot.question import Question, read

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "assets" / "stored" / "zero_shot"
MODELS = ROOT / "assets" / "models" / "zero_shot"
CODE = ("classify.py", "preprocess.py", "models.py", "templates.py", "background.py")


@dataclass(frozen=True)
class Part:
    """One of the model's parts at work, as `pipelines.zero_shot.blocks.Block`."""

    name: str
    shape: tuple[int, ...]
    ms: float
    parameters: int


@dataclass(frozen=True, eq=False)
class Half:
    """A stored classification: what the views read of a `Classification`, without its features."""

    model_id: str
    labels: tuple[str, ...]
    cosines: np.ndarray
    logit_scale: float
    logit_bias: float | None
    objective: str
    softmax: np.ndarray
    sigmoid: np.ndarray | None
    tokens: tuple[tuple[str, ...], ...]
    kept: tuple[int, ...]
    cut: tuple[bool, ...]
    view: np.ndarray
    region_xyxy: tuple[float, ...]
    blocks: tuple[Part, ...]
    ms: dict[str, float]
    device: str
    dtype: str


@dataclass(frozen=True, eq=False)
class Stored:
    """answer: its halves are `Half`. refusal: the value of the "none of these" component, or None."""

    example: str
    answer: Answer
    refusal: dict | None
    made_of: dict[str, str]


@cache
def load(lang: str) -> Stored | None:
    """The stored result in this language, or None before the first `make stored`."""
    path = FOLDER / f"{lang}.json"
    if not path.is_file():
        return None
    data = json.loads(path.read_text("utf-8"))
    halves = {name: _unpacked(half) if half else None for name, half in data["halves"].items()}
    question = Question(labels=tuple(data["labels"]))
    answer = Answer(question, halves["softmax"], halves["sigmoid"], data["chosen"])
    return Stored(data["example"], answer, data["refusal"], data["made_of"])


def made_of() -> dict[str, str]:
    """SHA-256 of the models, of the example with its labels, and of the code that computes."""
    first = examples.offered()[0]
    weights = sorted([*MODELS.glob("*/model.safetensors"), *MODELS.glob("bank_*.safetensors")])
    pipeline = ROOT / "pipelines" / "zero_shot"
    return {
        "models": hashed(weights),
        "picture": hashed([first.path]),
        "labels": hashlib.sha256(repr(first.labels).encode()).hexdigest(),
        "code": hashed([pipeline / name for name in CODE]),
    }


def make() -> None:
    """Classify the first example in both languages and write the results."""
    from demos.zero_shot import answer, nothing
    from pipelines.runtime.pictures import open_picture

    first = examples.offered()[0]
    pixels = open_picture(first.path).pixels
    FOLDER.mkdir(parents=True, exist_ok=True)
    for lang in ("en", "zh"):
        question = read(first.labels[lang])
        answer.ask(pixels, question)  # the second call shows the time after the first
        result = answer.ask(pixels, question)
        data = {
            "example": first.id,
            "labels": list(question.labels),
            "chosen": result.chosen,
            "halves": {name: _packed(getattr(result, name)) for name in ("softmax", "sigmoid")},
            "refusal": nothing.refusal_value(result.main),
            "made_of": made_of(),
        }
        text = json.dumps(data, ensure_ascii=False, indent=1)
        (FOLDER / f"{lang}.json").write_text(text + "\n", "utf-8")


def _packed(half) -> dict | None:
    if half is None:
        return None
    stream = io.BytesIO()
    Image.fromarray(half.view).save(stream, "JPEG", quality=90)
    plain = {field.name: getattr(half, field.name) for field in fields(Half)}
    arrays = {name: value.astype(float).tolist() for name, value in plain.items() if isinstance(value, np.ndarray)}
    view = base64.b64encode(stream.getvalue()).decode()
    return {**plain, **arrays, "view": view, "blocks": [asdict(block) for block in half.blocks]}


def _unpacked(data: dict) -> Half:
    view = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["view"]))))
    arrays = {
        name: None if data[name] is None else np.array(data[name], np.float32)
        for name in ("cosines", "softmax", "sigmoid")
    }
    blocks = tuple(Part(**{**block, "shape": tuple(block["shape"])}) for block in data["blocks"])
    tuples = {name: tuple(data[name]) for name in ("labels", "kept", "cut", "region_xyxy")}
    tokens = tuple(tuple(pieces) for pieces in data["tokens"])
    return Half(**{**data, **arrays, **tuples, "view": view, "blocks": blocks, "tokens": tokens})


if __name__ == "__main__":
    make()
