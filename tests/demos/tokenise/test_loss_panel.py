"""Where the loss comes from: sentences and maps of known errors, and what the panel shows of a tiny VQModel."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from demos.shell.arrays import unpack
from demos.tokenise import loss_panel, loss_views
from demos.tokenise.loss_panel import Passages
from pipelines.tokenise import code
from pipelines.tokenise.loss import loss, split
from tests.demos.tokenise.opened import one_visitor, opened_page, tiny_model  # noqa: F401


def flat(value: int, *, height: int = 4, width: int = 6) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_the_summands_are_told_with_their_shares():
    told = loss_views.said(split(flat(100), unquantised=flat(106), quantised=flat(108)))
    assert "56 % is there without codes too (32.6 dB)" in told and "The other 44 %" in told
    for value, share in (("36.00", "56.2 %"), ("4.000", "6.2 %"), ("24.00", "37.5 %"), ("64.00", "100.0 %")):
        assert f'<td class="n">{value}</td><td class="n">{share}</td>' in told
    assert "It is positive" in told


def test_the_third_summand_is_explained_by_its_sign():
    helped = loss_views.said(split(flat(100), unquantised=flat(104), quantised=flat(102)))
    assert "it is 400 % of that with codes" in helped and "It is negative" in helped and "−400.0 %" in helped
    half = flat(100)
    half[:2] = 96  # rounding goes up and down by as much: nothing in common with the bottleneck's error
    neither = loss_views.said(split(flat(102), unquantised=flat(98), quantised=half))
    assert "next to nothing" in neither
    assert "equals the original" in loss_views.said(split(flat(9), unquantised=flat(9), quantised=flat(9)))


def test_both_maps_have_one_range_and_keep_the_mean_square():
    original, rng = flat(100, height=200, width=300), np.random.default_rng(0)
    noisy, worse = (np.clip(100 + rng.normal(0, s, original.shape), 0, 255).astype(np.uint8) for s in (5, 20))
    found = split(original, unquantised=noisy, quantised=worse)
    first, second = loss_views.maps(found)
    assert first["range"] == second["range"]
    values = unpack(second["map"])
    assert values.shape == (67, 100)  # three pixels a side
    assert values.max() == pytest.approx(second["range"][1], rel=1e-3)
    whole = np.square(values[:66].astype(np.float64)).mean()
    assert whole == pytest.approx(np.square(found.quantised_error[:198].astype(np.float64)).mean(), rel=1e-3)


def test_the_three_pictures_are_sent_without_loss(visitor, model):
    found = loss(model, visitor.tokens)
    value, said, *maps = loss_panel.shown(found)
    for name in loss_views.SHOWN:
        with Image.open(value[name]["path"]) as file:
            assert np.array_equal(np.asarray(file), getattr(found, name))
    assert value["psnr"] == {
        "unquantised": f"{found.unquantised_psnr:.1f} dB", "quantised": f"{found.quantised_psnr:.1f} dB"
    }  # fmt: skip
    assert (value["height"], value["width"]) == visitor.tokens.size
    json.dumps([value, maps[0]["picture"]])
    assert "<table" in said and maps[0]["picture"] == maps[1]["picture"]
    assert Passages().preprocess(value) is None


def test_the_stored_result_is_the_live_one(visitor, model, tmp_path):
    kept = SimpleNamespace(
        folder=tmp_path,
        tokens=visitor.tokens,
        pixels=code.decode(model, visitor.tokens.indices, size=visitor.tokens.size),
    )
    assert loss_panel.stored(None) is None
    assert loss_panel.stored(kept) is None
    loss_panel.store(tmp_path, visitor.tokens, model)
    live, stored = loss_panel.shown(loss(model, visitor.tokens)), loss_panel.stored(kept)
    assert stored[1] == live[1]
    assert stored[2]["map"] == live[2]["map"]


def test_a_grid_without_a_picture_has_nothing_to_compare(visitor):
    answers = loss_panel.on_seen(replace(visitor.asked, picture="").text, visitor.shared, visitor.request)
    assert answers == (None, "", None, None)
    assert loss_panel.on_seen(visitor.answered, visitor.shared, visitor.request)[0]["width"] == 128
