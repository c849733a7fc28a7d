"""The example pictures are there, in the order asked for, with title and credit in both languages."""

import pytest

from demos.shell import examples


def test_every_example_is_a_file_with_title_and_credit():
    for name, item in examples.table().items():
        (one,) = examples.offered([name])
        assert one.id == name and one.path.is_file()
        assert set(one.name) == {"en", "zh"} and item["credit"]["en"] in one.name["en"]


def test_they_come_in_the_order_asked_for():
    assert [one.id for one in examples.offered(["coffee", "cat"])] == ["coffee", "cat"]


def test_one_that_is_not_there_is_a_bug():
    with pytest.raises(KeyError):
        examples.offered(["nobody"])
