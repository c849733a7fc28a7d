"""Settings inside a PNG: written as JSON in an iTXt chunk, read back from there or from A1111's ``parameters``.

What is read comes from outside: only named chunks are opened, within limits, and every value is checked.
"""

import io
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import LIMITS
from pipelines.text_to_image import settings as limits
from pipelines.text_to_image.samplers import SAMPLERS
from pipelines.text_to_image.settings import Settings

KEY = "camera_lucida"
A1111_KEY = "parameters"
APP = "Camera Lucida"
VERSION = "0.1.0"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_TEXT_BYTES = 64 * 1024  # two prompts of 2,000 characters take at most 32 kB as UTF-8
MOST_CHUNKS = 20_000
MOST_MODEL_ID = 200
MOST_SIDE_PX = 4096

# Sampler names of A1111, lower case and without its schedule types, to ours.
A1111_SAMPLERS = {
    "ddim": "ddim",
    "euler": "euler",
    "euler a": "euler_a",
    "heun": "heun",
    "dpm++ 2m": "dpmpp_2m",
    "unipc": "unipc",
    "lcm": "lcm",
}
_A1111_SCHEDULES = re.compile(r" (karras|exponential|automatic|uniform|sgm uniform)$")
_A1111_LAST_LINE = re.compile(r"(?:^|\n)(Steps: \d+, [^\n]*)$")
_A1111_FIELD = re.compile(r'([A-Z][\w /]{0,40}): ("(?:\\.|[^"\\])*"|[^,]*)(?:, |$)')
_A1111_NEGATIVE = "\nNegative prompt: "


def write_png(pixels: np.ndarray, settings: Settings, model_id: str) -> bytes:
    """A picture as PNG with its settings inside.

    Args:
        pixels: (H, W, 3) uint8.
        settings: of this picture alone: batch 1 and its own seed.
        model_id: the catalogue's.

    Returns:
        The file. Chunk iTXt ``camera_lucida``: {"app", "version", "model", "settings": {...}}; no other metadata.
    """
    told = {"app": APP, "version": VERSION, "model": model_id, "settings": asdict(settings)}
    info = PngInfo()
    info.add_itxt(KEY, json.dumps(told, ensure_ascii=False))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def read_png(data: bytes) -> tuple[dict[str, Any], str | None]:
    """The settings that a PNG holds, and the model's id where it is named.

    Only fields that are there and valid whatever the model are given, by their names in ``Settings``: ours must all
    be valid, of A1111's text those are taken that mean the same here. ``settings.check`` comes after this.

    Args:
        data: the whole file, at most 20 MB.

    Raises:
        UserError: ``errors.picture_empty``, ``errors.picture_too_heavy``, ``errors.png_only`` (no PNG),
            ``errors.png_damaged``, ``errors.png_no_settings``, ``errors.png_too_much_text`` (a text above 64 kB),
            ``errors.png_settings_wrong`` (not written by this app, or forged; names the field).
    """
    if not data:
        raise UserError("errors.picture_empty")
    if len(data) > LIMITS.file_bytes:
        size_mb = f"{len(data) / 1024**2:.1f}"
        raise UserError("errors.picture_too_heavy", size_mb=size_mb, limit_mb=LIMITS.file_bytes // 1024**2)
    if not data.startswith(SIGNATURE):
        raise UserError("errors.png_only")
    texts = {}
    for kind, chunk in _chunks(data):
        key, _, rest = chunk.partition(b"\0")
        if key in (KEY.encode(), A1111_KEY.encode()) and key.decode() not in texts:
            texts[key.decode()] = _text(kind, rest)
    if KEY in texts:
        return _read_own(texts[KEY])
    if A1111_KEY in texts:
        return read_a1111(texts[A1111_KEY]), None
    raise UserError("errors.png_no_settings")


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """(kind, content) of the text chunks of a PNG, their checksums compared."""
    place = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        if place + 12 > len(data):
            raise UserError("errors.png_damaged")
        length = int.from_bytes(data[place : place + 4])
        kind, end = data[place + 4 : place + 8], place + 8 + length
        if end + 4 > len(data):
            raise UserError("errors.png_damaged")
        if kind == b"IEND":
            return
        if kind in (b"tEXt", b"iTXt", b"zTXt"):
            content = data[place + 8 : end]
            if zlib.crc32(content, zlib.crc32(kind)) != int.from_bytes(data[end : end + 4]):
                raise UserError("errors.png_damaged")
            yield kind, content
        place = end + 4
    raise UserError("errors.png_damaged")


def _text(kind: bytes, rest: bytes) -> str:
    """The text of a chunk behind its key, at most 64 kB of it, unpacked or not."""
    if kind == b"tEXt":
        return _bounded(rest).decode("latin-1")
    if kind == b"zTXt":
        return _unpack(rest[1:]).decode("latin-1")
    packed, rest = rest[:1] == b"\1", rest[2:]
    _language, _, rest = rest.partition(b"\0")
    _translated, _, rest = rest.partition(b"\0")
    try:
        return (_unpack(rest) if packed else _bounded(rest)).decode()
    except UnicodeDecodeError as error:
        raise UserError("errors.png_damaged") from error


def _bounded(raw: bytes) -> bytes:
    if len(raw) > MOST_TEXT_BYTES:
        raise UserError("errors.png_too_much_text", most_kb=MOST_TEXT_BYTES // 1024)
    return raw


def _unpack(raw: bytes) -> bytes:
    """Inflate no further than the limit: a few bytes can stand for gigabytes."""
    try:
        return _bounded(zlib.decompressobj().decompress(raw, MOST_TEXT_BYTES + 1))
    except zlib.error as error:
        raise UserError("errors.png_damaged") from error


def _read_own(text: str) -> tuple[dict[str, Any], str | None]:
    try:
        told = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # also a number of thousands of digits; brackets thousands deep
        raise UserError("errors.png_settings_wrong", field="JSON") from error
    found = told.get("settings") if isinstance(told, dict) else None
    if not isinstance(found, dict):
        raise UserError("errors.png_settings_wrong", field="settings")
    model_id = told.get("model")
    if model_id is not None and (not isinstance(model_id, str) or len(model_id) > MOST_MODEL_ID):
        raise UserError("errors.png_settings_wrong", field="model")
    return {name: _checked(name, found[name]) for name in CHECKS if name in found}, model_id


def _no_constant(name: str):
    raise ValueError(f"{name} is no number of JSON")


def _checked(name: str, value: Any) -> Any:
    try:
        return CHECKS[name](value)
    except UserError as error:
        raise UserError("errors.png_settings_wrong", field=name) from error


def _sampler(value: Any) -> str:
    if not isinstance(value, str) or value not in SAMPLERS:
        raise UserError("errors.sampler_unknown", sampler=str(value)[:40], choices=", ".join(SAMPLERS))
    return value


# What a field of Settings may be, whatever the model.
CHECKS = {
    "prompt": limits.text,
    "negative_prompt": limits.text,
    "steps": lambda value: limits.whole(value, "steps", limits.LEAST_STEPS, limits.MOST_STEPS),
    "guidance_scale": lambda value: limits.number(value, "guidance_scale", limits.LEAST_GUIDANCE, limits.MOST_GUIDANCE),
    "sampler": _sampler,
    "eta": lambda value: limits.number(value, "eta", 0.0, 1.0),
    "width": lambda value: limits.whole(value, "width", limits.LEAST_PX, MOST_SIDE_PX),
    "height": lambda value: limits.whole(value, "height", limits.LEAST_PX, MOST_SIDE_PX),
    "batch": lambda value: limits.whole(value, "batch", limits.LEAST_BATCH, limits.MOST_BATCH),
    "seed": lambda value: limits.whole(value, "seed", 0, limits.SEEDS - 1),
    "strength": lambda value: limits.number(value, "strength", 0.0, 1.0),
}


def read_a1111(text: str) -> dict[str, Any]:
    """What A1111's text says in our terms: prompt, negative prompt, steps, sampler, guidance, seed, size, strength.

    The same seed gives another picture here: other weights, other noise. Values out of our range are left out.

    text: prompt, perhaps "Negative prompt: ...", then one line "Steps: 20, Sampler: Euler a, CFG scale: 7, ...".

    Raises:
        UserError: ``errors.png_no_settings`` without such a last line.
    """
    text = text.strip().replace("\r\n", "\n")
    last = _A1111_LAST_LINE.search(text)
    if last is None:
        raise UserError("errors.png_no_settings")
    prompt, _, negative = ("\n" + text[: last.start()]).partition(_A1111_NEGATIVE)
    fields = dict(_A1111_FIELD.findall(last[1]))
    width, _, height = fields.get("Size", "").partition("x")
    sampler = _A1111_SCHEDULES.sub("", fields.get("Sampler", "").lower())
    said = {
        "prompt": prompt.strip(),
        "negative_prompt": negative.strip(),
        "steps": _whole(fields.get("Steps")),
        "guidance_scale": _decimal(fields.get("CFG scale")),
        "sampler": A1111_SAMPLERS.get(sampler),
        "width": _whole(width),
        "height": _whole(height),
        "seed": _whole(fields.get("Seed")),
        "strength": _decimal(fields.get("Denoising strength")),
    }
    return {name: value for name, value in said.items() if _is_valid(name, value)}


def _is_valid(name: str, value: Any) -> bool:
    try:
        CHECKS[name](value)
    except UserError:
        return False
    return True


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"\d{1,20}", text, re.ASCII) else None


def _decimal(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(r"\d{1,6}(\.\d{1,12})?", text, re.ASCII) else None
