"""The examples of the tab are there, the first with marks that lie on it."""

from demos.segment import examples, wanted


def test_every_example_is_there_in_both_languages():
    for example in examples.offered():
        assert example.path.is_file() and set(example.name) == {"en", "zh"}
        assert example.masks is None or example.masks.is_file()
    assert any(example.masks for example in examples.offered())


def test_the_first_one_opens_with_marks_on_the_picture():
    first = examples.offered()[0]
    objects, _ = wanted.read(examples.MARKS, *examples.size(first))
    assert not objects[0].empty
    assert examples.find(first.id) is first and examples.find("../cat") is None
