"""All texts that the zero-shot training uses: names of photographs, drawings and ImageNet classes, captions, words."""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from training.packs import DRAWING_PACKS, PHOTO_PACKS, coco_id, held_out_coco_ids, rows_of

IMAGENET_NAMES = Path(__file__).with_name("imagenet_names.tsv")
LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Concept:
    """A thing with its names by language, the label first. ``kind``: photo | imagenet | drawing."""

    kind: str
    en: tuple[str, ...]
    zh: tuple[str, ...]

    def names(self, language: str) -> tuple[str, ...]:
        """Names in one language; the other language's where there are none."""
        return (self.en if language == "en" else self.zh) or self.en or self.zh


@dataclass
class _Merging:
    en: dict[str, None] = field(default_factory=dict)
    zh: dict[str, None] = field(default_factory=dict)


def concepts_of(data: Path, packs: Iterable[str], kind: str) -> list[Concept]:
    """The named things of some packs, merged by their English label, in alphabetical order."""
    merged: dict[str, _Merging] = {}
    for pack in packs:
        for row in rows_of(data / f"{pack}.zip"):
            if row.names["en"] and not (kind == "drawing" and row.split == "val"):
                entry = merged.setdefault(row.names["en"][0], _Merging())
                entry.en.update(dict.fromkeys(row.names["en"]))
                entry.zh.update(dict.fromkeys(row.names["zh"]))
    return [Concept(kind, tuple(entry.en), tuple(entry.zh)) for _, entry in sorted(merged.items())]


def imagenet_concepts(path: Path = IMAGENET_NAMES) -> list[Concept]:
    """The 1,000 ImageNet classes in the order of the classifier's rows."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = sorted(csv.DictReader(file, delimiter="\t"), key=lambda line: int(line["index"]))
    return [
        Concept(
            "imagenet",
            (line["en"], *_parts(line["en_synonyms"])),
            (line["zh"], *_parts(line["zh_synonyms"])),
        )
        for line in lines
    ]


def _parts(cell: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (cell or "").split(";") if part.strip())


def captions_of(data: Path) -> list[str]:
    """Every caption of a training picture, and the drawings' style phrases."""
    held_out = held_out_coco_ids(data)
    rows = [row for row in rows_of(data / "photos_coco_captions.zip") if row.split == "train"]
    rows = [row for row in rows if coco_id(row.source) not in held_out]
    texts = [text for row in rows for language in LANGUAGES for text in row.captions[language]]
    styles = json.loads((data / "drawings_styles.json").read_text(encoding="utf-8"))
    return texts + [phrase for style in styles.values() for phrase in _strings(style)]


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [text for part in (value.values() if isinstance(value, dict) else value) for text in _strings(part)]


def tags_of(data: Path) -> list[str]:
    """The drawings' keywords in both languages, each once."""
    from training.packs import read_index

    tags: dict[str, None] = {}
    for pack in DRAWING_PACKS:
        for line in read_index(data / f"{pack}.zip"):
            if line["split"] != "val":
                tags.update(dict.fromkeys([*line.get("tags", ()), *line.get("tags_zh", ())]))
    return list(tags)


def common_words(count: int) -> list[str]:
    """``count`` frequent words of each language, for the text teacher only: no picture goes with them.

    From the pip packages wordfreq (English) and jieba (Chinese nouns).
    """
    import jieba
    from wordfreq import top_n_list

    english = [word for word in top_n_list("en", 2 * count) if word.isalpha() and len(word) > 2]
    dictionary = Path(jieba.__file__).with_name("dict.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in dictionary.splitlines()]
    nouns = [(int(times), word) for word, times, tag in lines if tag == "n" and 1 <= len(word) <= 4]
    return english[:count] + [word for _, word in sorted(nouns, reverse=True)[:count]]


def all_concepts(data: Path) -> dict[str, list[Concept]]:
    """Concepts by kind."""
    return {
        "photo": concepts_of(data, PHOTO_PACKS, "photo"),
        "imagenet": imagenet_concepts(),
        "drawing": concepts_of(data, DRAWING_PACKS, "drawing"),
    }
