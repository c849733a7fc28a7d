"""Settings out of an address, which anybody may have written."""

import pytest

from demos.shell import links
from demos.shell.links import Link, parse


def test_settings_come_decoded_and_the_first_of_a_name_counts():
    link = parse("?tab=zero_shot&labels=cat%2C%20%E7%8C%AB&labels=dog&empty=")
    assert link == {"tab": "zero_shot", "labels": "cat, 猫"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5", 0.5), ("-0.0", 0.0), ("1e1", 10.0), ("0", 0.0), ("10", 10.0)],
)
def test_a_number_inside_its_limits_is_taken(text, value):
    link = Link({"t": text})
    assert links.number(link, "t", 3.0, 0.0, 10.0) == value
    assert link.ignored == []


@pytest.mark.parametrize(
    "text", ["NaN", "inf", "-inf", "1e999", "1e308", "10.01", "-1", "x", "", "0x1", "１２３", "[]"]
)
def test_any_other_number_is_left_out_and_named(text):
    link = Link({"t": text})
    assert links.number(link, "t", 3.0, 0.0, 10.0) == 3.0
    assert link.ignored == ["t"]


@pytest.mark.parametrize("text", ["1.0", "1e3", "--1", "-", "", "9" * 5000, "٣", str(2**64)])
def test_an_integer_is_digits_only(text):
    link = Link({"seed": text})
    assert links.integer(link, "seed", 7, -5, 2**63) == 7
    assert link.ignored == ["seed"]


def test_large_integers_stay_exact():
    assert links.integer(Link({"seed": str(2**53 + 1)}), "seed", 0, 0, 2**63) == 2**53 + 1
    assert links.integer(Link({"seed": "-5"}), "seed", 0, -5, 5) == -5


def test_a_choice_is_one_of_those_offered():
    link = Link({"level": "numbers", "model": "../../etc/passwd"})
    assert links.choice(link, "level", "picture", ("picture", "numbers")) == "numbers"
    assert links.choice(link, "model", "clip", ("clip", "siglip")) == "clip"
    assert link.ignored == ["model"]


def test_a_text_has_a_limit_and_no_control_characters():
    link = Link({"labels": "cat\r\ndog\n猫 👨\u200d👩\u200d👧", "long": "x" * 11, "nul": "a\x00b", "right": "a\u202eb"})
    assert links.text(link, "labels", "", longest=100) == "cat\ndog\n猫 👨\u200d👩\u200d👧"
    assert [links.text(link, name, "-", longest=10) for name in ("long", "nul", "right")] == ["-"] * 3
    assert link.ignored == ["long", "nul", "right"]


def test_a_missing_setting_is_no_fault():
    link = Link()
    assert (links.number(link, "a", 1, 0, 2), links.integer(link, "b", 1, 0, 2)) == (1, 1)
    assert (links.choice(link, "c", "x", "xy"), links.text(link, "d", "z")) == ("x", "z")
    assert link.ignored == []


@pytest.mark.parametrize(
    "query", ["", "?", "???", "?a=%ff", "?=1", "&&&", "?" + "&".join(f"a{i}=1" for i in range(500))]
)
def test_any_address_can_be_read(query):
    assert isinstance(parse(query), Link)


def test_a_value_that_is_too_long_is_left_out_and_named():
    link = parse("?a=1&b=" + "x" * (links.MAX_VALUE + 1))
    assert link == {"a": "1"}
    assert link.ignored == ["b"]
