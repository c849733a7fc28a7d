"""Bytes of valid files with flips and cuts give a picture or a sentence, never another exception."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import LIMITS, open_picture
from tests.pipelines.runtime.picture_bytes import ADOBE_RGB, bmp, encode, pattern
from tests.pipelines.runtime.sentences import sentence


def seeds() -> list[bytes]:
    with_text = PngImagePlugin.PngInfo()
    with_text.add_text("k", "v" * 50, zip=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    palette = Image.fromarray(pattern()).quantize(16)
    frames = [Image.fromarray(pattern()), Image.fromarray(255 - pattern())]
    return [
        *(encode(pattern(), kind) for kind in LIMITS.formats),
        encode(pattern(), "PNG", pnginfo=with_text, icc_profile=ADOBE_RGB, exif=exif),
        encode(Image.fromarray(pattern()).convert("CMYK"), "JPEG", exif=exif),
        encode(palette, "PNG", transparency=0),
        encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        encode(pattern()[..., 0].astype(np.float32), "TIFF"),
        encode(pattern(), "TIFF", compression="tiff_lzw"),
        bmp(height=-48),
    ]


SEEDS = seeds()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.sampled_from(SEEDS),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=8),
    near_head=st.booleans(),
    cut=st.one_of(st.none(), st.floats(0, 1)),
)
def test_flipped_and_cut_bytes_give_a_picture_or_a_sentence(seed, flips, near_head, cut):
    data = bytearray(seed)
    reach = min(len(data), 200) if near_head else len(data)
    for position, mask in flips:
        data[int(position * reach)] ^= mask
    if cut is not None:
        data = data[: int(cut * len(data))]
    try:
        picture = open_picture(bytes(data))
    except UserError as error:
        sentence(error)
    else:
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.shape == (picture.size[1], picture.size[0], 3)
        for note in picture.notes:
            sentence(note)
