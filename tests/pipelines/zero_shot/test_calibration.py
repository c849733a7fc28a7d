import json

import pytest

from pipelines.zero_shot.calibration import load_calibration

REFUSAL = {
    "thresholds": [0.0, 0.5, 1.0],
    "refused_listed": [0.0, 0.1, 1.0],
    "caught_unlisted": [0.0, 0.6, 1.0],
    "chosen": 0.4,
    "list_size": 10,
    "n": 500,
}
CURVE = {"bins": [{"low": 0.0, "high": 0.5, "n": 3, "said": 0.3, "right": 0.25}], "ece": 0.05}
OVERLAY = {"n": 9, "top1_before": 0.8, "top1_words": 0.7, "top1_letters": 0.7, "top1_blank": 0.75, "follows_word": 0.0}


def write(tmp_path, **changed):
    model = {"refusal": REFUSAL | changed, "reliability": {"en": CURVE, "zh": CURVE}, "overlay": {"words_en": OVERLAY}}
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({"models": {"a-model": model}}), encoding="utf-8")
    return path


def test_measurements_are_read_and_interpolated(tmp_path):
    measured = load_calibration(write(tmp_path))["a-model"]
    assert measured.refusal.refused_listed_at(0.25) == pytest.approx(0.05)
    assert measured.refusal.caught_unlisted_at(0.75) == pytest.approx(0.8)
    assert measured.refusal.caught_unlisted_at(7.0) == 1.0
    assert measured.reliability["zh"].bins[0].right == 0.25
    assert measured.overlay["words_en"].top1_blank == 0.75


@pytest.mark.parametrize("changed", [{"thresholds": [0.0, 1.0, 0.5]}, {"caught_unlisted": [0.0, 1.0]}])
def test_curves_that_make_no_sense_are_found(tmp_path, changed):
    with pytest.raises(ValueError, match="refusal"):
        load_calibration(write(tmp_path, **changed))


def test_a_missing_field_is_found(tmp_path):
    path = write(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace('"ece"', '"error"'), encoding="utf-8")
    with pytest.raises(KeyError):
        load_calibration(path)
