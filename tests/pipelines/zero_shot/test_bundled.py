"""The models that ship, on the pictures that ship: right often enough, in both languages."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from pipelines.runtime import context
from pipelines.runtime.catalogue import MODELS
from pipelines.runtime.pictures import open_picture
from pipelines.zero_shot.background import bank_words, load_bank, none_of_these
from pipelines.zero_shot.classify import compare, encode_labels, encode_picture
from pipelines.zero_shot.labels import NEVER, parse_labels, taught

EXAMPLES = MODELS.parent / "examples"
IDS = ("lucida-clip", "lucida-siglip")


@pytest.fixture(scope="module")
def runtime():
    return context.Runtime(context.Settings(device="cpu", models="bundled"))


@pytest.fixture(scope="module")
def examples() -> list[tuple[dict, np.ndarray]]:
    """(entry of examples.toml, pixels) of each picture that one label names best."""
    entries = tomllib.loads((EXAMPLES / "examples.toml").read_text(encoding="utf-8"))["example"]
    return [(entry, open_picture(EXAMPLES / entry["file"]).pixels) for entry in entries if "truth" in entry]


def places(model, examples, language: str) -> np.ndarray:
    """Place of the true label of each example among its labels, 0 is the first."""
    found = []
    for entry, pixels in examples:
        labels = parse_labels(entry["labels"][language]).values
        cosines = compare(model, encode_picture(model, pixels), encode_labels(model, labels)).cosines
        found.append(int((cosines > cosines[labels.index(entry["truth"][language])]).sum()))
    return np.array(found)


@pytest.mark.parametrize("model_id", IDS)
def test_the_right_label_is_first_or_near(runtime, examples, model_id):
    model = runtime.load(model_id)
    for language in ("en", "zh"):
        found = places(model, examples, language)
        assert (found < 1).mean() >= 0.5, (language, found)
        assert (found < 3).mean() >= 0.8, (language, found)


@pytest.mark.parametrize("model_id", IDS)
def test_a_label_that_fits_stands_out_from_the_bank_and_noise_does_not(runtime, examples, model_id):
    model = runtime.load(model_id)
    bank = load_bank(model)
    fits, wrong = [], []
    for entry, pixels in examples:
        picture = encode_picture(model, pixels)
        for labels, found in (((entry["truth"]["en"],), fits), (("zyzzyva qwx", "grommet flange"), wrong)):
            found.append(none_of_these(compare(model, picture, encode_labels(model, labels)), bank).statistic)
    assert np.median(fits) > 0.98 > np.median(wrong)


def test_objectives_and_bank_of_the_twins(runtime):
    clip, siglip = (runtime.load(model_id) for model_id in IDS)
    assert (clip.objective, siglip.objective) == ("softmax", "sigmoid")
    assert clip.logit_bias is None and siglip.logit_bias < 0
    assert load_bank(clip).features.shape == load_bank(siglip).features.shape == (len(bank_words()), 320)


@pytest.mark.parametrize(("label", "kind"), [("cat", "pictures"), ("猫", "pictures"), ("zyzzyva qwx", NEVER)])
def test_the_shipped_names_say_what_was_taught(label, kind):
    assert taught(label) == kind


def test_what_ships_is_small():
    for folder in ("clip", "siglip"):
        weights = Path(MODELS) / "zero_shot" / folder / "model.safetensors"
        assert weights.stat().st_size <= 9.5 * 2**20
