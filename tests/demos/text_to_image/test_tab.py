"""What another tab sends arrives where it belongs."""

from pathlib import Path

from demos.shell.parcels import Parcel
from demos.text_to_image.tab import _received

SKIP = {"__type__": "update"}


def test_a_mask_comes_with_the_picture_that_it_lies_on():
    sent = Parcel("mask", "segment", path=Path("mask.png"), ground=Path("picture.png"))
    prompt, start, mask, fold = _received(sent, "en")
    assert (prompt, start, mask) == (SKIP, "picture.png", "mask.png") and fold.open


def test_a_mask_alone_leaves_the_picture_as_it_is():
    _, start, mask, _ = _received(Parcel("mask", "segment", path=Path("mask.png")), "en")
    assert (start, mask) == (SKIP, "mask.png")


def test_a_picture_takes_the_mask_of_the_one_before_away():
    _, start, mask, _ = _received(Parcel("picture", "segment", path=Path("picture.png")), "en")
    assert (start, mask) == ("picture.png", None)
