import pytest

from pipelines.runtime.errors import UserError
from pipelines.zero_shot.labels import clean_label, fill, parse_labels, read_names, taught


def values(text):
    return parse_labels(text).values


def note_keys(text):
    return [note.key for note in parse_labels(text).notes]


@pytest.mark.parametrize(
    "separator", [",", "，", "、", "；", ";", "\n", "\r\n", "\r", "\u2028", "\u2029", "\x85", ",,\n，"]
)
def test_separators_of_both_languages(separator):
    assert values(f"cat{separator} 狗 {separator}red  car") == ("cat", "狗", "red car")


@pytest.mark.parametrize(
    "text", ["", "   ", ",,，、;\n", "\u200b", "\u200b,\u2060,\u3164", "\x00\x07", "\ufe0f", "\ud800"]
)
def test_nothing_visible_is_refused(text):
    with pytest.raises(UserError) as error:
        parse_labels(text)
    assert error.value.key == "errors.labels_none"


@pytest.mark.parametrize("value", [None, 3, ["cat"], b"cat", True])
def test_other_types_are_refused(value):
    with pytest.raises(UserError) as error:
        parse_labels(value)
    assert error.value.key == "errors.labels_not_text"


def test_control_characters_and_lone_surrogates_are_removed():
    assert values("c\x00a\x1bt, d\ud83do\tg") == ("cat", "do g")


def test_text_stays_text():
    odd = (
        "<img src=x onerror=alert(1)>",
        "$(rm -rf /)",
        "{0.__class__}",
        "[a](http://b)",
        "' OR 1=1 --",
        "👩‍👩‍👧",
        "שלום",
    )
    assert values("\n".join(odd)) == odd


def test_accents_are_composed():
    assert values("cafe\u0301, caf\u00e9") == ("caf\u00e9",)


def test_other_case_is_merged_into_the_first_and_said():
    assert values("Cat, dog, CAT, Straße, STRASSE") == ("Cat", "dog", "Straße")
    assert note_keys("Cat, dog, CAT") == ["errors.note_labels_merged"]
    assert parse_labels("a, A, a, b").notes[0].values == {"count": 2}


def test_one_label_gets_a_note():
    assert note_keys("cat") == ["errors.note_one_label"]
    assert note_keys("cat, dog") == []


def test_a_thousand_labels_are_the_limit():
    assert len(values(",".join(map(str, range(1000))))) == 1000
    with pytest.raises(UserError) as error:
        parse_labels(",".join(map(str, range(1001))))
    assert (error.value.key, error.value.values) == ("errors.labels_many", {"count": 1001, "most": 1000})


def test_a_hundred_characters_are_the_limit():
    assert values("x" * 100) == ("x" * 100,)
    with pytest.raises(UserError) as error:
        parse_labels("cat, " + "x" * 101)
    assert error.value.key == "errors.label_long" and error.value.values["length"] == 101


def test_ten_megabytes_are_refused_before_they_are_split(monkeypatch):
    monkeypatch.setattr("pipelines.zero_shot.labels._SEPARATORS", None)  # splitting would fail
    with pytest.raises(UserError) as error:
        parse_labels("x" * 10_000_000)
    assert error.value.key == "errors.labels_text_long"


def test_the_largest_allowed_list_is_taken():
    labels = [f"{number:0100d}" for number in range(1000)]
    assert values("\r\n".join(labels)) == tuple(labels)


@pytest.mark.parametrize(
    ("template", "expected"),
    [("a {}", "a c{}t"), ("{}", "c{}t"), ("{{}}", "{c{}t}"), ("%s {0} {}!", "%s {0} c{}t!")],
)
def test_only_one_slot_counts_and_all_else_is_literal(template, expected):
    assert fill(template, "c{}t") == expected


def test_taught_knows_both_languages_and_any_case(tmp_path):
    file = tmp_path / "names.tsv"
    file.write_text(
        "en\tzh\ttaught\nTabby cat\t虎斑猫\timagenet\ncat\t猫\tpictures\ncat\t\tcaptions\n", encoding="utf-8"
    )
    names = read_names(file)
    assert names == {"tabby cat": "imagenet", "虎斑猫": "imagenet", "cat": "pictures", "猫": "pictures"}


def test_an_unknown_kind_of_teaching_is_found(tmp_path):
    file = tmp_path / "names.tsv"
    file.write_text("en\tzh\ttaught\ncat\t猫\trumour\n", encoding="utf-8")
    with pytest.raises(ValueError, match="rumour"):
        read_names(file)


def test_a_label_that_is_in_no_list_was_never_taught(monkeypatch):
    monkeypatch.setattr("pipelines.zero_shot.labels.read_names", lambda: {"cat": "pictures"})
    assert (taught("CAT"), taught("zyzzogeton")) == ("pictures", "never")


def test_clean_label_joins_spaces():
    assert clean_label("  a\t b\u3000c ") == "a b c"
