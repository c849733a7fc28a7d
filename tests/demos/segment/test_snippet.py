"""The lines of "Copy as Python" run, and cut out what the tab shows."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from demos.segment import answer as answers
from demos.segment import downloads, examples, parts, snippet
from pipelines.runtime.pictures import open_picture
from pipelines.segment import prompt
from tests.conftest import REPO
from tests.demos.segment.sessions_of import box, point


def solved(*marks, chained: bool, **given):
    """An object on the first example, answered by the bundled model; and its layer."""
    from demos.segment import wanted

    model, first = parts.load(parts.BUNDLED), examples.offered()[0]
    (one,), _ = wanted.read({"objects": [{"id": 1, "marks": list(marks), **given}]}, *examples.size(first))
    made = answers.solve(model, prompt.encode(model, open_picture(first.path).pixels), one, chained=chained)
    return made, answers.layer_of(one, 0, made.masks)


@pytest.mark.snippet
@pytest.mark.parametrize("chained", [True, False])
def test_it_prints_the_numbers_and_saves_the_cut_out_of_the_tab(chained, tmp_path, monkeypatch):
    made, layer = solved(point(200, 150), box(20, 10, 430, 290), point(5, 5, 0), chained=chained, threshold=0.5)
    path = f"assets/examples/{examples.offered()[0].path.name}"
    code = snippet.python(answers.calls_of(made), parts.BUNDLED, path=path, threshold=0.5)
    (tmp_path / "assets").symlink_to(REPO / "assets")
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "snippet", "exec"), {})
    mask = downloads.mask_of(layer)
    assert f"predicted IoU {layer.masks.iou[layer.token]:.4f}" in printed.getvalue()
    assert f"{mask.sum()} pixels" in printed.getvalue()
    assert np.array_equal(np.asarray(Image.open("cut_out.png"))[..., 3] > 0, mask)


def test_it_is_short_and_its_marks_cannot_run_code():
    calls = [snippet.Call(((1, 2, 1),), (0.0, 0.0, 5.5, 9.0), 2)] * 5
    code = snippet.python(calls, "a'b\\", path="x'); import os; ('")
    assert code.count("\n") <= snippet.MOST_LINES
    compile(code, "snippet", "exec")
    assert "'); import os" not in code.replace("\"x'); import os; ('\"", "")


def test_before_the_first_mark_it_is_still_a_program():
    compile(snippet.python((), parts.BUNDLED, path="picture.jpg"), "snippet", "exec")
