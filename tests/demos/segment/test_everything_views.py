"""A grid pass on its way to the page."""

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from demos.segment import everything_views
from demos.segment.everything_views import Under
from demos.segment.funnel import Funnel, read
from demos.shell import arrays
from pipelines.runtime.errors import UserError
from pipelines.segment.everything import Thresholds, filter, hover_field
from tests.demos.segment import hand_grid

PIXELS = np.zeros((*hand_grid.FRAME.size, 3), np.uint8)


def fetched(packed: dict) -> np.ndarray:
    """The array behind an address, as the page would get it."""
    path = Path("/" + unquote(packed["url"]).removeprefix("gradio_api/file=").lstrip("/"))
    return np.frombuffer(path.read_bytes(), packed["dtype"]).reshape(packed["shape"])


def test_the_page_gets_every_mask_and_every_number(tmp_path):
    grid = hand_grid.grid()
    sent = everything_views.value(
        everything_views.candidates(grid), Under.of("cat", grid.full_size, PIXELS), tmp_path / "new"
    )
    bits = np.unpackbits(fetched(sent["masks"]), axis=2, count=32).astype(bool)
    np.testing.assert_array_equal(bits, grid.part(slice(None)) > 0)
    numbers = fetched(sent["numbers"])
    np.testing.assert_array_equal(numbers[:, 0], grid.iou)
    np.testing.assert_array_equal(numbers[:, 1], grid.stability)
    np.testing.assert_array_equal(numbers[:, 2:6], grid.boxes)
    pixels = [int(grid.mask(index).sum()) for index in range(len(grid))]
    np.testing.assert_array_equal(numbers[:, 6], pixels)
    np.testing.assert_allclose(numbers[:3, 7:], [[1 / 8, 1 / 8]] * 3)  # the first point of 4 x 4
    assert sent["cells"] == {"rows": 22, "columns": 32, "extent": [21.5, 32.0]}
    assert (sent["width"], sent["height"], sent["full"]) == (192, 129, [258, 384])
    assert json.dumps(sent)  # it can travel


def test_sliders_begin_at_the_librarys_thresholds_or_where_something_is_left():
    grid = hand_grid.grid(8)
    sure = replace(grid, iou=grid.iou / 10 + 0.9, stability=np.ones_like(grid.stability))
    assert everything_views.start(sure) == Thresholds()
    humble = replace(grid, iou=grid.iou / 2, stability=grid.stability / 3)
    begun = everything_views.start(humble)
    assert begun.iou < 0.88 and begun.stability < 0.95 and begun.nms == 0.7
    left = filter(humble, begun).counts
    assert 0 < left["nms"] <= left["stability"] <= left["iou"] <= len(grid) / 4
    assert begun.iou == round(begun.iou, 2)  # a place of the slider


def test_a_pass_of_empty_masks_has_a_start_too():
    grid = hand_grid.grid()
    nothing = replace(grid, stability=np.full_like(grid.stability, np.nan), iou=np.zeros_like(grid.iou))
    assert everything_views.start(nothing).stability == 0


def test_names_of_files_cannot_be_guessed(tmp_path):
    of, under = everything_views.candidates(hand_grid.grid()), Under.of("cat", (129, 192), PIXELS)
    serials = {everything_views.value(of, under, tmp_path)["serial"] for _ in range(5)}
    assert len(serials) == 5
    assert all(len(serial) >= 30 for serial in serials)


def test_a_stored_pass_comes_back(tmp_path):
    grid, folder, cache = hand_grid.grid(), tmp_path / "stored", tmp_path / "cache"
    folder.mkdir()
    assert everything_views.stored(folder, cache) is None
    everything_views.save(grid, folder, name="cat", pixels=PIXELS)
    sent = everything_views.stored(folder, cache)
    assert sent["stored"]
    assert sent["name"] == "cat"
    np.testing.assert_array_equal(fetched(sent["numbers"])[:, 0], grid.iou)


def test_finer_masks_are_thinned(monkeypatch):
    monkeypatch.setattr(everything_views, "LONGEST_CELLS", 16)
    grid = hand_grid.grid()
    of = everything_views.candidates(grid)
    assert (of.bits.shape[1:], int(of.columns), of.extent.tolist()) == ((11, 2), 16, [10.75, 16.0])
    bits = np.unpackbits(of.bits, axis=2, count=16).astype(bool)
    np.testing.assert_array_equal(bits, (grid.part(slice(None)) > 0)[:, ::2, ::2])


def changed(grid, funnel, index: int) -> bool:
    """Whether the last filter looked at this candidate and found a hole or a speck."""
    return funnel.reasons[index] in (0, 4) and (funnel.mask(grid, index) != grid.mask(index)).any()


def test_cleaned_masks_follow_the_pipeline():
    grid = hand_grid.grid()
    funnel = filter(grid, Thresholds(iou=0.5, stability=0.5, nms=0.9, min_area=60))
    said = everything_views.cleaned(grid, funnel)
    assert said["kept"] == funnel.kept.tolist()
    assert said["touched"]
    assert all(funnel.cleaned[index] is not None for index in said["touched"])
    assert said["touched"] == [index for index in range(len(grid)) if changed(grid, funnel, index)]
    assert dict(said["gone"]) == {i: funnel.rival[i] for i in np.flatnonzero(funnel.reasons == 4)}
    bits = np.unpackbits(arrays.unpack(said["bits"]), axis=2, count=32)
    for place, index in enumerate(said["touched"]):
        share = funnel.mask(grid, index).mean()
        assert bits[place].sum() / (21.5 * 32) == pytest.approx(share, abs=0.02)
    np.testing.assert_array_equal(arrays.unpack(said["boxes"]), funnel.boxes[said["touched"]])


def test_nothing_cleaned_is_an_empty_answer():
    grid = hand_grid.grid()
    said = everything_views.cleaned(grid, filter(grid, Thresholds(iou=0.999)))
    assert said["touched"] == said["gone"] == said["kept"] == []
    assert arrays.unpack(said["bits"]).size == 0


def test_cells_see_the_pixel_under_their_middle():
    grid = hand_grid.grid()
    funnel = filter(grid, Thresholds(iou=0, stability=0))
    field = hover_field(grid, funnel)
    cells = everything_views.in_cells(field > 0, grid.frame.extent)
    covered = (grid.part(funnel.kept) > 0).any(axis=0)
    assert (cells == covered).mean() > 0.97  # edges are mixed of two cells


GOOD = {"serial": "x", "thresholds": {"iou": 0.88, "stability": 0.95, "nms": 0.7, "min_area": 0}}


def with_limit(name: str, value) -> dict:
    return {**GOOD, "thresholds": {**GOOD["thresholds"], name: value}}


def test_limits_are_read():
    sieve = Funnel().preprocess({**GOOD, "thresholds": {"iou": 0, "stability": 1, "nms": 0.5, "min_area": 100}})
    assert sieve.limits == {"iou": 0.0, "stability": 1.0, "nms": 0.5, "min_area": 100}
    assert Funnel().preprocess(None) is None


@pytest.mark.parametrize(
    "payload",
    [
        "text",
        ["list"],
        {"serial": "x"},
        {"serial": 5, "thresholds": GOOD["thresholds"]},
        {**GOOD, "thresholds": [0.5]},
        *(with_limit("iou", bad) for bad in (float("nan"), 2, -0.1, "0.5", None, True)),
        *(with_limit("min_area", bad) for bad in (-1, 1e12, float("inf"), [])),
    ],
)  # fmt: skip
def test_other_limits_are_refused(payload):
    with pytest.raises(UserError, match="funnel_form"):
        read(payload)
