"""The levels Blocks and Numbers: what the browser gets of attention and product, on known numbers and a tiny SAM."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from demos.segment import attention_views, ladder_panel, level_views, levels, parts, threshold_panel
from demos.shell import array_files, sessions
from demos.shell.arrays import unpack
from pipelines.segment.clicks import Click
from pipelines.segment.marks import Prompt
from tests.demos.segment import hand_made
from tests.demos.segment.sessions_of import on_stage, picture_file, point
from tests.demos.segment.test_answer import ask
from tests.pipelines.segment.conftest import make_model, make_picture


@pytest.fixture(scope="module")
def answered():
    """A tiny real SAM, a wide picture in it, and the answer to two clicks and a box."""
    from pipelines.segment import prompt

    model, pixels = make_model(), make_picture(120, 200)
    embedding = prompt.encode(model, pixels)
    asked = Prompt((Click(150, 30, True), Click(10, 100, False)), box=(100.0, 0.0, 180.0, 60.0))
    return SimpleNamespace(
        model=model, pixels=pixels, embedding=embedding, masks=prompt.predict(model, embedding, asked)
    )


@pytest.fixture
def request_of_one():
    request = SimpleNamespace(session_hash="levels-of-one")
    yield request
    sessions.forget(request)


# --- attention ---
def test_a_map_is_where_its_layer_head_and_token_say():
    made = attention_views.attention(hand_made.attention(), token=2)
    rows, columns = made["map"].shape
    assert (rows, columns) == (6, 8)  # of 5.375 rows a sixth is begun
    for number, layer in enumerate(made["layers"]):
        for head in range(layer["heads"]):
            for token in range(6):
                start = layer["offset"] + (head * 7 + token) * rows * columns
                cells = made["array"][start : start + rows * columns].reshape(rows, columns)
                assert np.argwhere(cells).tolist() == [[number, token + head]]
    assert [layer["final"] for layer in made["layers"]] == [False, True]
    assert made["box"] == pytest.approx((0, 0, 192, 129 * 6 / 5.375))


def test_tokens_are_named_and_the_shown_mask_comes_first():
    made = attention_views.attention(hand_made.attention(), token=2)
    assert made["tokens"][made["token"]] == {"kind": "mask", "n": 2}
    assert [one["kind"] for one in made["tokens"]] == ["iou", *["mask"] * 4, "positive", "padding"]
    assert made["tokens"][5]["n"] == 1  # the first click
    assert np.argwhere(made["map"]).tolist() == [[1, 3], [1, 4]] and made["map"].max() == 0.5  # the mean of two heads


def test_many_tokens_are_sent_as_the_mean_of_the_heads(monkeypatch):
    monkeypatch.setattr(attention_views, "MOST_NUMBERS", 100)
    made = attention_views.attention(hand_made.attention(), token=2)
    assert made["averaged"] and {layer["heads"] for layer in made["layers"]} == {1}
    assert len(made["array"]) == 2 * 7 * 6 * 8
    assert np.array_equal(np.argwhere(made["array"][:48].reshape(6, 8)), [[0, 0], [0, 1]])


def test_the_attention_of_a_real_model_sums_to_one_with_the_padding(answered):
    from pipelines.segment.attention import attention

    found = attention(answered.model, answered.embedding, answered.masks.prompt)
    made = attention_views.attention(found, token=0)
    assert [one["kind"] for one in made["tokens"]] == ["iou", *["mask"] * 4, "positive", "negative", "corner", "corner"]
    assert [one["n"] for one in made["tokens"]][-2:] == [1, 2]
    last, cells = made["layers"][-1], made["map"].size
    for head in range(last["heads"]):
        start = last["offset"] + head * len(made["tokens"]) * cells
        share = made["array"][start : start + cells].astype(np.float64).sum()
        assert share == pytest.approx(1 - found.on_padding("final", 0, head=head), abs=2e-3)  # sent as halves


# --- the product ---
def test_token_times_map_is_the_logit_in_every_cell(answered):
    from pipelines.segment.formula import factors

    made = attention_views.product(factors(answered.model, answered.embedding, answered.masks.prompt), token=1)
    hyper = unpack(made["vectors"])
    product = np.einsum("tc,crk->trk", hyper, made["array"].astype(np.float32))
    rows, columns = answered.masks.valid
    bound = 2.0**-11 * np.einsum("tc,crk->trk", np.abs(hyper), np.abs(made["array"]).astype(np.float32))  # of halves
    assert (np.abs(product - answered.masks.logits[:, :rows, :columns]) <= 1.01 * bound + 1e-5).all()
    assert np.array_equal(made["map"], answered.masks.part(1))


def test_the_pointer_begins_at_the_first_click_else_in_the_box():
    found = hand_made.product()
    assert attention_views.product(found, token=2)["spot"] == {"row": 10, "column": 15}  # (90, 60) at 6 px a cell
    found.masks = hand_made.masks(points=(), box=(0.0, 0.0, 24.0, 12.0))
    assert attention_views.product(found, token=2)["spot"] == {"row": 1, "column": 2}


def test_marks_are_moved_to_the_size_that_is_shown():
    masks = hand_made.masks(points=((99, 50, 1), (0, 0, 0)), box=(0.0, 10.0, 100.0, 20.0))
    vars(masks)["full_size"] = (258, 384)  # twice as large as it is answered
    said = attention_views.marks(masks)
    assert said["marks"] == [{"x": 49.75, "y": 25.25, "label": 1}, {"x": 0.25, "y": 0.25, "label": 0}]
    assert said["marked_box"] == [0, 5, 50, 10]


# --- Numbers and Blocks ---
def test_marks_land_where_the_decoder_is_asked(answered):
    """200 x 120 px fill 64 x 38 px of the square; a corner is an edge, a click the middle of a pixel."""
    side, share = answered.model.image_size, answered.model.mask_side / answered.model.image_size
    plus, minus, upper, lower = levels.places(answered.model, answered.embedding, answered.masks.prompt)
    assert plus["square"] == pytest.approx([150 * 64 / 200, 30 * 38 / 120])
    assert plus["cell"] == [int(48.5 * share), int(10 * share)]
    assert (minus["label"], upper["label"], lower["picture"]) == (0, None, [180, 60])
    assert lower["cell"] == [int(180 * 64 / 200 * share), int(60 * 38 / 120 * share)]
    told = level_views.places(answered.masks, [plus, minus, upper, lower], square=side)
    assert "1: click +" in told and "2: click −" in told and "4: corner of the box" in told and "(150, 30)" in told


def test_numbers_show_the_counts_behind_the_stability():
    told = level_views.numbers(hand_made.masks(), token=2)
    assert "80 / 156 = 0.513" in told
    row = re.search(r"<tr class=on>.*?</tr>", told)[0]
    assert "0.900" in row and ">80<" in row and ">156<" in row and "16.3%" in row
    empty = hand_made.masks(logits=np.full((4, 32, 32), -9, np.float32))
    assert "= –" in level_views.numbers(empty, token=0) and "nan" not in level_views.numbers(empty, token=0)


def test_blocks_have_a_row_for_each_part_in_the_order_of_work(answered):
    from pipelines.segment.blocks import timings

    found = timings(answered.model, answered.pixels, answered.masks.prompt)
    told = level_views.blocks(found.blocks, encoder_ms=300.0, decoder_ms=20.0)
    assert told.count('<th scope="row">') == len(found.blocks)
    assert "300 ms" in told and "20 ms" in told and "15th" in told
    order = ["Patches", "Block 1", "Neck", "Prompt encoder", "Two-way layer 1", "Final attention", "IoU head"]
    assert [told.index(f">{name}") for name in order] == sorted(told.index(f">{name}") for name in order)
    assert "attends to the whole picture" in told


def test_files_of_earlier_answers_go(request_of_one):
    made = [
        array_files.private(np.full(3, i, np.float16), "map", request_of_one) for i in range(array_files.MOST_FILES + 2)
    ]
    array_files.private(np.zeros(3, np.float16), "logits", request_of_one)
    names = {path.name for path in sessions.of(request_of_one).folder.iterdir()}
    kept = {one["url"].rsplit("/", 1)[-1] for one in made[-array_files.MOST_FILES :]}
    assert {name for name in names if name.startswith("map")} == kept and len(names) == len(kept) + 1
    assert array_files.private(np.full(3, 5, np.float16), "map", request_of_one) == made[5]  # the same file for all


# --- what the handlers answer ---
SHARED = parts.Shared(None, None, None, None, None)


def test_every_panel_speaks_of_the_object_that_is_chosen(tiny, tmp_path, visitors):
    first, second = {"id": 1, "marks": [point(9, 9)]}, {"id": 2, "marks": [point(40, 20), point(2, 2, 0)], "token": 3}
    made = ask(on_stage(picture_file(tmp_path), first, second, active=1), visitors[0])
    table, button, colours, attention = levels._blocks(made.name, SHARED, visitors[0])
    numbers, pixel, places = levels._numbers(made.name, SHARED, visitors[0])
    cards, _spread = ladder_panel._follow(SHARED)(made.name, "en", visitors[0])
    threshold = threshold_panel._follow(SHARED)(made.name, "en", visitors[0])
    assert "IoU head" in table and not button.visible and colours.count("<img") == 2
    assert [one["kind"] for one in attention["tokens"]][5:] == ["positive", "negative", "padding"]
    assert (cards["object"], cards["token"], cards["chosen"]) == (2, 3, True)
    assert (threshold["object"], threshold["token"], pixel["token"]) == (2, 3, 3)
    assert threshold["logits"] == cards["logits"]  # one file for both
    assert np.array_equal(threshold["map"], made.layer.masks.part(3))
    assert "2: click −" in places and "<table" in numbers


def test_without_a_mark_every_panel_is_empty(tiny, tmp_path, visitors):
    made = ask(on_stage(picture_file(tmp_path), {"id": 1, "marks": []}), visitors[0])
    for name in (made.name, ""):
        assert levels._blocks(name, SHARED, visitors[0])[3] is None
        assert levels._numbers(name, SHARED, visitors[0])[1] is None
        assert ladder_panel._follow(SHARED)(name, "en", visitors[0])[0] is None
        assert threshold_panel._follow(SHARED)(name, "en", visitors[0]) is None


def test_a_slow_encoder_runs_a_second_time_only_when_asked(tiny, tmp_path, visitors, monkeypatch):
    monkeypatch.setattr(levels, "SOON_MS", -1)
    made = ask(on_stage(picture_file(tmp_path), {"id": 1, "marks": [point(9, 9)]}), visitors[0])
    table, button, *_ = levels._blocks(made.name, SHARED, visitors[0])
    assert button.visible and "IoU head" not in table
    timed = levels._timed(made.name, SHARED, visitors[0])
    assert "IoU head" in timed
    assert levels._blocks(made.name, SHARED, visitors[0])[0] == timed  # measured once for a picture
