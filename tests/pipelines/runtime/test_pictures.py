"""Group I of the bad-input cases: what a picture file may do to the door, and twins that must give equal pixels."""

import io
import resource
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import LIMITS, from_array, open_picture
from tests.pipelines.runtime.picture_bytes import (
    ADOBE_RGB,
    DISPLAY_P3,
    bmp,
    chunk,
    encode,
    pattern,
    png_with,
    turned,
)
from tests.pipelines.runtime.sentences import sentence

FORMATS = LIMITS.formats
LOSSLESS = ("PNG", "TIFF", "BMP")


def refused(source) -> UserError:
    with pytest.raises(UserError) as caught:
        open_picture(source)
    sentence(caught.value)
    return caught.value


def note_keys(picture) -> list[str]:
    for note in picture.notes:
        sentence(note)
    return [note.key for note in picture.notes]


@pytest.mark.parametrize("kind", LOSSLESS)
def test_pixels_come_through_unchanged(kind):
    picture = open_picture(encode(pattern(), kind))
    np.testing.assert_array_equal(picture.pixels, pattern())
    assert (picture.size, picture.notes) == ((64, 48), ())


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_by_content(kind, tmp_path):
    path = tmp_path / "name.txt"
    path.write_bytes(encode(pattern(), kind))
    difference = np.abs(open_picture(path).pixels.astype(int) - pattern())
    assert difference.mean() < 12  # GIF's palette is the coarsest


def test_I01_empty_file():
    assert refused(b"").key == "errors.picture_empty"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"just a few words\nand a line", "text"),
        ("纯文本".encode(), "text"),
        (b"<!DOCTYPE html><html><body>x</body></html>", "HTML"),
        (b"%PDF-1.7\n1 0 obj", "PDF"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"PK\x03\x04" + bytes(60), "ZIP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"\x1f\x8b\x08" + bytes(40), "GZIP"),
        (b"\x00\x00\x00\x18ftypmp42" + bytes(40), "MP4"),
        (bytes(range(256)) * 4, "cannot be read as a picture"),
    ],
)
def test_I02_what_it_seems_to_be(data, says, tmp_path):
    path = tmp_path / "holiday.png"
    path.write_bytes(data)
    assert says in sentence(refused(path))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_I03_cut_off_is_refused_in_every_format(kind, share):
    data = encode(pattern(200, 300), kind)
    error = refused(data[: int(len(data) * share)])
    assert error.key == "errors.picture_damaged"
    assert error.values["kind"].upper() == kind


@pytest.mark.parametrize("side", [8_000, 13_000, 20_000])
def test_I04_pixel_bomb(side):
    """Refused by the header: the decoded picture would take 190 MB to 1.2 GB as RGB."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    rows = zlib.compress(bytes((side // 8 + 1) * 1000), 9)
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    error = refused(bomb)
    assert time.process_time() - started < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB
    assert error.key in ("errors.picture_too_many_pixels", "errors.picture_side_too_long")
    assert "50" in sentence(error) or "16384" in sentence(error)


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_I05_text_that_inflates(kind):
    load = zlib.compress(bytes(64 * 1024 * 1024), 9)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(png_with(chunk(kind, b"k\x00\x00" + load))).key == "errors.picture_hidden_load"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_I06_sixteen_bit_grey_equals_its_twin(kind):
    grey = pattern()[..., 0]
    deep = open_picture(encode(Image.fromarray(grey.astype(np.uint16) * 257), kind))
    np.testing.assert_array_equal(deep.pixels, open_picture(encode(grey)).pixels)
    assert deep.sha256 == open_picture(encode(grey)).sha256


def test_I07_float_tiff_is_scaled_by_its_finite_range():
    values = np.linspace(-2, 6, 64 * 48, dtype=np.float32).reshape(48, 64)
    values[0, 0], values[0, 1] = np.nan, np.inf
    picture = open_picture(encode(values, "TIFF"))
    assert note_keys(picture) == ["errors.note_scaled", "errors.note_not_finite"]
    assert picture.notes[0].values["high"] == "6"
    assert picture.notes[1].values["count"] == 2
    assert picture.pixels[-1, -1].tolist() == [255, 255, 255]
    assert picture.pixels[0, 0].tolist() == [0, 0, 0]
    assert picture.pixels[24, 0, 0] == pytest.approx(127.5, abs=2)


def test_I07_float_tiff_without_a_number():
    values = np.full((48, 64), np.nan, dtype=np.float32)
    assert refused(encode(values, "TIFF")).key == "errors.picture_no_values"


def test_I07_floats_near_the_largest_do_not_overflow():
    values = np.linspace(-3e38, 3e38, 64 * 48, dtype=np.float32).reshape(48, 64)
    assert open_picture(encode(values, "TIFF")).pixels[-1, -1, 0] == 255


def test_I08_cmyk_jpeg_keeps_its_colours():
    image = Image.fromarray(pattern())
    picture = open_picture(encode(image.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(picture.pixels.astype(int) - pattern()).mean() < 6


def test_I09_palette_with_transparency_lies_on_white():
    image = Image.fromarray(pattern()).quantize(16)
    image.info["transparency"] = image.getpixel((0, 0))
    picture = open_picture(encode(image, "PNG", transparency=image.getpixel((0, 0))))
    assert note_keys(picture) == ["errors.note_transparent"]
    assert picture.pixels[0, 0].tolist() == [255, 255, 255]


def test_I10_grey_with_alpha():
    image = Image.merge("LA", (Image.new("L", (64, 48), 0), Image.new("L", (64, 48), 0)))
    image.putpixel((5, 5), (40, 255))
    picture = open_picture(encode(image))
    assert picture.pixels[0, 0].tolist() == [255, 255, 255]
    assert picture.pixels[5, 5].tolist() == [40, 40, 40]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_I11_hidden_colours_do_not_matter(kind):
    alpha = (np.arange(64) > 31).astype(np.uint8)[None, :].repeat(48, 0) * 255
    shown, other = pattern(), 255 - pattern()
    hidden = np.where(alpha[..., None] > 0, shown, other)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    twins = [open_picture(encode(np.dstack([rgb, alpha]), kind, **options)) for rgb in (shown, hidden)]
    np.testing.assert_array_equal(twins[0].pixels, twins[1].pixels)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_I12_animation_gives_its_first_frame(kind):
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = open_picture(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert note_keys(picture) == ["errors.note_first_frame"]
    assert picture.pixels[10, 10].tolist() == [255, 0, 0]


def test_I13_tiff_of_many_pages():
    pages = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green")]
    picture = open_picture(encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert note_keys(picture) == ["errors.note_first_page"]
    assert picture.pixels[10, 10].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_I14_orientation(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = open_picture(encode(turned(pattern(), orientation), kind, exif=exif))
    np.testing.assert_array_equal(picture.pixels, pattern())


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\0\x01"]
)
def test_I15_broken_exif_is_ignored(exif):
    picture = open_picture(encode(pattern(), "JPEG", exif=exif))
    np.testing.assert_array_equal(picture.pixels, open_picture(encode(pattern(), "JPEG")).pixels)


def test_I15_orientation_99():
    exif = Image.Exif()
    exif[0x0112] = 99
    np.testing.assert_array_equal(open_picture(encode(pattern(), exif=exif)).pixels, pattern())


@pytest.mark.parametrize("profile", [ADOBE_RGB, DISPLAY_P3], ids=["AdobeRGB", "DisplayP3"])
def test_I16_profiles_become_srgb(profile):
    colour = (120, 160, 90)  # inside sRGB's gamut in both
    picture = open_picture(encode(Image.new("RGB", (64, 48), colour), icc_profile=profile))
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    back = ImageCms.profileToProfile(Image.fromarray(picture.pixels), target, source)
    assert np.abs(np.asarray(back)[5, 5].astype(int) - colour).max() <= 2
    # A wider gamut means a stronger colour for the same numbers: red falls, green rises.
    assert picture.pixels[5, 5, 0] < colour[0] - 3
    assert picture.pixels[5, 5, 1] >= colour[1]


def test_I16_broken_profile_is_said():
    picture = open_picture(encode(pattern(), icc_profile=b"not a profile at all"))
    assert note_keys(picture) == ["errors.note_profile_ignored"]
    np.testing.assert_array_equal(picture.pixels, pattern())


@pytest.mark.parametrize(
    ("width", "height", "key"),
    [
        (1, 1, "picture_too_small"),
        (5000, 1, "picture_too_small"),
        (1, 5000, "picture_too_small"),
        (15, 15, "picture_too_small"),
        (16, 321, "picture_too_narrow"),
        (17_000, 1_000, "picture_side_too_long"),
        (8_000, 7_000, "picture_too_many_pixels"),
    ],
)
def test_I17_sides(width, height, key):
    assert refused(encode(Image.new("1", (width, height)))).key == f"errors.{key}"


@pytest.mark.parametrize(("width", "height"), [(16, 16), (16, 320), (320, 16)])
def test_I17_sides_just_inside(width, height):
    assert open_picture(encode(Image.new("1", (width, height)))).size == (width, height)


def test_I18_phone_photo_leaves_its_place_behind():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = "N"
    picture = open_picture(encode(Image.new("RGB", (4000, 3000), "teal"), "JPEG", exif=exif))
    assert picture.size == (3000, 4000)
    assert set(vars(picture)) == {"pixels", "notes", "sha256", "size"}


def test_I19_heic_names_the_way_out():
    assert "JPEG" in sentence(refused(b"\x00\x00\x00\x18ftypheic" + bytes(100)))


def test_I20_svg_with_script():
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    assert refused(svg).key == "errors.picture_svg"


def test_I21_pdf():
    assert refused(b"%PDF-1.4 etc").key == "errors.picture_pdf"


def test_I22_ico():
    assert "ICO" in sentence(refused(encode(pattern(64, 64), "ICO")))


def test_I23_bmp_from_the_top_is_the_right_way_up():
    np.testing.assert_array_equal(open_picture(bmp(height=-48)).pixels, pattern())
    np.testing.assert_array_equal(open_picture(bmp()).pixels, pattern())


@pytest.mark.parametrize("options", [{"depth": 77}, {"offset": 1 << 30}])
def test_I23_bmp_that_lies(options):
    assert refused(bmp(**options)).key == "errors.picture_damaged"


@pytest.mark.parametrize("name", ["a\0b.png", "x" * 300, "../../../etc/shadow-like", "no such file.png"])
def test_I24_names_are_never_repeated(name):
    error = refused(name)
    assert error.key == "errors.picture_gone"
    assert name not in str(error)


@pytest.mark.parametrize("path", ["/dev/zero", "/", "/proc/self/mem"])
def test_I25_what_is_no_picture_file(path):
    assert path not in str(refused(path))


@pytest.mark.parametrize("address", ["http://127.0.0.1/x.png", "file:///etc/passwd", "data:image/png;base64,AAAA"])
def test_I26_addresses_are_no_files(address):
    assert refused(address).key == "errors.picture_gone"


def test_I27_heavier_than_the_limit_is_not_decoded():
    error = refused(bytes(LIMITS.file_bytes + 1))
    assert error.key == "errors.picture_too_heavy"
    assert "20 MB" in sentence(error)


@pytest.mark.parametrize("thing", [7, 1.5, [1, 2], {"a": 1}, object()])
def test_I28_things_that_are_no_file(thing):
    assert refused(thing).key == "errors.picture_not_file"


@pytest.mark.parametrize(
    ("array", "key"),
    [
        ([[1, 2]], "picture_not_array"),
        (np.zeros((20, 20, 7), np.uint8), "picture_not_array"),
        (np.zeros((20, 20), np.complex64), "picture_not_array"),
        (np.zeros((20, 20), np.int64), "picture_not_array"),
        (np.full((20, 20), np.nan), "picture_values_outside"),
        (np.full((20, 20), 1.5), "picture_values_outside"),
        (np.zeros((4, 4), np.uint8), "picture_too_small"),
        (None, "picture_missing"),
    ],
)
def test_I28_arrays(array, key):
    with pytest.raises(UserError) as caught:
        from_array(array)
    assert caught.value.key == f"errors.{key}"
    sentence(caught.value)


def test_arrays_of_every_kind_agree():
    grey = np.arange(0, 256, dtype=np.uint8).reshape(16, 16)
    expected = from_array(grey)
    twins = [grey.astype(np.uint16) * 257, grey / 255, np.dstack([grey] * 3), np.dstack([*[grey] * 3, grey * 0 + 255])]
    assert {from_array(twin).sha256 for twin in twins} == {expected.sha256}
    assert expected.sha256 == open_picture(encode(grey)).sha256


@pytest.mark.parametrize("nothing", [None, ""])
def test_I30_no_picture(nothing):
    assert refused(nothing).key == "errors.picture_missing"


def test_the_hash_tells_pictures_apart():
    assert from_array(np.zeros((20, 40), np.uint8)).sha256 != from_array(np.zeros((40, 20), np.uint8)).sha256


def test_mpo_of_a_phone_is_one_picture():
    """Phones put a preview or depth map behind the photo: that is no animation."""
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green")]
    picture = open_picture(encode(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    assert picture.notes == ()
