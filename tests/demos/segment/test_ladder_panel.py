"""The ladder's cards and the spread over clicks: known discs, the example with known masks, and a session."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from demos.segment import ladder_panel, ladder_views, truth
from demos.segment.logit_views import inside_next
from demos.shell import sessions
from pipelines.segment.ambiguity import spread
from pipelines.segment.clicks import Click
from pipelines.segment.marks import Prompt
from pipelines.segment.masks import Masks
from tests.conftest import REPO
from tests.demos.segment import hand_made


@pytest.fixture
def request_of():
    """request_of("a") -> a call of that session."""
    made = {}
    yield lambda name: made.setdefault(name, SimpleNamespace(session_hash=f"ladder-{name}"))
    for request in made.values():
        sessions.forget(request)


def masks_of(bits, *, point) -> Masks:
    """Masks whose four tokens are the given ones, (H, W) bool each, at one logit a pixel: nothing is enlarged."""
    height, width = bits[0].shape
    side = max(height, width)
    logits = np.full((4, side, side), -5, np.float32)
    for token, mask in enumerate(bits):
        logits[token, :height, :width][mask] = 5
    share = np.array([mask.mean() for mask in bits], np.float32)
    return Masks(
        logits=logits, iou=np.array(hand_made.IOU, np.float32), stability=np.ones(4, np.float32), area=share,
        valid=(height, width), square=side, input_size=(height, width), size=(height, width),
        full_size=(height, width), ms=1.0, prompt=Prompt((Click(*point, positive=True),)), model_id="lucida-sam",
        picture_key="1" * 32,
    )  # fmt: skip


# --- the cards ---
def test_cards_go_from_the_smallest_of_three_to_the_largest_and_end_with_the_single_one():
    rungs = ladder_panel.rungs(hand_made.masks(), "hand made")
    assert [rung["token"] for rung in rungs] == [1, 2, 3, 0]
    assert [rung["inside"] for rung in rungs] == [(2, 1.0), (3, 1.0), None, None]
    assert [round(rung["iou"], 2) for rung in rungs] == [0.55, 0.9, 0.7, 0.8]
    assert {rung["truth"] for rung in rungs} == {None}


def test_a_share_inside_the_next_larger_mask_is_counted_in_cells():
    logits = np.full((4, 32, 32), -1, np.float32)
    logits[1, 2:4, 2:6] = 1  # 8 cells, of which 6 lie in the next
    logits[2, 2:6, 3:9] = 1
    assert inside_next(hand_made.masks(logits=logits)) == {1: (2, 0.75)}  # an empty mask is on no rung
    json.dumps(ladder_panel.rungs(hand_made.masks(logits=logits), ""), allow_nan=False)


def test_each_mask_is_held_against_the_known_object_that_it_fits_best():
    known = {one.name["en"]: one.mask for one in truth.of("breakfast")}
    coffee, cup, all_of_it = known["coffee"], known["cup with coffee"], known["cup, saucer and spoon"]
    y, x = np.argwhere(coffee)[len(np.argwhere(coffee)) // 2]
    rungs = ladder_panel.rungs(masks_of([cup, coffee, cup, all_of_it], point=(int(x), int(y))), "breakfast")
    assert [(rung["truth"]["name"]["en"], rung["truth"]["iou"]) for rung in rungs] == [
        ("coffee", 1.0), ("cup with coffee", 1.0), ("cup, saucer and spoon", 1.0), ("cup with coffee", 1.0),
    ]  # fmt: skip


def test_the_stored_ladder_opens_without_a_model_library():
    """With true IoUs, in a process of its own."""
    code = """if True:
        import sys
        from dataclasses import replace
        from demos.segment import ladder_panel, truth
        from pipelines.segment.clicks import Click, deepest
        from pipelines.segment.marks import Prompt
        from tests.demos.segment import hand_made
        x, y, _ = deepest(truth.of("breakfast")[0].mask)
        masks = replace(hand_made.masks(), prompt=Prompt((Click(x, y, True),)), size=(576, 768), full_size=(576, 768))
        print([rung["truth"] is None for rung in ladder_panel.rungs(masks, "breakfast")], "torch" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1:] == ["[False, False, False, False] False"], done.stderr


def test_marks_mean_what_lies_under_all_of_them_and_under_no_negative_one():
    known = truth.of("breakfast")
    by_name = {one.name["en"]: one.mask for one in known}

    def names(*points, box=None):
        clicks = tuple(Click(int(x), int(y), positive=positive) for (y, x), positive in points)
        return {one.name["en"] for one in truth.meant(known, Prompt(clicks, box=box))}

    coffee = np.argwhere(by_name["coffee"])[0]
    only_saucer = by_name["cup, saucer and spoon"] & ~by_name["cup with coffee"] & ~by_name["spoon"]
    saucer = np.argwhere(only_saucer)[0]
    assert names((coffee, True)) == {"coffee", "cup with coffee", "cup, saucer and spoon"}
    assert names((coffee, True), (saucer, True)) == {"cup, saucer and spoon"}
    assert names((coffee, True), (saucer, False)) == {"coffee", "cup with coffee"}
    rows, columns = np.nonzero(by_name["butterfly"])
    assert names(box=(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)) == {"butterfly"}
    assert names() == set() and truth.of("cat") == () and truth.of("/a/file.png") == ()


def test_the_sentence_says_why_this_mask_is_shown():
    assert ladder_views.why(token=2, best=2, chosen=False) == "ladder_why_best"
    assert ladder_views.why(token=0, best=2, chosen=False) == "ladder_why_single"
    assert ladder_views.why(token=2, best=2, chosen=True) == "ladder_why_chosen"


# --- the spread ---
def test_the_spread_is_kept_for_each_object_and_undo_forgets(request_of):
    asker = request_of("undo")
    two = {"points": ((90, 60, 1), (10, 10, 0))}
    same = np.repeat(hand_made.discs()[:1], 4, axis=0)
    first = ladder_panel.remembered(hand_made.layer(), asker)
    assert first == {1: pytest.approx(spread(hand_made.masks()))}
    assert ladder_panel.remembered(hand_made.layer(logits=same, **two), asker) == {**first, 2: 0.0}
    assert ladder_panel.remembered(hand_made.layer(), asker) == first
    assert ladder_panel.remembered(hand_made.layer(), request_of("another")) == first


def test_the_curve_has_a_dot_where_its_value_is():
    drawn = ladder_views.chart({1: 0.5, 3: 0.0}, None)
    dots = [tuple(map(float, dot)) for dot in re.findall(r'sg-dot" cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    top, bottom = ladder_views.TOP, ladder_views.HEIGHT - ladder_views.BOTTOM
    assert [y for _, y in dots] == [pytest.approx((top + bottom) / 2), bottom]
    assert dots[0][0] == ladder_views.LEFT
    assert dots[1][0] == pytest.approx((ladder_views.LEFT + ladder_views.WIDTH - ladder_views.RIGHT) / 2)  # 3 of 1..5


def test_what_was_measured_is_said_and_nothing_where_it_was_not():
    val = {"n": 200, "pictures": 90, "spread": {"mean": [0.4, 0.3, 0.25]}}
    val |= {"shrinks": {"mean": [0.815, 0.5]}, "shrinks_any": {"mean": [0.64]}}
    told = ladder_views.spread({1: 0.5}, ladder_views.measured({"sets": {"val": val}}))
    assert "200 objects in 90 pictures" in told and "82% of the objects" in told and "64% of the cases" in told
    assert "from 0.40 after one click to 0.25 after 3" in told and "验证集" in told
    assert told.count('class="sg-square"') == 3 + 1  # the means, and the one in the key
    assert ladder_views.measured({}) is None and ladder_views.measured({"sets": {"val": {"n": 3}}}) is None
    assert "sg-square" not in ladder_views.spread({1: 0.5}, None)


def test_a_spread_that_grew_is_not_said_to_have_shrunk():
    assert "did not fall" in ladder_views.spread({1: 0.2, 2: 0.4}, None)
    assert "fell from 0.40 to 0.20" in ladder_views.spread({1: 0.4, 2: 0.2}, None)
