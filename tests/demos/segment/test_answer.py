"""Marks are answered as the library would answer them one by one, and nothing is computed twice."""

import numpy as np
import pytest

from demos.segment import answer as answers
from demos.segment import parts, wanted
from pipelines.runtime.errors import UserError
from pipelines.segment import marks as plain_marks
from pipelines.segment import prompt
from tests.demos.segment.sessions_of import box, on_stage, picture_file, point, wanted_of


@pytest.fixture
def calls(monkeypatch):
    """How often the decoder runs."""
    made = []
    real = prompt.predict
    monkeypatch.setattr(prompt, "predict", lambda *args, **kwargs: made.append(args[2]) or real(*args, **kwargs))
    return made


@pytest.fixture
def embedding(tiny, tmp_path):
    from pipelines.runtime.pictures import open_picture

    return prompt.encode(tiny, open_picture(picture_file(tmp_path)).pixels)


def by_hand(model, embedding, *steps, token=None):
    """Each step's marks with the mask before, called one after the other."""
    previous = None
    for points, frame in steps:
        masks = prompt.predict(model, embedding, plain_marks.read(points, frame, previous=previous))
        previous = masks.as_prompt(masks.best if token is None else token)
    return masks


def test_each_mark_gets_the_mask_before_as_a_prompt(tiny, embedding):
    solved = answers.solve(tiny, embedding, wanted_of(point(9, 9), box(2, 2, 40, 30), point(50, 9, 0)), chained=True)
    first, second = [(9, 9, 1)], [(9, 9, 1), (50, 9, 0)]
    frame = (2, 2, 40, 30)
    same = by_hand(tiny, embedding, (first, None), (first, frame), (second, frame))
    assert np.array_equal(solved.masks.logits, same.logits)


def test_without_the_mask_before_all_marks_go_in_at_once(tiny, embedding):
    solved = answers.solve(tiny, embedding, wanted_of(point(9, 9), point(50, 9, 0)), chained=False)
    assert np.array_equal(solved.masks.logits, by_hand(tiny, embedding, ([(9, 9, 1), (50, 9, 0)], None)).logits)


def test_a_further_mark_costs_one_call_and_another_token_none(tiny, embedding, calls):
    one, two = wanted_of(point(9, 9)), wanted_of(point(9, 9), point(50, 9))
    known = answers.solve(tiny, embedding, one, chained=True)
    known = answers.solve(tiny, embedding, two, chained=True, known=known)
    assert len(calls) == 2
    other = answers.solve(tiny, embedding, wanted_of(point(9, 9), point(50, 9), token=0), chained=True, known=known)
    assert len(calls) == 2 and other.masks is known.masks and other.steps[-1].token == 0
    back = answers.solve(tiny, embedding, one, chained=True, known=other)
    assert len(calls) == 3 and np.array_equal(back.masks.logits, by_hand(tiny, embedding, ([(9, 9, 1)], None)).logits)


def test_the_next_mark_continues_from_the_token_that_was_chosen(tiny, embedding):
    known = answers.solve(tiny, embedding, wanted_of(point(9, 9), token=3), chained=True)
    solved = answers.solve(tiny, embedding, wanted_of(point(9, 9), point(50, 9), token=3), chained=True, known=known)
    same = by_hand(tiny, embedding, ([(9, 9, 1)], None), ([(9, 9, 1), (50, 9, 1)], None), token=3)
    assert np.array_equal(solved.masks.logits, same.logits)


def test_a_negative_first_mark_waits_for_one_that_belongs(tiny, embedding):
    solved = answers.solve(tiny, embedding, wanted_of(point(3, 3, 0), point(9, 9)), chained=True)
    assert solved.steps[0] is None
    assert np.array_equal(solved.masks.logits, by_hand(tiny, embedding, ([(3, 3, 0), (9, 9, 1)], None)).logits)


@pytest.mark.parametrize("chained", [True, False])
def test_the_calls_of_the_snippet_give_the_same_mask(tiny, embedding, chained):
    one = wanted_of(point(3, 3, 0), point(9, 9), box(2, 2, 40, 30), token=2)
    solved = answers.solve(tiny, embedding, one, chained=chained)
    previous = None
    for call in answers.calls_of(solved):
        masks = prompt.predict(tiny, embedding, plain_marks.read(call.points, call.box, previous=previous))
        previous = masks.as_prompt(call.token)
    assert np.array_equal(masks.logits, solved.masks.logits)


def ask(stage, visitor, *, chained=True):
    shown = answers.pictured(stage, visitor)
    height, width = shown.full_size
    objects, active = wanted.read(stage.value, width, height, clamp=True)
    if parts.encoded(shown, parts.BUNDLED, visitor) is None:
        parts.encode(shown, parts.BUNDLED, visitor)
    return answers.answer(shown, objects, active, model_id=parts.BUNDLED, chained=chained, request=visitor)


def test_only_the_object_that_changed_is_answered(tiny, tmp_path, visitors, calls):
    path, cup = picture_file(tmp_path), {"id": 1, "marks": [point(9, 9)], "name": "cup"}
    ask(on_stage(path, cup), visitors[0])
    made = ask(on_stage(path, cup, {"id": 2, "marks": [point(40, 20)]}, active=1), visitors[0])
    assert len(calls) == 2 and [layer.number for layer in made.layers] == [1, 2]
    assert made.layer is made.layers[1] and made.layers[0].name == "cup"
    renamed = ask(on_stage(path, {**cup, "name": "mug"}), visitors[0])
    assert len(calls) == 2 and renamed.layers[0].name == "mug"
    assert made.ms > 0 and renamed.ms == 0


def test_G04_an_object_that_cannot_be_answered_does_not_stop_the_others(tiny, tmp_path, visitors):
    path = picture_file(tmp_path)
    made = ask(on_stage(path, {"id": 1, "marks": [point(3, 3, 0)]}, {"id": 2, "marks": [point(9, 9)]}), visitors[0])
    assert made.refused[0].key == "errors.mark_negative"
    assert made.layers[0].masks is None and made.layers[1].masks is not None


def test_S01_two_visitors_each_have_their_own_picture(tiny, tmp_path, visitors):
    stages = [on_stage(picture_file(tmp_path, seed=n), {"id": 1, "marks": [point(9, 9)]}) for n in (1, 2)]
    first, second = (ask(stage, visitor) for stage, visitor in zip(stages, visitors, strict=True))
    again = ask(stages[0], visitors[0])
    assert not np.array_equal(first.layer.masks.logits, second.layer.masks.logits)
    assert np.array_equal(first.layer.masks.logits, again.layer.masks.logits)
    assert again.picture.sha256 == first.picture.sha256 != second.picture.sha256


def test_G08_an_old_embedding_never_answers_for_a_new_picture(tiny, tmp_path, visitors):
    ask(on_stage(picture_file(tmp_path, seed=1), {"id": 1, "marks": [point(9, 9)]}), visitors[0])
    new = answers.pictured(on_stage(picture_file(tmp_path, seed=2)), visitors[0])
    assert parts.encoded(new, parts.BUNDLED, visitors[0]) is None
    with pytest.raises(UserError, match=r"segment\.gone"):
        answers.answer(new, (), 0, model_id=parts.BUNDLED, chained=True, request=visitors[0])


def test_a_panel_reads_the_answer_that_is_shown_and_no_other(tiny, tmp_path, visitors):
    shared = parts.Shared(None, None, None, None, None)
    made = ask(on_stage(picture_file(tmp_path), {"id": 1, "marks": [point(9, 9)]}), visitors[0])
    assert parts.masks(made.name, shared, visitors[0]) is made.layer.masks
    assert parts.embedding(made.name, shared, visitors[0]) is made.embedding
    for name, visitor in (("older", visitors[0]), (made.name, visitors[1])):
        with pytest.raises(UserError, match=r"segment\.gone"):
            parts.masks(name, shared, visitor)
    with pytest.raises(UserError, match="picture_missing"):
        parts.masks("", shared, visitors[0])
