"""What a file that is no readable picture seems to be, told by its first bytes."""

from pipelines.runtime.errors import UserError

# Formats that the door reads: a file that begins like one of them and cannot be read is damaged.
READABLE = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "BigTIFF"),
)
OTHERS = (
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"),
    (b"PK\x05\x06", "ZIP"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\x1f\x8b", "GZIP"),
    (b"Rar!", "RAR"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x1aE\xdf\xa3", "WebM / Matroska"),
    (b"ID3", "MP3"),
    (b"OggS", "Ogg"),
    (b"SIMPLE  =", "FITS"),
    (b"MZ", "EXE"),
    (b"\x7fELF", "ELF"),
    (b"\x80\x02", "pickle"),
    (b"\x80\x04", "pickle"),
)
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")


def refusal(data: bytes) -> UserError:
    """The sentence for bytes that could not be read as a picture."""
    kind, readable = kind_of(data)
    if readable:
        return UserError("errors.picture_damaged", kind=kind)
    if kind in ("HEIC", "SVG", "PDF"):
        return UserError(f"errors.picture_{kind.lower()}")
    if kind:
        return UserError("errors.picture_other_kind", kind=kind)
    return UserError("errors.picture_is_text" if _is_text(data) else "errors.picture_unknown")


def kind_of(data: bytes) -> tuple[str, bool]:
    """Name of the format ("" when unknown), and whether the door reads that format."""
    for magic, name in READABLE:
        if data.startswith(magic):
            return name, True
    if data[:4] == b"RIFF":
        form = data[8:12]
        return ("WebP", True) if form == b"WEBP" else ({b"WAVE": "WAV", b"AVI ": "AVI"}.get(form, "RIFF"), False)
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        if brand in AVIF_BRANDS:
            return "AVIF", True
        return ("HEIC" if brand in HEIC_BRANDS else "MP4 / MOV"), False
    for magic, name in OTHERS:
        if data.startswith(magic):
            return name, False
    return _markup(data), False


def _markup(data: bytes) -> str:
    head = data[:2048].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head.startswith(b"<"):
        return ""
    if b"<svg" in head:
        return "SVG"
    return "HTML" if b"<html" in head or b"<!doctype html" in head or b"<body" in head else "XML"


def _is_text(data: bytes) -> bool:
    """Whether the first 4 KB are UTF-8 or UTF-16 text without control characters."""
    head = data[:4096]
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    text = head.decode(encoding, errors="ignore")
    lost = len(head) - len(text.encode(encoding, errors="ignore"))
    return bool(text) and lost <= 4 and all(letter.isprintable() or letter in "\r\n\t\f\ufeff" for letter in text)
