"""Sentences around a label (arXiv 2103.00020, section 3.1.4). classify.compare_templates shows what they change."""

import unicodedata

from pipelines.runtime.errors import UserError
from pipelines.zero_shot.labels import BARE, SLOT

MOST_TEMPLATES = 100
MOST_CHARACTERS = 200

TEMPLATES = {
    "en": (
        "a photo of a {}",
        "a photo of the {}",
        "a close-up photo of a {}",
        "a photo of a small {}",
        "a photo of a large {}",
        "a picture of a {}",
        "a drawing of a {}",
    ),
    "zh": (
        "一张{}的照片",
        "一张{}的特写照片",
        "照片里有{}",
        "一张小{}的照片",
        "一张大{}的照片",
        "这是{}",
        "一幅{}的画",
    ),
}


def parse_templates(text: str) -> tuple[str, ...]:
    """Read templates, one a line; empty lines and repeated ones are left out. No line at all is the bare label.

    Raises:
        UserError: ``errors.templates_many`` (limit 100), and as ``check_template``.
    """
    lines = [line for line in str(text)[: 2 * MOST_TEMPLATES * MOST_CHARACTERS].splitlines() if line.strip()]
    if len(lines) > MOST_TEMPLATES:
        raise UserError("errors.templates_many", count=len(lines), most=MOST_TEMPLATES)
    return tuple(dict.fromkeys(map(check_template, lines))) or (BARE,)


def check_template(text: str) -> str:
    """Clean and check a template.

    Only one ``{}`` counts, which the label takes; every other sign, braces too, stands for itself.

    Raises:
        UserError: ``errors.template_slot`` for none or several ``{}``, ``errors.template_long``.
    """
    if not isinstance(text, str):
        raise UserError("errors.template_slot", count=0)
    text = "".join(sign for sign in text if unicodedata.category(sign) not in ("Cc", "Cs"))
    text = unicodedata.normalize("NFC", text).strip()
    if len(text) > MOST_CHARACTERS:
        raise UserError("errors.template_long", length=len(text), most=MOST_CHARACTERS)
    if text.count(SLOT) != 1:
        raise UserError("errors.template_slot", count=text.count(SLOT))
    return text
