"""What a heat map and a film send to the browser."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demos.shell.arrays import unpack
from demos.shell.components.film import Film, frame
from demos.shell.components.heat import HeatMap, ready
from pipelines.runtime.pictures import open_picture
from tests import odd_pictures


def test_a_map_keeps_its_values_its_place_and_its_gaps():
    picture = open_picture(odd_pictures.PHOTO)
    values = np.array([[0.5, np.nan], [-1.25, 3.0]])
    sent = HeatMap().postprocess({"picture": picture, "map": values, "box": (10, 20, 30, 40), "signed": True})
    np.testing.assert_array_equal(unpack(sent["map"]), values.astype(np.float32))
    assert sent["box"] == [10, 20, 30, 40] and sent["signed"] is True and sent["range"] is None
    assert (sent["width"], sent["height"]) == picture.size


def test_a_map_without_a_box_covers_the_picture():
    sent = HeatMap().postprocess({"picture": np.zeros((40, 60, 3), np.uint8), "map": np.ones((2, 3)), "range": (0, 2)})
    assert sent["box"] == [0, 0, 60, 40] and sent["range"] == [0, 2] and sent["signed"] is False


def test_a_prepared_picture_is_made_once_and_small():
    large = np.random.default_rng(0).integers(0, 256, (1500, 3000, 3), np.uint8)
    shown = ready(large)
    assert (shown["width"], shown["height"]) == (3000, 1500)
    with Image.open(shown["picture"]["path"]) as file:
        assert file.size == (1024, 512)
    sent = [HeatMap().postprocess({"picture": shown, "map": np.full((2, 2), k)}) for k in range(2)]
    assert sent[0]["picture"]["path"] == sent[1]["picture"]["path"] == shown["picture"]["path"]
    assert Path(shown["picture"]["path"]).stat().st_size < large.nbytes


@pytest.mark.parametrize("values", [np.zeros(4), np.zeros((0, 3)), np.zeros((2, 2, 1)), np.array([[np.inf]])])
def test_what_is_no_map_is_a_fault_of_ours(values):
    with pytest.raises(ValueError, match="map must"):
        HeatMap().postprocess({"picture": np.zeros((40, 60, 3), np.uint8), "map": values})


def test_python_takes_nothing_from_what_only_shows():
    assert HeatMap().preprocess({"picture": {"path": "/etc/passwd"}}) is None
    assert Film().preprocess({"src": ["javascript:1"]}) is None
    assert HeatMap().postprocess(None) is None and Film().postprocess(None) is None


def test_a_frame_holds_a_picture_for_each_strip():
    dark, light = (np.full((32, 48, 3), shade, np.uint8) for shade in (10, 240))
    sent = frame(2, 5, dark, light)
    assert (sent["i"], sent["n"]) == (2, 5)
    (shown,) = sent["frames"]
    for url, pixels in zip(shown, (dark, light), strict=True):
        assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))) == pixels).all()
    with pytest.raises(ValueError, match="frame 5"):
        frame(5, 5, dark)
