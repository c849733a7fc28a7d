"""The finished result that the tab opens with, made by the real model: `python -m demos.text_to_image.store`.

assets/stored/text_to_image/{en,zh}/ hold the first example's picture in that language with its settings inside, what
is said of it, the time machine's frames, and what made them: the hashes of model, prompt and code. Reading one imports
no model library.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from demos.shell import models
from demos.shell.stored import hashed, served
from demos.text_to_image import examples, parts
from demos.text_to_image.views import Drawn

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "assets" / "stored" / "text_to_image"
MODEL = "lucida-diffusion"
WEIGHTS = ROOT / "assets" / "models" / "text_to_image" / "lucida"
CODE = ("sample.py", "samplers.py", "guidance.py", "prompt.py", "models.py", "settings.py")


@dataclass(frozen=True, eq=False)
class Stored:
    """shown: what a run with the same settings would be. said: what the views tell of it, by name."""

    folder: Path
    shown: parts.Shown
    said: dict[str, Any]
    made_of: dict[str, str]

    @property
    def settings(self) -> dict[str, Any]:
        return self.shown.settings

    def drawn(self) -> tuple[Drawn, ...]:
        """The picture, copied to where the page may fetch files."""
        path = served(self.folder / self.said["picture"], f"{parts.TOPIC}/{self.folder.name}")
        return (Drawn(path, self.settings["seed"]),)


@cache
def load(lang: str) -> Stored | None:
    """The stored result in this language, or None before the first `make stored`."""
    path = FOLDER / lang / "result.json"
    if not path.is_file():
        return None
    data = json.loads(path.read_text("utf-8"))
    shown = parts.Shown(name=f"stored-{lang}", model_id=data["model"], settings=data["settings"])
    return Stored(path.parent, shown, data["said"], data["made_of"])


def made_of() -> dict[str, str]:
    """SHA-256 of the model, of the example with its words, and of the code that computes."""
    first = examples.OFFERED[0]
    pipeline = ROOT / "pipelines" / "text_to_image"
    words = repr([(first, first.prompt(lang)) for lang in ("en", "zh")])
    return {
        "model": hashed(sorted(WEIGHTS.rglob("*.safetensors"))),
        "example": hashlib.sha256(words.encode()).hexdigest(),
        "code": hashed([pipeline / name for name in CODE]),
    }


def make() -> None:
    """Draw the first example in both languages and write the results."""
    from demos.text_to_image import asked, levels, prompt_strip, reel, result
    from pipelines.text_to_image.sample import generate
    from pipelines.text_to_image.settings import Settings

    model, first = models.runtime().load(MODEL), examples.OFFERED[0]
    for lang in ("en", "zh"):
        folder = FOLDER / lang
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        settings = Settings(**{**asked.START, "prompt": first.prompt(lang), "seed": first.seed})
        *_, denoising = generate(model, settings)
        *_, denoising = generate(model, settings)  # the second run shows the time after the first
        (one,) = result.write(denoising, folder / "picture")
        shutil.move(one.path, folder / one.path.name)
        (folder / "picture").rmdir()
        film = reel.of(model, denoising, _at_once)
        reel.save(film, folder)
        facts = result.facts(denoising, None, live=False)
        said = {
            "picture": one.path.name,
            "strip": prompt_strip.plain(prompt_strip.tokens(settings.prompt, MODEL)),
            **asdict(facts),
            **levels.stored(model, denoising, film.start),
        }
        data = {"model": MODEL, "settings": asdict(denoising.settings), "said": said, "made_of": made_of()}
        (folder / "result.json").write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _at_once(function, *args):
    """Nobody else computes while results are stored: no turn is taken."""
    return function(*args)


if __name__ == "__main__":
    make()
