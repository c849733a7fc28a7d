""" "Copy as Python" prints the very bars that the tab shows."""

import contextlib
import io

import pytest

from demos.zero_shot import answer as answers
from demos.zero_shot import examples, snippet
from demos.zero_shot.quarrel import Settings
from demos.zero_shot.question import Question, read
from pipelines.runtime.pictures import open_picture
from tests.conftest import REPO

MODELS = ("lucida-clip", "lucida-siglip")


def printed(code: str, monkeypatch) -> dict[tuple[str, str], float]:
    """{(model, label): bar} of what the code prints when it is run in the repository."""
    monkeypatch.chdir(REPO)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "snippet.py", "exec"), {})
    rows = [line.split("\t") for line in output.getvalue().splitlines()]
    return {(model, label): float(bar) for model, label, bar in rows}


@pytest.mark.snippet
@pytest.mark.parametrize(
    ("question", "settings"),
    [
        (read("cat, dog, 茶壶"), Settings()),
        (read("cat, dog, teapot", "a photo of a {}\nthe {}", "squash"), Settings(temperature=2.0)),
        (read('cat, it\'s a "dog", teapot', "", "10,20,200,220"), Settings(off=(2,))),
    ],
)
def test_the_code_prints_the_bars(question, settings, monkeypatch):
    first = examples.offered()[0]
    code = snippet.python(question, settings, example=first.id, models=MODELS)
    shown = tuple(label for i, label in enumerate(question.labels) if i not in settings.off)
    fewer = Question(shown, question.templates, question.crop, question.box)
    answer = answers.ask(open_picture(first.path).pixels, fewer)
    bars = printed(code, monkeypatch)
    assert len(bars) == 2 * len(shown)
    if settings.temperature == 1:
        for half in (answer.softmax, answer.sigmoid):
            expected = half.softmax if half.objective == "softmax" else half.sigmoid
            for label, bar in zip(shown, expected, strict=True):
                assert bars[half.model_id, label] == pytest.approx(float(bar), abs=2e-4)
    else:
        ranked = sorted(shown, key=lambda label: bars["lucida-clip", label])
        assert ranked == [shown[i] for i in answer.softmax.cosines.argsort()]
        assert sum(bars["lucida-clip", label] for label in shown) == pytest.approx(1, abs=1e-3)


def test_the_code_is_short_and_names_no_upload():
    many = Question(tuple(f"label {k}" for k in range(1000)))
    code = snippet.python(many, Settings(), example="", models=MODELS)
    assert len(code.splitlines()) <= snippet.MOST_LINES
    assert "'picture.jpg'" in code


def test_switching_every_label_off_still_gives_code_that_runs():
    code = snippet.python(Question(("cat",)), Settings(off=(0,)), example="cat", models=MODELS)
    assert "labels = ('cat',)" in code
    compile(code, "snippet.py", "exec")


def test_a_hostile_label_stays_a_text_in_the_code():
    label = "'); import os; os.abort(); ('"
    code = snippet.python(Question((label,)), Settings(), example="cat", models=())
    scope = {}
    exec(next(line for line in code.splitlines() if line.startswith("labels")), scope)
    assert scope["labels"] == (label,)
