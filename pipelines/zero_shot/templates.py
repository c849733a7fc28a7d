"""Sentences around a label, their ensemble, and what they change (arXiv 2103.00020, section 3.1.4)."""

import unicodedata

from pipelines.runtime.errors import UserError

SLOT = "{}"
BARE = SLOT
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


def fill(template: str, label: str) -> str:
    """Put the label at the template's ``{}``; braces in the label stay as they are."""
    before, after = template.split(SLOT, 1)
    return before + label + after
