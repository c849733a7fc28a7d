""" "None of these": the histogram holds the whole bank, and the slider starts at the measured threshold."""

import numpy as np
import pytest

from demos.zero_shot import refusal
from pipelines.zero_shot.calibration import Refusal

MEASURED = Refusal((0.0, 0.5, 0.9, 1.0), (0.0, 0.01, 0.05, 0.4), (0.0, 0.2, 0.6, 0.9), 0.9, 10, 321)
BANK = np.linspace(-0.1, 0.3, 1001)


def value(measured=MEASURED) -> dict:
    return refusal.value(
        ("cat", "dog", "fox"), [0.1, 0.35, 0.0], percentiles=[0.5, 1.0, 0.25], bank_cosines=BANK, measured=measured
    )


def test_every_word_of_the_bank_is_in_the_histogram():
    shown = value()
    assert sum(shown["counts"]) == shown["n_bank"] == 1001
    assert shown["range"][0] == pytest.approx(-0.1) and shown["range"][1] == pytest.approx(0.35, abs=1e-5)


def test_the_best_label_comes_first():
    assert [label["text"] for label in value()["labels"]] == ["dog", "cat", "fox"]


def test_the_slider_starts_at_the_measured_threshold_and_knows_both_shares():
    shown = value()
    assert shown["thresholds"][shown["chosen"]] == 0.9
    assert (shown["refused_listed"][shown["chosen"]], shown["caught_unlisted"][shown["chosen"]]) == (0.05, 0.6)
    assert shown["quantiles"][1] == pytest.approx(0.1)
    assert (shown["n_measured"], shown["list_size"]) == (321, 10)


def test_without_a_measurement_no_share_is_claimed():
    shown = value(measured=None)
    assert shown["refused_listed"] is None and shown["caught_unlisted"] is None
    assert shown["thresholds"][shown["chosen"]] == pytest.approx(refusal.DEFAULT_THRESHOLD)


def test_a_bank_of_equal_cosines_does_not_divide_by_nothing():
    shown = refusal.value(("cat",), [0.2], percentiles=[0.0], bank_cosines=np.full(5, 0.2))
    assert sum(shown["counts"]) == 5 and shown["range"][0] < shown["range"][1]
