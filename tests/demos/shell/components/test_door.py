"""Which files a browser may name, and what is shown of them (LIMITS.md I24 to I29)."""

import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demos.shell.components import door
from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import open_picture
from tests import odd_pictures

TITLE = {"en": "A cat", "zh": "一只猫"}


@pytest.fixture
def cache(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def allowed(payload, cache, examples=()):
    return door.allowed_file(payload, cache=str(cache), examples={example.id: example for example in examples})


def refusal(payload, cache, examples=()):
    with pytest.raises(UserError) as caught:
        allowed(payload, cache, examples)
    return caught.value.key


def test_a_file_in_the_cache_is_allowed(cache):
    path = cache / "picture.png"
    path.write_bytes(odd_pictures.plain())
    assert allowed({"picture": {"path": str(path)}}, cache) == path.resolve()


@pytest.mark.parametrize("name", [*odd_pictures.SERVER_PATHS, "", ".", "/", "x" * 10_000, "a\0b"])
@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_I25_no_other_file_is_allowed(cache, name, meta):
    assert refusal({"picture": {"path": name, **meta}}, cache).startswith("errors.picture_")


def test_I25_neither_dots_nor_links_lead_out_of_the_cache(cache):
    secret = cache.parent / "secret.png"
    secret.write_bytes(odd_pictures.plain())
    os.symlink(secret, cache / "link.png")
    for name in (f"{cache}/../secret.png", str(cache / "link.png"), str(secret)):
        assert refusal({"picture": {"path": name}}, cache) == "errors.picture_gone"


def test_I29_a_guessed_path_and_a_file_that_is_gone_get_the_same_sentence(cache):
    told = {
        refusal({"picture": {"path": name}}, cache) for name in (str(cache / "gone.png"), "/etc/passwd", "/no/such")
    }
    assert told == {"errors.picture_gone"}


@pytest.mark.parametrize("address", odd_pictures.ADDRESSES)
def test_I26_addresses_are_not_followed(cache, address):
    file = {"path": address.format(port=1), "url": address.format(port=1)}
    assert refusal({"picture": file}, cache) == "errors.picture_gone"


@pytest.mark.parametrize("payload", [{}, {"picture": None}, {"picture": 7}, {"picture": [1]}, {"picture": {"path": 7}}])
def test_I28_something_else_in_place_of_a_file(cache, payload):
    assert refusal(payload, cache) == "errors.picture_not_file"


def test_an_example_is_named_by_its_id_and_no_other_one(cache):
    cat = door.example((odd_pictures.PHOTO, TITLE))
    assert allowed({"example": "cat"}, cache, [cat]) == odd_pictures.PHOTO.resolve()
    assert refusal({"example": "../cat"}, cache, [cat]) == "errors.picture_gone"


def test_an_example_takes_a_key_or_both_languages_as_title():
    assert door.example((odd_pictures.PHOTO, TITLE)).title == TITLE
    by_key = door.example((odd_pictures.PHOTO, "components.point"))
    assert by_key.title == {"en": "Point", "zh": "点"} and by_key.id == "cat"


SAME = {"I15_broken_exif", "I15_orientation_99", "I18_phone_photo"}
CASES = [case for case in odd_pictures.CASES if case.outcome == "answer"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_preview_is_made_where_a_browser_would_show_something_else(tmp_path, case):
    path = tmp_path / case.file
    path.write_bytes(case.make())
    picture = open_picture(path)
    shown = door.shown(picture, path)
    assert (shown["width"], shown["height"]) == picture.size
    assert len(shown["notes"]) == len(picture.notes)
    assert all(set(note) == {"en", "zh"} for note in shown["notes"])
    assert (shown["preview"] is None) == (case.name in SAME)
    if shown["preview"]:
        data = base64.b64decode(shown["preview"].split(",")[1])
        seen = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=float)
        assert seen.shape == picture.pixels.shape and np.abs(seen - picture.pixels).mean() < 4


def test_small_pictures_travel_without_loss_and_large_ones_are_made_smaller():
    small = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    data, mime = door.encoded(small, longest=512)
    assert mime == "image/png" and (np.asarray(Image.open(io.BytesIO(data))) == small).all()
    data, mime = door.encoded(np.zeros((600, 1200, 3), np.uint8), longest=512)
    assert mime == "image/jpeg" and Image.open(io.BytesIO(data)).size == (512, 256)


def test_pixels_and_pictures_reach_the_cache_without_loss(cache):
    picture = open_picture(odd_pictures.PHOTO)
    for given in (picture, picture.pixels, odd_pictures.PHOTO, str(odd_pictures.PHOTO)):
        path = Path(door.cached_file(given, str(cache))["path"])
        assert path.is_relative_to(cache)
        assert (open_picture(path).pixels == picture.pixels).all()
