"""Settings inside a PNG: there and back, A1111's text, and files that mean harm."""

import io
import json
import tomllib
import zlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines.runtime.errors import UserError
from pipelines.text_to_image import metadata
from pipelines.text_to_image.metadata import read_a1111, read_png, write_png
from pipelines.text_to_image.settings import Settings

PIXELS = np.random.default_rng(1).integers(0, 256, (16, 24, 3), dtype=np.uint8)
SETTINGS = Settings(
    "一只猫 \U0001f431, \"quoted\" <b>", negative_prompt="blur\n", steps=7, guidance_scale=2.5, sampler="unipc",
    eta=0.25, width=192, height=64, batch=1, seed=2**64 - 1, strength=0.6,
)  # fmt: skip
A1111 = """a red apple, (masterpiece:1.2)
on a table
Negative prompt: blur,
low quality
Steps: 25, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1234567890, Size: 512x768, Model hash: 6ce0161689, \
Model: v1-5-pruned, Denoising strength: 0.45, Lora hashes: "a: 1, b: 2", Version: v1.10.1"""


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(content, zlib.crc32(kind)).to_bytes(4)


def png(*chunks: bytes) -> bytes:
    """A picture with these chunks behind its header."""
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG")
    data = file.getvalue()
    return data[:33] + b"".join(chunks) + data[33:]


def own(told) -> bytes:
    text = told if isinstance(told, str) else json.dumps(told)
    return png(chunk(b"iTXt", b"camera_lucida\0\0\0\0\0" + text.encode()))


def key_of(data: bytes) -> str:
    with pytest.raises(UserError) as caught:
        read_png(data)
    return caught.value.key


def test_there_and_back():
    data = write_png(PIXELS, SETTINGS, "lucida-diffusion")
    found, model_id = read_png(data)
    assert Settings(**found) == Settings(**{**asdict(SETTINGS), "negative_prompt": "blur "})  # as settings.check does
    assert model_id == "lucida-diffusion"
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image), PIXELS)
        told = json.loads(image.text["camera_lucida"])
        assert list(image.text) == ["camera_lucida"]
    assert (told["app"], told["version"]) == ("Camera Lucida", metadata.VERSION)


def test_the_version_is_the_projects():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["version"] == metadata.VERSION


def test_a_compressed_chunk_and_an_older_file_with_fewer_fields_are_read():
    packed = zlib.compress(json.dumps({"settings": {"prompt": "a cat", "later_field": 1}}).encode())
    found, model_id = read_png(png(chunk(b"iTXt", b"camera_lucida\0\1\0\0\0" + packed)))
    assert (found, model_id) == ({"prompt": "a cat"}, None)


def test_a1111_as_far_as_it_maps():
    assert read_a1111(A1111) == {
        "prompt": "a red apple, (masterpiece:1.2)\non a table",
        "negative_prompt": "blur,\nlow quality",
        "steps": 25,
        "guidance_scale": 7.5,
        "sampler": "dpmpp_2m",
        "width": 512,
        "height": 768,
        "seed": 1234567890,
        "strength": 0.45,
    }


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt"])
def test_a1111_inside_a_png(kind):
    text = A1111.encode("latin-1")
    content = b"parameters\0" + (text if kind == b"tEXt" else b"\0" + zlib.compress(text))
    found, model_id = read_png(png(chunk(kind, content)))
    assert found == read_a1111(A1111) and model_id is None


def test_a1111_as_it_writes_it_in_chinese():
    info = PngInfo()
    info.add_itxt("parameters", A1111.replace("a red apple", "一个红苹果"))
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG", pnginfo=info)
    assert read_png(file.getvalue())[0]["prompt"].startswith("一个红苹果")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Steps: 20, Sampler: Euler a, Seed: 5", {"steps": 20, "sampler": "euler_a", "seed": 5}),
        ("Steps: 150, Sampler: DPM++ SDE Karras, CFG scale: 99, Seed: -1, Size: 8x100000", {}),
        ("Steps: 20, CFG scale: 1e9, Seed: 99999999999999999999, Denoising strength: nan", {"steps": 20}),
    ],
)
def test_a1111_leaves_out_what_is_impossible_here(line, found):
    assert read_a1111("cat\n" + line) == {"prompt": "cat", "negative_prompt": "", **found}


def test_our_own_settings_go_before_another_programs():
    data = png(
        chunk(b"tEXt", b"parameters\0" + A1111.encode()),
        chunk(b"iTXt", b'camera_lucida\0\0\0\0\0{"settings": {"prompt": "ours"}}'),
    )
    assert read_png(data)[0] == {"prompt": "ours"}


def test_pictures_without_settings():
    jpeg = io.BytesIO()
    Image.fromarray(PIXELS).save(jpeg, "JPEG")
    assert key_of(png()) == "errors.png_no_settings"
    assert key_of(png(chunk(b"tEXt", b"parameters\0a cat, no last line"))) == "errors.png_no_settings"
    assert key_of(png(chunk(b"tEXt", b"workflow\0{}"))) == "errors.png_no_settings"
    assert key_of(jpeg.getvalue()) == "errors.png_only"
    assert key_of(b"") == "errors.picture_empty"
    assert key_of(b"\x89PNG\r\n\x1a\n" + b"x" * (21 * 1024**2)) == "errors.picture_too_heavy"


def test_damaged_files():
    whole = write_png(PIXELS, SETTINGS, "m")
    for end in (8, 20, 40, 200, len(whole) - 6):
        assert key_of(whole[:end]) == "errors.png_damaged"
    place = whole.index(b"camera_lucida") + 30
    assert key_of(whole[:place] + b"X" + whole[place + 1 :]) == "errors.png_damaged"  # its checksum says so
    assert key_of(png(chunk(b"zTXt", b"parameters\0\0not deflated"))) == "errors.png_damaged"
    assert key_of(png(chunk(b"iTXt", b"camera_lucida\0\0\0\0\0\xff\xfe"))) == "errors.png_damaged"
    assert key_of(png(*[chunk(b"abCd", b"")] * 30_000)) == "errors.png_damaged"


def test_I05_bombs_and_long_texts_are_not_unpacked():
    bomb = zlib.compress(b" " * 50_000_000, 9)
    assert key_of(png(chunk(b"zTXt", b"parameters\0\0" + bomb))) == "errors.png_too_much_text"
    assert key_of(png(chunk(b"iTXt", b"camera_lucida\0\1\0\0\0" + bomb))) == "errors.png_too_much_text"
    assert key_of(png(chunk(b"tEXt", b"parameters\0" + b"x" * 10_000_000))) == "errors.png_too_much_text"
    # one that nobody asks for is not opened
    assert read_png(png(chunk(b"zTXt", b"other\0\0" + bomb), own({"settings": {"steps": 3}})[33:-12]))[0] == {
        "steps": 3
    }


@pytest.mark.parametrize(
    "told",
    [
        *(
            "",
            "[]",
            "null",
            "{",
            '{"settings": 5}',
            '{"settings": {"steps": NaN}}',
            '{"settings": {"seed": ' + "9" * 6000,
        ),
        *("[" * 60_000, '{"settings": {"eta": Infinity}}'),
        {"settings": {"prompt": "x"}, "model": ["a"]},
        {"settings": {"prompt": "x"}, "model": "m" * 1000},
        *({"settings": {"prompt": value}} for value in (None, 5, ["x"], {"a": 1}, "x" * 2001)),
        *({"settings": {"steps": value}} for value in (0, 101, -1, 2.5, True, "20", None, 1e308)),
        *({"settings": {"guidance_scale": value}} for value in (-0.1, 30.1, "7", [7])),
        *({"settings": {"sampler": value}} for value in ("plms", "", None, ["ddim"], {"ddim": 1})),
        *({"settings": {"width": value}} for value in (0, 63, 10**9, "128")),
        *({"settings": {"seed": value}} for value in (-1, 2**64, 0.5, "0")),
        *({"settings": {"batch": value}} for value in (0, 1000, False)),
        *({"settings": {"strength": value}} for value in (-1, 1.5)),
    ],
)
def test_V10_forged_settings_are_refused(told):
    assert key_of(own(told)) == "errors.png_settings_wrong"


def test_texts_are_cleaned_as_typed_ones_are():
    found, _ = read_png(own({"settings": {"prompt": "a\u0000b\ud800</script>"}}))
    assert found["prompt"] == "a b </script>"
