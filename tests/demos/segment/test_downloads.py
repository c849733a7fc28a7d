"""Files are made at the size of the picture that was chosen, and read by the tools that they are for."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from demos.segment import downloads, parts
from pipelines.runtime.pictures import open_picture
from tests.demos.segment.sessions_of import on_stage, picture_file, point
from tests.demos.segment.test_answer import ask


@pytest.fixture
def kept(tiny, tmp_path, visitors) -> downloads.Full:
    """Two objects on a picture that is larger than it is answered."""
    path = picture_file(tmp_path, width=1500, height=1000)
    cup = {"id": 1, "marks": [point(300, 300)], "name": "cup <b>"}
    made = ask(on_stage(path, cup, {"id": 2, "marks": [point(900, 500)], "token": 1}), visitors[0])
    return downloads.Full(open_picture(path).pixels, made.layers, 0)


def test_the_mask_has_the_size_of_the_picture(kept, tmp_path):
    written = np.asarray(Image.open(downloads.write("mask", kept, tmp_path, lang="en")))
    assert written.shape == (1000, 1500)
    assert np.array_equal(written > 0, kept.layer.masks.mask(kept.layer.token, full=True))


def test_the_cut_out_is_transparent_where_the_mask_is_not(kept, tmp_path):
    written = np.asarray(Image.open(downloads.write("cut_out", kept, tmp_path, lang="en")))
    mask = downloads.mask_of(kept.layer)
    assert written.shape == (1000, 1500, 4) and np.array_equal(written[..., 3] > 0, mask)
    assert np.array_equal(written[mask][:, :3], kept.pixels[mask])


def test_run_lengths_decode_to_the_mask(kept, tmp_path):
    found = json.loads(downloads.write("rle", kept, tmp_path, lang="en").read_text())
    assert np.array_equal(coco_mask.decode(found).astype(bool), downloads.mask_of(kept.layer))


def test_polygons_cover_the_mask_or_more(kept, tmp_path):
    found = json.loads(downloads.write("polygons", kept, tmp_path, lang="en").read_text())
    filled = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(found, 1000, 1500))).astype(bool)
    assert not (downloads.mask_of(kept.layer) & ~filled).any()


def test_all_objects_stand_in_one_coco_file_under_their_names(kept, tmp_path):
    found = json.loads(downloads.write("coco", kept, tmp_path, lang="zh").read_text("utf-8"))
    assert [one["name"] for one in found["categories"]] == ["cup <b>", "对象 2"]
    assert [one["area"] for one in found["annotations"]] == [int(downloads.mask_of(each).sum()) for each in kept.layers]


def test_the_threshold_of_an_object_moves_its_edge_in_the_files(kept):
    from dataclasses import replace

    tighter = replace(kept.layer, threshold=1.0)
    inner, outer = downloads.mask_of(tighter), downloads.mask_of(kept.layer)
    assert inner.sum() < outer.sum() and not (inner & ~outer).any()


def test_the_preview_is_small_and_transparent(kept, visitors):
    shared = parts.Shared(None, None, None, None, None)
    from demos.shell import sessions

    name = sessions.of(visitors[0]).get(parts.ANSWERED)
    small = parts.pixels(name, shared, visitors[0])
    shown = Image.open(io.BytesIO(downloads.preview(small, kept.layer)))
    assert shown.mode == "RGBA" and max(shown.size) <= downloads.PREVIEW_PX


def test_the_mask_goes_with_its_picture_and_the_cut_out_on_white(kept):
    mask, ground = downloads._mask(kept)
    assert ground is kept.pixels and mask.shape == ground.shape[:2]
    square, none = downloads._on_ground(kept)
    assert none is None and square.shape[0] == square.shape[1] and (square[0, 0] == 255).all()
