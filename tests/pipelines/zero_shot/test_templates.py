import numpy as np
import pytest

from pipelines.runtime.errors import UserError
from pipelines.zero_shot.classify import classify, compare_templates, encode_picture
from pipelines.zero_shot.templates import TEMPLATES, check_template, parse_templates


@pytest.mark.parametrize("text", ["", "a photo", "{0}", "{0.__class__}", "%s", "{ }", "{} and {}", None])
def test_a_template_needs_its_slot_once(text):
    with pytest.raises(UserError) as error:
        check_template(text)
    assert error.value.key == "errors.template_slot"


@pytest.mark.parametrize("text", ["{}", "a {}", "{{}}", "{0.__class__} {}", "%s {}", "{{7*7}} {}"])
def test_other_braces_are_literal(text):
    assert check_template(f"  {text}\x00 ") == text


def test_a_long_template_is_refused():
    with pytest.raises(UserError) as error:
        check_template("x" * 199 + "{}")
    assert error.value.key == "errors.template_long"


def test_templates_are_read_line_by_line():
    assert parse_templates("a {}\n\n 一张{}的照片 \na {}\n") == ("a {}", "一张{}的照片")
    assert parse_templates("\n") == ("{}",)
    with pytest.raises(UserError) as error:
        parse_templates("{}\n" * 101)
    assert error.value.key == "errors.templates_many"


def test_shipped_templates_are_good_and_as_many_in_both_languages():
    for templates in TEMPLATES.values():
        assert [check_template(template) for template in templates] == list(templates)
    assert len(TEMPLATES["en"]) == len(TEMPLATES["zh"]) == 7


def test_the_lab_shows_each_template_and_the_ensemble(tiny_siglip, picture):
    templates, labels = ("{}", "a photo of a {}", "a {} on the moon"), ("cat", "dog", "tree")
    lab = compare_templates(tiny_siglip, encode_picture(tiny_siglip, picture), labels, templates=templates)
    assert lab.softmax.shape == lab.sigmoid.shape == lab.cosines.shape == (4, 3)
    alone = classify(tiny_siglip, picture, labels, templates=templates[1:2])
    together = classify(tiny_siglip, picture, labels, templates=templates)
    assert lab.softmax[1] == pytest.approx(alone.softmax, abs=1e-6)
    assert lab.softmax[3] == pytest.approx(together.softmax, abs=1e-6)
    assert np.ptp(lab.softmax[:, 0]) > 0
