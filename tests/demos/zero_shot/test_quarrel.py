"""The quarrel's Python half: what goes to the browser, and how carefully its answer is read."""

from pathlib import Path

import pytest

from demos.shell.words import LANGUAGES
from demos.zero_shot import quarrel, refusal
from demos.zero_shot.quarrel import Quarrel, Settings
from tests.demos.zero_shot.made_up import HOSTILE, half


def test_the_browser_gets_all_it_needs_to_compute_every_bar():
    softmax = quarrel.side(half(cosines=(0.3, -0.2)), title={"en": "A", "zh": "B"})
    assert softmax == {
        "title": {"en": "A", "zh": "B"},
        "cosines": [pytest.approx(0.3), pytest.approx(-0.2)],
        "scale": 10.0,
        "bias": None,
    }
    assert quarrel.side(half(bias=-2.0), title={})["bias"] == -2.0
    value = quarrel.value(("cat", "dog"), ("pictures", "never"), softmax=softmax, sigmoid=None, temperature=0.5)
    assert value["labels"] == [{"text": "cat", "mark": "pictures"}, {"text": "dog", "mark": "never"}]
    assert (value["temperature"], value["off"], value["sigmoid"]) == (0.5, [], None)


def test_settings_from_the_browser():
    assert Settings.read({"temperature": 2, "off": [3, 1, 3]}) == Settings(2.0, (1, 3))
    assert Settings.read({"temperature": 1e9}).temperature == quarrel.TEMPERATURE[1]


@pytest.mark.parametrize(
    "payload",
    [None, 5, "text", [], {}, {"temperature": float("nan")}, {"temperature": float("inf")}, {"temperature": "2"},
     {"temperature": True}, {"temperature": None, "off": None}, {"off": "0123"}, {"off": ["a", None, {}, 1.5]}],
)  # fmt: skip
def test_forged_settings_fall_back_to_the_learnt_ones(payload):
    assert Settings.read(payload) == Settings()


def test_a_giant_number_is_cut_to_the_range():
    assert Settings.read({"temperature": 10**400}).temperature == quarrel.TEMPERATURE[1]


@pytest.mark.parametrize("module", [quarrel, refusal])
def test_templates_are_constants(module):
    """Gradio would run what stands in these signs; the script alone may hold them."""
    folder, stem = Path(module.__file__).parent, Path(module.__file__).stem
    for suffix in ("html", "css"):
        text = (folder / f"{stem}.{suffix}").read_text("utf-8")
        assert not any(sign in text for sign in ("{{", "${", "`", "\\"))
    assert "innerHTML" not in (folder / "refusal.js").read_text("utf-8")


def test_labels_reach_the_browser_as_data_only():
    side = quarrel.side(half(HOSTILE, [0.1] * len(HOSTILE)), title={})
    value = quarrel.value(HOSTILE, ["never"] * len(HOSTILE), softmax=side, sigmoid=None)
    component = Quarrel(value)
    assert [label["text"] for label in component.value["labels"]] == list(HOSTILE)
    assert not any(label in component.html_template for label in HOSTILE)


def test_every_word_of_the_script_is_there_in_both_languages():
    props = Quarrel().props["words"]
    for lang in LANGUAGES:
        assert {f"mark_{mark}" for mark in quarrel.MARKS} <= set(props[lang])
        assert all(props[lang].values())
