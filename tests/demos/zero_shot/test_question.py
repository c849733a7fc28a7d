"""What a visitor may ask: each bad text is refused by its own sentence, before a picture or a model is touched."""

import re

import pytest

from demos.shell import words
from demos.zero_shot import question
from pipelines.runtime.errors import UserError


def refusal(call, *args) -> str:
    """The key of the refusal; its sentence must exist in both languages and take the error's values."""
    with pytest.raises(UserError) as refused:
        call(*args)
    for lang in words.LANGUAGES:
        assert not re.search(r"\{\w+\}", words.say(refused.value.key, lang, **refused.value.values))
    return refused.value.key


def test_separators_of_both_languages_and_the_bare_template():
    asked = question.read("cat，dog、fox\nowl;猫")
    assert asked.labels == ("cat", "dog", "fox", "owl", "猫")
    assert asked.templates == ("{}",)
    assert (asked.crop, asked.box, asked.model) == ("own", None, "")


def test_templates_one_a_line_each_once():
    assert question.read_templates("a {}\n\n  \nthe {}\r\na {}") == ("a {}", "the {}")
    assert question.read_templates(" \n ") == ("{}",)


def test_only_our_place_counts_in_a_template():
    assert question.read_templates("{} {0.__class__} %s {{7*7}}") == ("{} {0.__class__} %s {{7*7}}",)


@pytest.mark.parametrize("text", ["a cat", "{} and {}", "{ }", None, 3, ["{}"]])
def test_a_template_without_exactly_one_place_is_refused(text):
    assert refusal(question.read_templates, text) == "errors.template_slot"


def test_too_many_templates_and_too_many_texts():
    many = "\n".join(f"{k} {{}}" for k in range(question.MOST_TEMPLATES + 1))
    assert refusal(question.read_templates, many) == "zero_shot.too_many_templates"
    labels = ",".join(f"label {k}" for k in range(1000))
    few = "\n".join(f"{k} {{}}" for k in range(5))
    assert refusal(question.read, labels, few) == "zero_shot.too_many_texts"
    assert len(question.read(labels).labels) == 1000


def test_crops_and_boxes():
    assert question.read_crop("squash") == ("squash", None)
    assert question.read_crop("10, 20,30.5,4e1") == ("box", (10.0, 20.0, 30.5, 40.0))


@pytest.mark.parametrize("text", ["", "corner", "1,2,3", "1,2,3,nan", "1,2,3,1e999", "1,2,3,4,5", None, 7, "9" * 5000])
def test_a_crop_that_is_none_is_refused(text):
    assert refusal(question.read_crop, text) == "errors.crop_unknown"


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        ("", "errors.labels_none"),
        (" , ，\n、;", "errors.labels_none"),
        ("\u200b,\u3164", "errors.labels_none"),
        (",".join(f"l{k}" for k in range(1001)), "errors.labels_many"),
        ("a" * 101, "errors.label_long"),
        ("a" * 10_000_000, "errors.labels_text_long"),
        (None, "errors.labels_not_text"),
        (["cat"], "errors.labels_not_text"),
    ],
)
def test_labels_that_cannot_be_used(labels, key):
    assert refusal(question.read, labels) == key


def test_a_label_must_be_one_of_the_list():
    assert question.place(("cat", "dog"), "dog") == 1
    for name in ("fox", None, 3, ["cat"]):
        assert refusal(question.place, ("cat", "dog"), name) == "zero_shot.label_unknown"


def test_a_model_must_be_named_by_a_text():
    assert refusal(question.read, "cat", "", "own", 5) == "errors.model_unknown"
