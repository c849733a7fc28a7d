"""The word lists the training reads: 1,000 class names in two languages and the bank of everyday words."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest
from timm.data import ImageNetInfo

ROOT = Path(__file__).resolve().parents[2]
NAMES = ROOT / "training" / "imagenet_names.tsv"
BANK = ROOT / "assets" / "models" / "zero_shot" / "bank.tsv"
CJK = re.compile("[\u4e00-\u9fff]")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def synonyms(row: dict[str, str], language: str) -> list[str]:
    cell = row[f"{language}_synonyms"]
    return cell.split(";") if cell else []


def spoken(row: dict[str, str], language: str) -> list[str]:
    return [row[language], *synonyms(row, language)]


def words(text: str) -> set[str]:
    return set(re.findall("[a-z]+", text.lower()))


def repeated(values) -> list[str]:
    return [value for value, count in Counter(value.casefold() for value in values).items() if count > 1]


def test_one_row_for_each_class_in_order():
    assert [row["index"] for row in read(NAMES)] == [str(index) for index in range(1000)]


def test_rows_stand_in_the_order_of_the_classes():
    info = ImageNetInfo()
    rows = read(NAMES)
    strangers = [
        row["en"]
        for index, row in enumerate(rows)
        if not words(info.index_to_description(index)) & words(" ".join(spoken(row, "en")))
    ]
    assert len(strangers) <= 0.05 * len(rows), strangers


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_word_names_one_class_only(language):
    assert repeated(word for row in read(NAMES) for word in spoken(row, language)) == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_at_most_three_synonyms(language):
    assert [row["index"] for row in read(NAMES) if len(synonyms(row, language)) > 3] == []


def test_bank_holds_about_a_thousand_words():
    assert 900 <= len(read(BANK)) <= 1100


@pytest.mark.parametrize("language", ["en", "zh"])
def test_bank_repeats_no_word(language):
    assert repeated(row[language] for row in read(BANK)) == []


def test_bank_is_lower_case():
    assert [row["en"] for row in read(BANK) if row["en"] != row["en"].lower()] == []


@pytest.mark.parametrize("path", [NAMES, BANK], ids=["names", "bank"])
def test_each_language_stands_in_its_own_column(path):
    for row in read(path):
        chinese = spoken(row, "zh") if "zh_synonyms" in row else [row["zh"]]
        english = spoken(row, "en") if "en_synonyms" in row else [row["en"]]
        assert all(CJK.search(word) for word in chinese), row
        assert all(word and not CJK.search(word) for word in english), row


@pytest.mark.parametrize("path", [NAMES, BANK], ids=["names", "bank"])
def test_no_word_carries_stray_blanks(path):
    for row in read(path):
        words_in_row = [word for cell in row.values() for word in cell.split(";")]
        assert words_in_row == [word.strip() for word in words_in_row], row
