""" "Copy as Python" draws the very pictures that the tab shows."""

from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from demos.text_to_image import asked, parts, result, snippet
from pipelines.text_to_image.edit import Edit
from pipelines.text_to_image.sample import generate
from pipelines.text_to_image.settings import Settings
from tests.conftest import REPO


def drawn(code: str, folder, monkeypatch, *, at=REPO) -> list[np.ndarray]:
    """The pictures that the code saves when it is run; their names lead into `folder`."""
    monkeypatch.chdir(at)
    code = code.replace('"picture_', f'"{folder}/picture_').replace('"edited', f'"{folder}/edited')
    exec(compile(code, "snippet.py", "exec"), {})
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("*_*.png")) or [folder / "edited.png"]]


@pytest.mark.parametrize("sampler", asked.SAMPLERS)
def test_plain_diffusers_draws_the_same_pixels(sampler, tiny_model, tmp_path, monkeypatch):
    model, pictures = tmp_path / "model", tmp_path / "pictures"
    tiny_model.pipeline.save_pretrained(model)
    pictures.mkdir()
    size = {"width": 64, "height": 72, "steps": 5}
    settings = Settings("a 'red' \"apple\"", "dog", sampler=sampler, eta=0.5, seed=2**64 - 1, batch=2, **size)
    *_, run = generate(tiny_model, settings)
    local = SimpleNamespace(name=str(model))
    entry = SimpleNamespace(origin="local", architecture="StableDiffusionPipeline", source=local)
    code = snippet.python(asdict(settings), entry, device="cpu", dtype="float32")
    assert len(code.splitlines()) <= snippet.MOST_LINES
    again = drawn(code, pictures, monkeypatch)
    assert len(again) == 2
    # A batch of diffusers reads both texts at once, which may round otherwise than one by one.
    assert max(np.abs(one.astype(int) - two).max() for one, two in zip(again, run.pictures, strict=True)) <= 1


@pytest.mark.snippet
def test_the_bundled_models_code_draws_the_picture_of_the_page(tmp_path, monkeypatch):
    model = parts.load("lucida-diffusion")
    *_, run = generate(model, Settings("红苹果，立体表情", steps=4, seed=5))
    code = result.code(run, None)
    assert len(code.splitlines()) <= snippet.MOST_LINES and "assets/models/text_to_image/lucida" in code
    assert (drawn(code, tmp_path, monkeypatch)[0] == run.pictures[0]).all()


@pytest.mark.snippet
@pytest.mark.parametrize("kind", ["image", "inpaint"])
def test_the_code_of_an_edited_picture_draws_it_again(kind, tmp_path, monkeypatch):
    pixels = np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8)
    mask = np.zeros((128, 128), bool)
    mask[:50, 20:60] = True
    edit = Edit(kind, pixels, mask if kind == "inpaint" else None)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    *_, run = generate(parts.load("lucida-diffusion"), Settings("cat", steps=4, seed=5, strength=0.6), edit=edit)
    code = result.code(run, edit)
    assert len(code.splitlines()) <= snippet.MOST_LINES
    again = drawn(code.replace("edited.png", "edited_.png"), tmp_path, monkeypatch, at=tmp_path)
    assert (again[0] == run.pictures[0]).all()


def test_a_hostile_prompt_stays_a_text_in_the_code():
    prompt = "'''); import os; os.abort(); ('"
    entry = SimpleNamespace(
        origin="hub", architecture="StableDiffusionXLPipeline", source=SimpleNamespace(repo="a/b", revision="c")
    )
    code = snippet.python({**asked.START, "prompt": prompt}, entry, device="cuda", dtype="float16")
    compile(code, "snippet.py", "exec")
    assert repr(prompt) in code and 'revision="c"' in code and '.to("cuda")' in code and "torch.float16" in code
