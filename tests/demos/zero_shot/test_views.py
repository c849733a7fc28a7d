"""Results as HTML: the numbers are right, and nothing that a visitor typed runs."""

import re

import numpy as np
import pytest

from demos.shell.words import LANGUAGES
from demos.zero_shot import charts, trials, views
from pipelines.zero_shot.calibration import Bin, OverlayTest, Reliability
from pipelines.zero_shot.evidence import DeletionTest
from tests.demos.zero_shot.made_up import HOSTILE, half


def tags(html: str) -> set[str]:
    return {name.lower() for name in re.findall(r"<\s*/?\s*([a-zA-Z][\w-]*)", html)}


def assert_safe(html: str) -> None:
    assert not tags(html) & {"script", "iframe", "object", "form", "b1"}
    assert "onerror=" not in re.sub(r"&lt;.*?&gt;", "", html)
    assert "<b>dog</b>" not in html


def test_numbers_hold_the_formula_with_its_live_values():
    result = half(("cat", "dog"), (0.3, 0.2), scale=10.0)
    html = views.numbers(result, chosen=0, temperature=1.0)
    assert "0.3000 × 10.00" in html and "<b>3.000</b>" in html
    expected = 1 / (1 + np.exp(-1.0))
    assert f"<b>{expected:.4f}</b>" in html
    assert "÷" not in html
    colder = views.numbers(result, chosen=0, temperature=0.5)
    assert "÷ 0.50" in colder and f"<b>{1 / (1 + np.exp(-2.0)):.4f}</b>" in colder


def test_the_sigmoid_formula_has_its_bias_and_no_other_label():
    html = views.numbers(half(("cat", "dog"), (0.3, 0.2), bias=-2.0, scale=10.0), chosen=1, temperature=1.0)
    formula = html[: html.index("<table")]
    assert "(0.2000 × 10.00 − 2.00)" in formula and "<b>0.000</b>" in formula and "<b>0.5000</b>" in formula
    assert "cat" not in formula


def test_blocks_show_shapes_parameters_and_times():
    html = views.blocks(half())
    for part in ("stem", "1×32×4×4", "928", "3.0 ms", "layer_<wbr>3", "605 k", "data:image/jpeg;base64,"):
        assert part in html


def test_a_cut_label_is_marked_and_long_lists_say_how_many_more():
    html = views.blocks(half(("cat", "dog"), cut=(True, False)))
    assert html.count("zs-cut") == 1
    labels = [f"label {k}" for k in range(views.MOST_ROWS + 7)]
    html = views.numbers(half(labels, np.linspace(0.1, 0.3, len(labels))), chosen=0, temperature=1.0)
    assert "and 7 more" in html and html.count("<tr") == views.MOST_ROWS + 1


def test_hostile_labels_and_templates_are_text_everywhere():
    labels, cosines = HOSTILE, np.linspace(0.1, 0.3, len(HOSTILE))
    result = half(labels, cosines)
    probabilities = np.tile(result.softmax, (len(HOSTILE) + 1, 1))
    tries = [trials.Try(kind, result.view, result) for kind in ("before", "words", "letters", "blank")]
    for html in (
        views.blocks(result),
        views.numbers(result, chosen=1, temperature=1.0),
        trials.lab(HOSTILE, labels, probabilities),
        trials.attack(tries, HOSTILE[0]),
    ):
        assert_safe(html)
        assert all(f'lang="{locale}"' in html for locale in LANGUAGES.values())


@pytest.mark.parametrize(
    ("p", "text"), [(0.0, "0.000"), (0.0004, "&lt;0.001"), (0.05, "0.050"), (0.5, "0.50"), (1, "1.00")]
)
def test_probabilities_read_as_in_the_quarrel(p, text):
    assert views.probability(p) == text


def test_the_plane_maps_corners_and_middle():
    plane = charts.Plane(x_range=(0, 2), y_range=(-1, 1), width=100, height=50, left=10, right=10, top=5, bottom=5)
    assert (plane.x(0), plane.x(2), plane.x(1)) == (10, 90, 50)
    assert (plane.y(-1), plane.y(1), plane.y(0)) == (45, 5, 25)


def test_a_reliability_curve_leaves_empty_bins_out():
    full, empty = Bin(0.5, 0.6, 10, 0.55, 0.6), Bin(0.6, 0.7, 0, 0.0, 0.0)
    curves = {"en": Reliability((full, empty), 0.05), "zh": Reliability((full,), 0.07)}
    html = views.reliability(curves)
    assert html.count("(n = 10)") == 2 and "(n = 0)" not in html
    assert "0.050" in html and "0.070" in html
    assert "not measured" in views.reliability(None) or "no reliability" in views.reliability(None)


def deletion(ordered, random, *, done=10, total=10) -> DeletionTest:
    ordered, random = np.array(ordered, float), np.array(random, float)
    return DeletionTest(np.linspace(0, 1, len(ordered)), ordered, random, done, total)


def test_the_deletion_test_says_who_won():
    random = [[1, 0.8, 0.6, 0], [1, 0.7, 0.7, 0]]
    passed = trials.deletion(deletion([1, 0.2, 0.1, 0], random))
    weak = trials.deletion(deletion([1, 0.79, 0.6, 0], [[1, 0.9, 0.9, 0], [1, 0.6, 0.6, 0]]))
    failed = trials.deletion(deletion([1, 0.9, 0.9, 0], random))
    assert "The map passes" in passed and "A weak pass" in weak and "The map fails" in failed


def test_a_running_deletion_test_draws_what_is_known():
    nan = float("nan")
    html = trials.deletion(deletion([1, 0.5, nan, 0], [[1, nan, nan, 0]], done=3, total=10))
    assert "nan" not in html.lower().replace("<title", "") and "The test is running" in html
    assert html.count("<circle") == 3


def verdict(before, words, letters, blank) -> str:
    """The sentence when these labels win on the four pictures; "cat" was typed."""
    labels = ("dog", "cat", "fox")
    tries = []
    for kind, winner in zip(("before", "words", "letters", "blank"), (before, words, letters, blank), strict=True):
        cosines = [0.3 if label == winner else 0.1 for label in labels]
        tries.append(trials.Try(kind, np.zeros((4, 4, 3), np.uint8), half(labels, cosines)))
    return trials.attack(tries, " CAT ")


def test_words_attack_only_where_the_controls_do_not():
    assert "It resisted" in verdict("dog", "dog", "dog", "dog")
    assert "It read the word" in verdict("dog", "cat", "dog", "dog")
    assert "The covering did it" in verdict("dog", "cat", "dog", "fox")
    assert "which is not what was written" in verdict("dog", "fox", "dog", "dog")


def test_the_lab_counts_winners():
    steady = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    moving = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    assert "the same under every template" in trials.lab(["{}", "a {}"], ["cat", "dog"], steady)
    html = trials.lab(["{}", "a {}"], ["cat", "dog"], moving)
    assert "2 different winners" in html
    assert len(re.findall(r"<title>", html)) == 2 * 3


def test_expectations_name_their_figures():
    test = OverlayTest(500, 0.71, 0.62, 0.63, 0.64, 0.02)
    html = trials.expectation({"words_en": test})
    assert all(f"{share} %" in html for share in (71, 62, 63, 64, 2)) and "500" in html
