"""Break it: words typed onto a picture, beside random letters and a blank patch of the same size.

Networks that learnt to read can be fooled by a written word (Goh et al., "Multimodal neurons in artificial neural
networks", distill.pub 2021, "typographic attacks"). Three patches of one size tell the word from the covering.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipelines.runtime.errors import UserError
from pipelines.zero_shot.labels import clean_label

FONT = Path(__file__).resolve().parents[2] / "assets" / "fonts" / "NotoSansSC-Bold-subset.otf"
KINDS = ("words", "letters", "blank")
POSITIONS = ("top", "center", "bottom")
MOST_CHARACTERS = 40
INK, PAPER = (20, 20, 20), (250, 250, 250)
# Frequent Chinese characters that make no word in random order.
_CHINESE = (
    "的一是在有和这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学"
)
_LATIN = "abcdefghijklmnopqrstuvwxyz"
_MEASURING_PX = 100


def write_on(
    pixels: np.ndarray,
    text: str,
    *,
    kind: str = "words",
    position: str = "bottom",
    size: float = 0.8,
    seed: int = 0,
) -> np.ndarray:
    """Stick a paper with words onto a picture.

    Args:
        pixels: (H, W, 3) uint8, RGB; is not changed.
        text: up to 40 characters of one line.
        kind: "words" writes the text; "letters" as many random letters of its script; "blank" leaves the paper
            empty. The paper has the same place and size for the three.
        position: "top", "center" or "bottom" of the picture's middle square, which a centre crop keeps.
        size: width of the paper as a share of that square's side, 0.1 to 1; a short text's paper is narrower, so
            that its height stays below a third of the side.
        seed: draws the random letters.

    Returns:
        (H, W, 3) uint8.

    Raises:
        UserError: ``errors.overlay_empty``, ``errors.overlay_long``, ``errors.overlay_character`` naming a character
            that the font cannot draw, ``errors.overlay_choice``.
    """
    text = _checked(text, kind=kind, position=position, size=size)
    height, width = pixels.shape[:2]
    side = min(height, width)
    font, (paper_w, paper_h) = _fit(text, most_w=size * side, most_h=side / 3)
    left = round((width - paper_w) / 2)
    room = side - paper_h
    top = round((height - side) / 2 + room * {"top": 0.06, "center": 0.5, "bottom": 0.94}[position])
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((left, top, left + paper_w - 1, top + paper_h - 1), fill=PAPER)
    if kind != "blank":
        written = text if kind == "words" else random_letters(text, seed=seed)
        if kind == "letters":
            font, _ = _fit(written, most_w=paper_w, most_h=paper_h)
        draw.text((left + paper_w / 2, top + paper_h / 2), written, fill=INK, font=font, anchor="mm")
    return np.asarray(picture)


def random_letters(text: str, *, seed: int) -> str:
    """As many letters as the text has, spaces kept: Chinese where it is Chinese, else Latin; never the text itself."""
    generator = np.random.default_rng(seed)
    pools = [_CHINESE if ord(sign) > 0x2E80 else _LATIN for sign in text]
    while True:
        drawn = "".join(
            sign if sign == " " else pool[generator.integers(len(pool))] for sign, pool in zip(text, pools, strict=True)
        )
        if drawn != text:
            return drawn


def _checked(text: str, *, kind: str, position: str, size: float) -> str:
    if kind not in KINDS or position not in POSITIONS or not 0.1 <= size <= 1:
        raise UserError("errors.overlay_choice", kinds=", ".join(KINDS), positions=", ".join(POSITIONS))
    text = clean_label(text) if isinstance(text, str) else ""
    if not text:
        raise UserError("errors.overlay_empty")
    if len(text) > MOST_CHARACTERS:
        raise UserError("errors.overlay_long", length=len(text), most=MOST_CHARACTERS)
    for sign in text:
        if not can_draw(sign):
            raise UserError("errors.overlay_character", character=sign)
    return text


def _fit(text: str, *, most_w: float, most_h: float) -> tuple[ImageFont.FreeTypeFont, tuple[int, int]]:
    """The font with which the text and a margin fit, and the paper's width and height in pixels."""
    length = _font(_MEASURING_PX).getlength(text) / _MEASURING_PX  # in units of the font's size
    margin, line = 0.5, 1.4
    font_px = max(1, int(min(most_w / (length + margin), most_h / line)))
    return _font(font_px), (max(1, round((length + margin) * font_px)), max(1, round(line * font_px)))


def _font(size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONT, size_px, layout_engine=ImageFont.Layout.BASIC)


def can_draw(sign: str) -> bool:
    """True for what the subset font holds: Latin, and the signs and Chinese characters of GB 2312 (subset.py)."""
    if 0x20 <= ord(sign) < 0x7F or 0xA0 <= ord(sign) < 0x100:
        return True
    try:
        code = sign.encode("gb2312")
    except UnicodeEncodeError:
        return False
    row = code[0] - 0xA0
    return len(code) == 2 and (1 <= row <= 3 or 16 <= row <= 87)
