import numpy as np
import pytest

from training import card
from training.measure_zero_shot import refusal, reliability


def test_a_model_that_says_what_is_right_has_no_calibration_error():
    said = np.array([0.25] * 4 + [0.75] * 4)
    right = np.array([True, False, False, False, True, True, True, False])
    curve = reliability(said, right)
    assert curve["ece"] == 0.0
    assert [(one["n"], one["said"], one["right"]) for one in curve["bins"]] == [(4, 0.25, 0.25), (4, 0.75, 0.75)]


def test_a_boaster_is_off_by_what_he_boasts():
    curve = reliability(np.full(10, 0.95), np.arange(10) < 5)
    assert curve["ece"] == pytest.approx(0.45)
    assert curve["bins"][0]["high"] == 1.0


def test_certainty_itself_falls_into_the_last_bin():
    assert reliability(np.array([1.0]), np.array([True]))["bins"][0]["n"] == 1


def test_refusal_tells_listed_from_unlisted():
    """The true name's cosine is above the whole bank, every other name's in its middle."""
    truth = np.arange(40) % 30
    cosines = np.full((40, 30), 0.5)
    cosines[np.arange(40), truth] = 2.0
    bank = np.tile(np.linspace(0, 1, 101), (40, 1))
    measured = refusal(cosines, truth, bank)
    assert measured["chosen"] == 1.0
    assert measured["list_size"] == 10
    at = measured["thresholds"].index(0.95)
    assert (measured["refused_listed"][at], measured["caught_unlisted"][at]) == (0.0, 1.0)
    assert np.all(np.diff(measured["thresholds"]) > 0)


def test_the_card_says_what_was_measured():
    one = {"n": 7, "names": 9, "top1": 0.123, "top5": 0.5, "top1_95": [0.1, 0.2], "top5_95": [0.4, 0.6]}
    table = card.accuracy_table({f"{key}_{language}": one for key in card.SETS for language in card.LANGUAGES})
    assert table.count("| 7 | 9 | 12.3 (10.0 to 20.0) | 50.0 (40.0 to 60.0) |") == 8
