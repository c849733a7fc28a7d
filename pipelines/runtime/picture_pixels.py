"""From whatever a decoder gives (16 bits, floats, palettes, alpha, CMYK, colour profiles) to upright 8-bit sRGB."""

import io
from functools import cache

import numpy as np
from PIL import Image, ImageCms

from pipelines.runtime.errors import Note, UserError

GROUND = (255, 255, 255)  # transparent pixels lie on white
MOST_PROFILE_BYTES = 4 * 1024 * 1024
ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def to_srgb(image: Image.Image) -> tuple[np.ndarray, tuple[Note, ...]]:
    """Turn a decoded image into (H, W, 3) uint8 sRGB pixels, upright, and say what was lost.

    Raises UserError for a mode that has no meaning in sRGB.
    """
    notes: list[Note] = []
    orientation = _orientation(image)
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):
        image = Image.fromarray(_high_byte(np.asarray(image)))
    elif image.mode in ("I", "F"):
        image, notes = _scale_by_range(np.asarray(image))
    image, alpha = _split_alpha(image)
    image, profile_note = _convert_colours(image, profile)
    if alpha is not None:
        image = Image.composite(image, Image.new("RGB", image.size, GROUND), alpha)
        notes.append(Note("errors.note_transparent"))
    if orientation in UPRIGHT:
        image = image.transpose(UPRIGHT[orientation])
    return np.ascontiguousarray(image, dtype=np.uint8), (*notes, *profile_note)


def array_to_srgb(array: np.ndarray) -> np.ndarray:
    """(H, W), (H, W, 3) or (H, W, 4) of bool, uint8, uint16 or floats in 0..1 -> (H, W, 3) uint8.

    Raises UserError for other types, values that are not finite, or values outside 0..1.
    """
    if array.dtype == np.uint16:
        array = _high_byte(array)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
            raise UserError("errors.picture_values_outside")
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise UserError("errors.picture_not_array")
    image, alpha = _split_alpha(Image.fromarray(np.ascontiguousarray(array)))
    image = image.convert("RGB")
    if alpha is not None:
        image = Image.composite(image, Image.new("RGB", image.size, GROUND), alpha)
    return np.ascontiguousarray(image, dtype=np.uint8)


def fitted_size(height: int, width: int, longest: int) -> tuple[int, int]:
    """(h, w) of a picture whose longer side is brought down to ``longest``; a smaller one stays as it is."""
    if max(height, width) <= longest:
        return height, width
    scale = longest / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def fitted(pixels: np.ndarray, longest: int) -> np.ndarray:
    """A picture (H, W, 3) uint8 with its longer side at most ``longest``; the same array when it is small enough."""
    height, width = fitted_size(*pixels.shape[:2], longest)
    if (height, width) == pixels.shape[:2]:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS, reducing_gap=1.5))


def _high_byte(values: np.ndarray) -> np.ndarray:
    """0..65535 -> 0..255 so that the 16-bit copy v * 257 of an 8-bit picture gives v again."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _scale_by_range(values: np.ndarray) -> tuple[Image.Image, list[Note]]:
    """Scale floats or 32-bit integers so that their finite range fills 0..255; what is not finite becomes black."""
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        raise UserError("errors.picture_no_values")
    low, high = float(values[finite].min()), float(values[finite].max())
    scaled = np.zeros(values.shape)
    # Halves first: high - low of two numbers near the largest float would overflow.
    span = high / 2 - low / 2
    if span > 0:
        scaled[finite] = np.clip((values[finite] / 2 - low / 2) / span * 255, 0, 255)
    notes = [Note("errors.note_scaled", {"low": f"{low:.4g}", "high": f"{high:.4g}"})]
    if not finite.all():
        notes.append(Note("errors.note_not_finite", {"count": int((~finite).sum())}))
    return Image.fromarray(np.rint(scaled).astype(np.uint8)), notes


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Colour and alpha apart; alpha is None where everything is opaque."""
    if image.mode in ("RGBa", "La"):
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.mode == "PA" or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == "P":
        image = image.convert("RGB")
    if image.mode not in ("RGBA", "LA"):
        return image, None
    alpha = image.getchannel("A")
    colour = image.convert("RGB" if image.mode == "RGBA" else "L")
    return colour, None if alpha.getextrema()[0] == 255 else alpha


def _convert_colours(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[Note, ...]]:
    """Through the colour profile that came with the picture, else by the mode alone."""
    note: tuple[Note, ...] = ()
    if profile and image.mode in ("RGB", "L", "CMYK"):
        try:
            if len(profile) > MOST_PROFILE_BYTES:
                raise ValueError("colour profile too large")
            return _through_profile(image, profile), ()
        except (ImageCms.PyCMSError, OSError, ValueError):
            note = (Note("errors.note_profile_ignored"),)
    try:
        return image.convert("RGB"), note
    except ValueError as error:
        raise UserError("errors.picture_mode", mode=image.mode) from error


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(image, source, _srgb_profile(), outputMode="RGB")
    if converted is None:
        raise ValueError("colour profile gave no picture")
    return converted


@cache
def _srgb_profile():
    return ImageCms.createProfile("sRGB")


def _orientation(image: Image.Image) -> int:
    """EXIF orientation 1..8; 1 where EXIF is absent, broken or out of range."""
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:
        # Broken EXIF is no reason to refuse a picture, and its reader raises nearly any class.
        return 1
    return orientation if orientation in UPRIGHT else 1
