"""Pictures that visitors really send, and some that nobody should: bytes for the cases of group I.

`photo` is a real picture, so that an answer can be compared with the plain one's.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

PHOTO = Path(__file__).resolve().parents[1] / "assets" / "examples" / "cat.jpg"
ORIENTATION, GPS = 0x0112, 0x8825
TURNED_BACK = {  # the stored picture that each EXIF orientation turns upright
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True)
class Case:
    """One odd picture. outcome: "answer", "refuse", or "either"; says: part of the English sentence or note."""

    name: str
    file: str
    make: Callable[[], bytes]
    outcome: str
    says: str = ""


def photo() -> Image.Image:
    with Image.open(PHOTO) as image:
        return image.convert("RGB")


def saved(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def plain(kind: str = "PNG") -> bytes:
    return saved(photo(), kind)


def cut(kind: str) -> bytes:
    data = plain(kind)
    return data[: len(data) // 2]


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("cat.txt", "a cat")
    return stream.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def one_bit_png(side: int) -> bytes:
    """A white one-bit PNG of side x side, some kilobytes small."""
    squeeze = zlib.compressobj(9)
    row = b"\0" + b"\xff" * ((side + 7) // 8)
    body = b"".join(squeeze.compress(row) for _ in range(side)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def text_bomb(size: int = 128 * 2**20) -> bytes:
    """A good PNG with a text chunk that inflates to `size` bytes."""
    squeeze, block = zlib.compressobj(9), bytes(2**20)
    text = b"".join(squeeze.compress(block) for _ in range(size // len(block))) + squeeze.flush()
    good = plain()
    return good[:33] + png_chunk(b"zTXt", b"comment\0\0" + text) + good[33:]


def grey(bits: int) -> bytes:
    """A ramp: the same picture in 8 and in 16 bits."""
    ramp = np.asarray(photo().convert("L"))
    return saved(Image.fromarray(ramp if bits == 8 else ramp.astype(np.uint16) * 257), "PNG")


def float_tiff(*, broken: bool) -> bytes:
    values = np.asarray(photo().convert("L"), dtype=np.float32) / 255
    if broken:
        values[:2, :2] = np.nan
        values[2:4, :2] = np.inf
    return saved(Image.fromarray(values), "TIFF")


def hidden_colours(colour: tuple[int, int, int]) -> bytes:
    """The photo on the left half; on the right, full transparency over `colour`."""
    image = photo().convert("RGBA")
    image.paste((*colour, 0), (image.width // 2, 0, image.width, image.height))
    return saved(image, "PNG")


def palette_with_transparency() -> bytes:
    return saved(photo().quantize(64), "PNG", transparency=0)


def frames(kind: str) -> bytes:
    image = photo()
    return saved(image, kind, save_all=True, append_images=[image.rotate(90), image.rotate(180)], duration=100)


def pages() -> bytes:
    return saved(photo(), "TIFF", save_all=True, append_images=[photo().rotate(90)])


def turned(orientation: int) -> bytes:
    """The photo stored turned, with the EXIF mark that turns it upright (TIFF, so without loss)."""
    image = photo()
    if (back := TURNED_BACK[orientation]) is not None:
        image = image.transpose(back)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(image, "PNG", exif=exif)


def with_orientation(value: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    return saved(photo(), "JPEG", exif=exif)


def broken_exif() -> bytes:
    return saved(photo(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xffnonsense")


def phone_photo() -> bytes:
    """16 megapixels, lying on its side, with a place in it."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    place = TiffImagePlugin.IFDRational
    exif.get_ifd(GPS).update(
        {1: "N", 2: (place(52), place(31), place(12)), 3: "E", 4: (place(13), place(24), place(0))}
    )
    upright = photo().resize((4640, 3480)).transpose(Image.Transpose.ROTATE_90)
    return saved(upright, "JPEG", quality=80, exif=exif)


def bmp(*, height_sign: int = 1, depth: int = 24, offset: int = 54) -> bytes:
    image = photo()
    rows = np.asarray(image)[:: 1 if height_sign < 0 else -1, :, ::-1]
    rows = np.pad(rows.reshape(image.height, -1), ((0, 0), (0, -image.width * 3 % 4)))
    head = struct.pack("<IiiHHIIiiII", 40, image.width, height_sign * image.height, 1, depth, 0, rows.size, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + rows.size, 0, 0, offset) + head + rows.tobytes()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>window.pwned=1</script><image href="file:///etc/passwd"/></svg>'
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n"
HEIC = struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(64)

CASES = (
    Case("I01_empty_file", "cat.png", lambda: b"", "refuse", "empty"),
    Case("I02_text", "cat.png", lambda: b"The cat sat on the mat.\n" * 20, "refuse"),
    Case("I02_html", "cat.png", lambda: b"<!doctype html><html><body>cat</body></html>", "refuse"),
    Case("I02_zip", "cat.png", zipped, "refuse"),
    Case("I02_svg_named_png", "cat.png", lambda: SVG, "refuse"),
    Case("I02_postscript_named_png", "cat.png", lambda: POSTSCRIPT, "refuse"),
    Case("I03_cut_jpeg", "cat.jpg", lambda: cut("JPEG"), "refuse"),
    Case("I03_cut_png", "cat.png", lambda: cut("PNG"), "refuse"),
    Case("I03_cut_webp", "cat.webp", lambda: cut("WEBP"), "refuse"),
    Case("I04_pixel_bomb_13000", "cat.png", lambda: one_bit_png(13_000), "refuse", "50"),
    Case("I04_pixel_bomb_20000", "cat.png", lambda: one_bit_png(20_000), "refuse"),
    Case("I05_text_bomb", "cat.png", text_bomb, "either"),
    Case("I07_float_tiff", "cat.tiff", lambda: float_tiff(broken=False), "answer"),
    Case("I07_float_tiff_with_nan", "cat.tiff", lambda: float_tiff(broken=True), "either"),
    Case("I08_cmyk_jpeg", "cat.jpg", lambda: saved(photo().convert("CMYK"), "JPEG", quality=95), "answer"),
    Case("I09_palette_with_transparency", "cat.png", palette_with_transparency, "answer"),
    Case("I10_grey_with_alpha", "cat.png", lambda: saved(photo().convert("LA"), "PNG"), "answer"),
    Case("I12_animated_gif", "cat.gif", lambda: frames("GIF"), "answer"),
    Case("I12_animated_webp", "cat.webp", lambda: frames("WEBP"), "answer"),
    Case("I12_animated_png", "cat.png", lambda: frames("PNG"), "answer"),
    Case("I13_pages", "cat.tiff", pages, "answer"),
    Case("I15_broken_exif", "cat.jpg", broken_exif, "answer"),
    Case("I15_orientation_99", "cat.jpg", lambda: with_orientation(99), "answer"),
    Case("I17_one_pixel", "cat.png", lambda: saved(photo().resize((1, 1)), "PNG"), "refuse", "16"),
    Case("I17_a_line", "cat.png", lambda: saved(photo().resize((5000, 1)), "PNG"), "refuse", "16"),
    Case("I17_a_column", "cat.png", lambda: saved(photo().resize((1, 5000)), "PNG"), "refuse", "16"),
    Case("I17_a_strip", "cat.png", lambda: saved(photo().resize((2000, 40)), "PNG"), "refuse", "20"),
    Case("I18_phone_photo", "IMG_0001.JPG", phone_photo, "answer"),
    Case("I19_avif", "cat.avif", lambda: plain("AVIF"), "answer"),
    Case("I19_heic", "IMG_0002.HEIC", lambda: HEIC, "refuse", "JPEG"),
    Case("I20_svg", "cat.svg", lambda: SVG, "refuse"),
    Case("I21_pdf", "cat.pdf", lambda: PDF, "refuse"),
    Case("I22_ico", "cat.ico", lambda: saved(photo().resize((64, 64)), "ICO"), "either"),
    Case("I23_bmp_top_down", "cat.bmp", lambda: bmp(height_sign=-1), "answer"),
    Case("I23_bmp_wrong_depth", "cat.bmp", lambda: bmp(depth=99), "refuse"),
    Case("I23_bmp_offset_outside", "cat.bmp", lambda: bmp(offset=2**31), "refuse"),
)

NAMES = (
    "../../etc/passwd.png",
    "..\\..\\windows\\cat.png",
    "猫のしゃしん 🐈.png",
    "c" * 300 + ".png",
    "con.png",
    "<img src=x onerror=alert(1)>.png",
    ".hidden.png",
    "no_ending",
)

SERVER_PATHS = ("/etc/passwd", "app.py", "/dev/zero", "/etc", "assets/examples/../../app.py", "assets/examples/bee.jpg")
ADDRESSES = (
    "http://127.0.0.1:{port}/cat.png",
    "http://localhost:{port}/cat.png",
    "http://169.254.169.254/latest/meta-data",
    "file:///etc/passwd",
)
