"""The named function: the same limits and sentences as the page, over HTTP, and files that come back whole."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from demos.segment import api, examples
from pipelines.runtime.errors import UserError
from tests.over_http import CHINESE, Visitor

NAMES = ("points", "labels", "box", "token", "previous", "threshold", "model", "lang")
DEFAULTS = ([[200, 150]], None, None, -1, True, 0.0, "", "en")


@pytest.fixture(scope="module")
def visitor(app_server) -> Visitor:
    return Visitor(app_server.url, timeout_s=180)


@pytest.fixture(scope="module")
def picture(visitor) -> dict:
    return visitor.upload(examples.find("cat").path.read_bytes(), "cat.jpg")


def call(visitor, picture, **given):
    return visitor.call("segment", picture, *(dict(zip(NAMES, DEFAULTS, strict=True)) | given).values())


def test_an_object_comes_back_as_mask_run_lengths_and_cut_out(visitor, picture):
    answer = call(visitor, picture, points=[[200, 150], [240, 190]], labels=[1, 0], box=[20, 10, 430, 290]).values[0]
    mask = coco_mask.decode(answer["rle"]).astype(bool)
    assert mask.shape == (answer["height"], answer["width"]) and mask.sum() == answer["area_pixels"]
    assert answer["token"] in (1, 2, 3) and len(answer["tokens"]) == 4
    png = {name: visitor.http.get(f"/file={answer[name]['path']}").content for name in ("mask", "cut_out")}
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png["mask"]))) > 0, mask)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png["cut_out"])))[..., 3] > 0, mask)


def test_the_token_that_is_asked_for_is_the_one_that_comes(visitor, picture):
    areas = [call(visitor, picture, token=token).values[0] for token in (0, 3)]
    assert [one["token"] for one in areas] == [0, 3]
    assert areas[0]["tokens"] == areas[1]["tokens"]


@pytest.mark.parametrize(
    "given",
    [{"points": [[-1, 5]]}, {"points": [[451, 5]]}, {"points": [[1e308, 5]]}, {"points": [[float("nan"), 5]]},  # G01
     {"points": None, "box": [5, 5, 5, 90]}, {"points": None, "box": [500, 5, 600, 90]},  # G02
     {"points": [[5, 5]] * 500}, {"points": [[5, 5]] * 100_000},  # G03
     {"labels": [0]},  # G04
     {"labels": [7]}, {"labels": ["yes"]}, {"points": [[5]]}, {"points": [5, 5]}, {"points": "[[5, 5"},  # G06
     {"points": {"x": 5}}, {"labels": [1, 1]}, {"box": [1, 2, 3]}, {"points": None}, {"token": 4},
     {"threshold": float("inf")}, {"model": "lucida-clip"}],
)  # fmt: skip
def test_G_what_cannot_be_used_is_refused_in_a_sentence(visitor, picture, given):
    refused = call(visitor, picture, **given, lang="zh")
    assert refused.refused and any(ord(letter) in CHINESE for letter in refused.sentence), refused


def test_G07_a_click_without_a_picture_is_refused(visitor):
    assert "picture" in call(visitor, None).sentence


def test_G05_the_same_place_twice_is_answered(visitor, picture):
    assert not call(visitor, picture, points=[[200, 150], [200, 150]], labels=[1, 0]).refused


def test_I25_a_path_of_the_server_is_not_read(visitor):
    refused = call(visitor, {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}})
    assert refused.refused and "passwd" not in (refused.sentence or "")


def test_marks_may_come_as_json_texts():
    made = api.object_of("[[1, 2], [3, 4]]", "[1, 0]", "", token=-1, threshold=0)
    assert [mark["label"] for mark in made["marks"]] == [1, 0] and made["token"] is None


def test_deep_nesting_is_no_crash():
    with pytest.raises(UserError, match="mark_json"):
        api.object_of("[" * 100_000, None, None, token=-1, threshold=0)


def everything(visitor, picture, **given):
    values = {"side": 8, "iou": -1, "stability": -1, "nms": 0.7, "min_area": 0, "model": "", "lang": "en"} | given
    return visitor.call("segment_everything", picture, *values.values())


def test_everything_comes_as_one_coco_file_whose_counts_add_up(visitor, picture):
    answer = everything(visitor, picture, iou=0, stability=0).values[0]
    counts = answer["counts"]
    assert counts["candidates"] == 3 * 64 and counts["small"] >= len(answer["coco"]["annotations"]) > 0
    masks = [coco_mask.decode(one["segmentation"]) for one in answer["coco"]["annotations"]]
    assert [int(mask.sum()) for mask in masks] == [one["area"] for one in answer["coco"]["annotations"]]


@pytest.mark.parametrize("given", [{"side": 7}, {"iou": 2}, {"nms": float("nan")}, {"min_area": 0.5}, {"side": None}])
def test_everything_refuses_what_the_page_does_not_offer(visitor, picture, given):
    refused = everything(visitor, picture, **given, lang="zh")
    assert refused.refused and any(ord(letter) in CHINESE for letter in refused.sentence), refused


def test_answers_are_plain_json(visitor, picture):
    json.dumps(call(visitor, picture).values[0], allow_nan=False)
