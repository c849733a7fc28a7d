"""From what was typed to labels: separators of both languages, limits, duplicates; and which ones were ever taught."""

import csv
import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.runtime.errors import Note, UserError

SLOT = "{}"  # where a template takes the label
BARE = SLOT  # the template that adds nothing

MOST_LABELS = 1_000
MOST_CHARACTERS = 100
# 1,000 labels of 100 characters with their separators; checked before anything is split.
MOST_TEXT = MOST_LABELS * (MOST_CHARACTERS + 2)

NAMES_FILE = Path(__file__).resolve().parents[2] / "assets" / "models" / "zero_shot" / "names.tsv"
TAUGHT = ("pictures", "imagenet", "drawings", "captions")  # the strongest kind of teaching first
NEVER = "never"

_SEPARATORS = re.compile("[,，、；;\r\n\v\f\x85\u2028\u2029]")
# Letters and signs by Unicode's categories that nevertheless show nothing.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")


@dataclass(frozen=True)
class Labels:
    """values: cleaned labels, each once, in the order typed. notes: what was changed or should be known."""

    values: tuple[str, ...]
    notes: tuple[Note, ...] = ()


def parse_labels(text: str) -> Labels:
    """Split a typed list into labels.

    Separators: comma, Chinese comma, enumeration comma, semicolons and line ends. Control characters and lone
    surrogates are removed, text is brought to NFC, spaces are joined, labels of invisible signs alone are dropped,
    and labels that differ in case only are merged into the first.

    Args:
        text: up to 1,000 labels of up to 100 characters.

    Returns:
        Labels with the notes ``errors.note_labels_merged`` (count) and ``errors.note_one_label``.

    Raises:
        UserError: ``errors.labels_not_text``, ``errors.labels_none``, ``errors.labels_text_long``,
            ``errors.labels_many``, ``errors.label_long``.
    """
    if not isinstance(text, str):
        raise UserError("errors.labels_not_text")
    if len(text) > MOST_TEXT:
        raise UserError("errors.labels_text_long", length=len(text), most=MOST_TEXT)
    cleaned = [label for label in map(clean_label, _SEPARATORS.split(text)) if label]
    if not cleaned:
        raise UserError("errors.labels_none")
    if len(cleaned) > MOST_LABELS:
        raise UserError("errors.labels_many", count=len(cleaned), most=MOST_LABELS)
    for label in cleaned:
        if len(label) > MOST_CHARACTERS:
            raise UserError("errors.label_long", start=label[:20], length=len(label), most=MOST_CHARACTERS)
    first_of: dict[str, str] = {}
    for label in cleaned:
        first_of.setdefault(label.casefold(), label)
    values = tuple(first_of.values())
    notes = []
    if len(values) < len(cleaned):
        notes.append(Note("errors.note_labels_merged", {"count": len(cleaned) - len(values)}))
    if len(values) == 1:
        notes.append(Note("errors.note_one_label"))
    return Labels(values, tuple(notes))


def clean_label(text: str) -> str:
    """Remove what cannot be shown, join spaces, compose accents (NFC); "" where nothing visible is left."""
    text = text.replace("\t", " ")
    text = "".join(sign for sign in text if unicodedata.category(sign) not in ("Cc", "Cs"))
    text = " ".join(unicodedata.normalize("NFC", text).split())
    return text if any(map(_is_visible, text)) else ""


def fill(template: str, label: str) -> str:
    """Put the label at the template's ``{}``; every other sign stays as it is, braces in the label too."""
    before, after = template.split(SLOT, 1)
    return before + label + after


def _is_visible(sign: str) -> bool:
    return sign not in _BLANK and unicodedata.category(sign)[0] not in "ZCM"


def taught(label: str) -> str:
    """How the bundled models met this name in training, in either language, whatever its case.

    Returns:
        "pictures" (photographs of it), "imagenet" (one of the classifier's 1,000 names), "drawings", "captions", or
        "never": then an answer is zero-shot in the strict sense.
    """
    return read_names().get(label.casefold(), NEVER)


@cache
def read_names(path: Path = NAMES_FILE) -> dict[str, str]:
    """Read the taught names: case-folded name in English or Chinese -> how it was taught, the strongest kind.

    Raises:
        ValueError: a kind that is not one of TAUGHT.
    """
    names: dict[str, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            kind = row["taught"]
            if kind not in TAUGHT:
                raise ValueError(f"{path.name}: {kind!r} is none of {TAUGHT}")
            for name in filter(None, (clean_label(row["en"]).casefold(), clean_label(row["zh"]).casefold())):
                names[name] = min(kind, names.get(name, kind), key=TAUGHT.index)
    return names
