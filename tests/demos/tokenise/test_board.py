"""What the board gives to a handler, what it refuses, and what goes down to it. The browser's half has tests there."""

import base64
import io
import json
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from demos.shell.arrays import pack, unpack
from demos.shell.words import say
from demos.tokenise import decoded, edited
from demos.tokenise.board import Board, grid
from demos.tokenise.decoded import Decoded, answer

ROWS, COLUMNS = 3, 5
CODES = np.arange(15).reshape(ROWS, COLUMNS) * 7
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 37, 3), np.uint8)


@pytest.fixture(scope="module")
def board():
    return Board()


def down(**changes) -> dict:
    made = grid("answer-1", CODES, codes=128, cell=8, size=(24, 37), picture=PIXELS)
    return {**made, "lang": "en", **changes}


def picture_of(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",", 1)[1]))))


# --- up ---


def test_what_went_down_comes_up_as_an_edit(board):
    value = down(hole=pack(np.eye(ROWS, COLUMNS, dtype=np.uint8)), selected=[2, 4], region=[0, 1, 3, 5])
    found = board.preprocess(value)
    assert (found.name, found.serial, found.source, found.codes) == ("answer-1", value["begun"], "picture", 128)
    np.testing.assert_array_equal(found.indices, CODES)
    assert found.indices.dtype == np.int32 and found.other is None
    np.testing.assert_array_equal(found.hole, np.eye(ROWS, COLUMNS, dtype=bool))
    assert found.hole.dtype == bool
    assert found.selected == (2, 4) and found.region == (0, 1, 3, 5)


def test_without_marks_nothing_is_chosen_and_nothing_hidden(board):
    found = board.preprocess(down())
    assert found.selected is None and found.region is None
    assert found.hole.shape == (ROWS, COLUMNS) and not found.hole.any()


def test_a_second_grid_is_checked_as_the_first(board):
    other = pack(np.full((ROWS, COLUMNS), 127, np.uint16))
    assert (board.preprocess(down(other=other)).other == 127).all()
    with pytest.raises(gr.Error, match="128"):
        board.preprocess(down(other=pack(np.full((ROWS, COLUMNS), 128, np.uint16))))


def test_no_grid_is_nothing(board):
    assert board.preprocess(None) is None and board.preprocess("") is None


GOOD = pack(CODES.astype(np.uint16))
FORGED = {
    "a list": [1, 2],
    "a number": 7,
    "a sentence": "grid",
    "no name": {"name": ""},
    "a long name": {"name": "n" * 201},
    "a name that is none": {"name": ["answer-1"]},
    "a source of its own": {"source": "elsewhere"},
    "a source that is a list": {"source": ["picture"]},
    "no rows": {"rows": 0},
    "fewer rows": {"rows": -3},
    "half a row": {"rows": 3.0},
    "true rows": {"rows": True},
    "rows in words": {"rows": "3"},
    "codes of none": {"codes": 0},
    "more codes than two bytes": {"codes": 65_537},
    "no serial": {"serial": None},
    "a serial before all": {"serial": -1},
    "an endless serial": {"serial": 2**53},
    "a serial not a number": {"serial": float("nan")},
    "no indices": {"indices": None},
    "indices in the open": {"indices": CODES.tolist()},
    "another dtype": {"indices": pack(CODES.astype(np.uint8))},
    "a dtype that runs": {"indices": {**GOOD, "dtype": "object"}},
    "another shape": {"indices": pack(CODES.T.astype(np.uint16))},
    "a shape that lies": {"indices": {**GOOD, "data": GOOD["data"][:-4]}},
    "too many bytes": {"indices": {**GOOD, "data": GOOD["data"] + "AAAA"}},
    "no base64": {"indices": {**GOOD, "data": "*" * len(GOOD["data"])}},
    "fewer bytes than letters": {"indices": {**GOOD, "data": GOOD["data"][:-4] + "AA=="}},
    "letters of another alphabet": {"indices": {**GOOD, "data": "\u4e2d" * len(GOOD["data"])}},
    "data that is a number": {"indices": {**GOOD, "data": 5}},
    "a second grid of no form": {"other": {"dtype": "uint16"}},
    "a hole of two": {"hole": pack(np.full((ROWS, COLUMNS), 2, np.uint8))},
    "a hole of another shape": {"hole": pack(np.zeros((1, 1), np.uint8))},
    "a token outside": {"selected": [3, 0]},
    "a token before all": {"selected": [0, -1]},
    "a token of three": {"selected": [0, 0, 0]},
    "a token that is a mapping": {"selected": {"0": 0}},
    "half a token": {"selected": [0.5, 0]},
    "an empty region": {"region": [1, 1, 1, 2]},
    "a region turned round": {"region": [2, 0, 1, 2]},
    "a region outside": {"region": [0, 0, 4, 5]},
    "a region before all": {"region": [-1, 0, 2, 2]},
    "a region of true": {"region": [False, 0, True, 1]},
}


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_a_forged_value_is_refused_with_a_sentence_in_the_visitors_language(board, forged, lang):
    value = down(**forged, lang=lang) if isinstance(forged, dict) else forged
    with pytest.raises(gr.Error) as refused:
        board.preprocess(value)
    assert say("tokenise.board_form", lang if isinstance(forged, dict) else "en") == refused.value.message


def test_an_index_outside_the_codebook_is_named(board):
    codes = CODES.astype(np.uint16)
    codes[1, 2] = 400
    with pytest.raises(gr.Error, match=r"400.*127"):
        board.preprocess(down(indices=pack(codes)))


def test_a_huge_grid_is_refused_before_anything_is_decoded(board, monkeypatch):
    monkeypatch.setattr(edited, "unpack", lambda packed: pytest.fail("decoded"))
    for rows, columns in ((60_000, 60_000), (257, 256)):
        with pytest.raises(gr.Error, match="65536"):
            board.preprocess(down(rows=rows, columns=columns))
    long = {"dtype": "uint16", "shape": [ROWS, COLUMNS], "data": "A" * 10_000_000}
    with pytest.raises(gr.Error):
        board.preprocess(down(indices=long))


def test_the_largest_grid_is_taken(board):
    codes = np.arange(65_536).reshape(256, 256)
    value = grid("large", codes, codes=65_536, cell=4, size=(1024, 1024), picture=PIXELS)
    np.testing.assert_array_equal(board.preprocess(value).indices, codes)


# --- down ---


def test_a_grid_begins_its_serials_anew_each_time():
    first, second = down(), down()
    assert first["serial"] == first["begun"] != second["begun"]
    assert first["serial"] < 2**52  # so that a visitor's edits are still counted exactly
    assert first["indices"]["shape"] == [ROWS, COLUMNS] and first["original"] is None
    assert json.loads(json.dumps(first)) == first


def test_a_grid_from_nowhere_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="elsewhere"):
        grid("a", CODES, codes=128, cell=8, size=(24, 37), picture=PIXELS, source="elsewhere")


def test_pictures_of_a_grid_are_files_and_small_ones_keep_every_pixel(tmp_path):
    path = tmp_path / "stored.png"
    Image.fromarray(PIXELS).save(path)
    made = grid(
        "a", CODES, codes=128, cell=8, size=(24, 37), picture=path, original=PIXELS, other=CODES, other_picture=PIXELS
    )
    for name in ("picture", "original", "other_picture"):
        assert Path(made[name]["path"]).is_file()
        np.testing.assert_array_equal(np.asarray(Image.open(made[name]["path"])), PIXELS)
    np.testing.assert_array_equal(unpack(made["other"]), CODES)


def test_a_large_picture_is_off_by_less_than_a_level_on_average():
    ramp = np.linspace(0, 255, 600)
    pixels = np.stack(np.broadcast_arrays(ramp, ramp[:, None], 128), axis=-1).astype(np.uint8)
    url = decoded.url_of(pixels)
    assert url.startswith("data:image/jpeg")
    assert np.abs(picture_of(url).astype(float) - pixels).mean() < 1


def test_an_answer_carries_what_it_was_given():
    made = answer(
        "a", 9, PIXELS, indices=CODES, hole=CODES > 50, other=CODES.T, other_pixels=255 - PIXELS, ms=12.5,
        note={"en": "A", "zh": "B"},
    )  # fmt: skip
    assert (made["name"], made["serial"], made["ms"], made["note"]) == ("a", 9, 12.5, {"en": "A", "zh": "B"})
    np.testing.assert_array_equal(picture_of(made["picture"]), PIXELS)
    np.testing.assert_array_equal(picture_of(made["other_picture"]), 255 - PIXELS)
    np.testing.assert_array_equal(unpack(made["indices"]), CODES)
    np.testing.assert_array_equal(unpack(made["hole"]), CODES > 50)
    np.testing.assert_array_equal(unpack(made["other"]), CODES.T)
    assert made["stamp"] != answer("a", 9)["stamp"]
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize("shape", [(64, 48), (256, 256), (257, 100), (1024, 700), (1, 1000)])
def test_a_change_map_is_the_mean_of_the_pixels_that_a_value_stands_for(shape):
    values = np.random.default_rng(1).uniform(0, 255, shape)
    sent = answer("a", 1, change=values)["change"]
    px, found = sent["px"], unpack(sent["map"]) / 255 * sent["most"]
    assert max(found.shape) <= 256 and px == -(-max(shape) // 256)
    for row in range(found.shape[0]):
        for column in range(0, found.shape[1], 37):
            part = values[row * px : (row + 1) * px, column * px : (column + 1) * px]
            assert found[row, column] == pytest.approx(part.mean(), abs=sent["most"] / 500)


def test_a_change_too_small_to_be_seen_stays_dark():
    sent = answer("a", 1, change=np.full((8, 8), 0.25))["change"]
    assert sent["most"] == 1 and (unpack(sent["map"]) == 64).all()


def test_decoded_gives_python_nothing():
    assert Decoded(answer("a", 1)).preprocess({"anything": 1}) is None
