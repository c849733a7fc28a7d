"""A run as the page gets it: frames, files, history; cancelling; what is refused before a model works."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from demos.shell import models
from demos.shell.components import door
from demos.text_to_image import asked as asking
from demos.text_to_image import history, make_panel, parts, restore
from pipelines.runtime.errors import UserError
from pipelines.runtime.pictures import open_picture
from pipelines.text_to_image.metadata import read_png
from tests.demos.text_to_image.laid_out import laid_out

FIELDS = {"prompt": "a red apple", "steps": 3, "width": 64, "height": 64, "seed": "7", "sampler": "euler_a"}


@pytest.fixture(scope="module")
def tab():
    return laid_out()


@pytest.fixture
def model(tiny_model, monkeypatch):
    """The tiny model under the bundled one's name."""
    named = dataclasses.replace(tiny_model, id="lucida-diffusion")
    monkeypatch.setattr(parts, "load", lambda model_id: named)
    return named


@pytest.fixture
def press(tab, model, request_of):
    """press(visitor, **fields) -> the updates of a run."""
    visitors = {}

    def go(visitor: str = "one", *, start=None, mask=None, **fields):
        request = visitors.setdefault(visitor, request_of(visitor))
        values = {**asking.START, **FIELDS, **fields}
        handler = make_panel.generator(tab.asked, tab.panel)
        return handler(*(values[name] for name in asking.NAMES), "", start, mask, "en", request)

    go.of = lambda visitor="one": visitors[visitor]
    return go


def files(update, panel) -> list[bytes]:
    """The PNGs that an update's pictures name."""
    import re
    import urllib.parse
    from pathlib import Path

    found = re.findall(r'src="gradio_api/file=([^"]+)"', update[panel.pictures])
    return [Path(urllib.parse.unquote(name)).read_bytes() for name in found]


def test_every_step_is_shown_and_the_pictures_hold_their_settings(tab, press):
    updates = list(press(batch=2))
    films = [update[tab.panel.film] for update in updates if tab.panel.film in update]
    assert [film["i"] + k for film in films for k in range(len(film["frames"]))] == [0, 1, 2]
    assert all(len(frame) == 2 for film in films for frame in film["frames"])
    last = updates[-1]
    pngs = files(last, tab.panel)
    assert [read_png(png)[0]["seed"] for png in pngs] == [7, 8]
    assert read_png(pngs[0])[0]["batch"] == 1 and read_png(pngs[0])[1] == "lucida-diffusion"
    kept = parts.current(press.of()).pictures
    assert all((np.asarray(Image.open(io.BytesIO(png))) == one).all() for png, one in zip(pngs, kept, strict=True))
    assert last[tab.panel.status] == "" and last[tab.asked.seed] == "7"


def test_the_same_settings_give_the_same_file_and_visitors_keep_their_own(tab, press):
    one, other = list(press("one"))[-1], list(press("other"))[-1]
    assert files(one, tab.panel) == files(other, tab.panel)
    list(press("one", seed="9"))
    assert parts.current(press.of("other")).settings.seed == 7
    with pytest.raises(UserError, match="history_gone"):
        history.find(press.of("other"), one[tab.panel.finished])


def test_a_drawn_seed_is_shown_so_that_it_draws_the_picture_again(tab, press):
    first = list(press(seed="-1"))[-1]
    assert files(list(press(seed=first[tab.asked.seed]))[-1], tab.panel) == files(first, tab.panel)


def test_closing_stops_within_a_step(tab, press, model, monkeypatch):
    calls, forward = [], model.pipeline.unet.forward
    monkeypatch.setattr(model.pipeline.unet, "forward", lambda *a, **k: calls.append(1) or forward(*a, **k))
    run = press(steps=50)
    while tab.panel.film not in next(run):
        pass
    run.close()
    assert 0 < len(calls) <= 2
    with pytest.raises(UserError, match="run_first"):
        parts.current(press.of())
    turns = models.runtime().turns
    with turns.turn(models.runtime().placement.device):  # nobody holds the device any more
        pass


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"prompt": "x" * 10_000_000}, "errors.prompt_long"),
        ({"prompt": ["cat"]}, "errors.prompt_not_text"),
        ({"negative_prompt": None}, "errors.prompt_not_text"),
        ({"seed": "many"}, "text_to_image.seed_digits"),
    ],
)
def test_bad_texts_are_refused_before_a_model_is_loaded(tab, press, fields, key, monkeypatch):
    monkeypatch.setattr(parts, "load", lambda model_id: pytest.fail("loaded a model"))
    with pytest.raises(UserError) as refused:
        list(press(**fields))
    assert refused.value.key == key


@pytest.mark.parametrize(
    "fields",
    [{"steps": 0}, {"steps": 10**9}, {"guidance_scale": float("nan")}, {"batch": 1000}, {"width": 10**6},
     {"seed": str(2**64)}, {"sampler": "../x"}, {"eta": float("inf")}, {"height": None}],
)  # fmt: skip
def test_values_outside_are_refused_and_the_line_of_the_run_goes(tab, press, fields):
    run, updates = press(**fields), []
    with pytest.raises(UserError):
        updates.extend(run)
    assert list(press())[-1][tab.panel.status] == ""  # and the next press works


def picture(colour=(200, 30, 30), size=(90, 120)):
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    stream.seek(0)
    return stream


def test_strokes_are_painted_anew_and_the_rest_stays_to_the_pixel(tab, press, tmp_path):
    path = tmp_path / "start.png"
    path.write_bytes(picture(size=(64, 64)).getvalue())
    start = open_picture(path)
    stroke = [{"kind": "brush", "radius": 8.0, "path": [[20.0, 20.0]]}]
    update = list(press(start=(start, stroke), strength=1.0))[-1]
    drawn = np.asarray(Image.open(io.BytesIO(files(update, tab.panel)[0])))
    changed = (drawn != start.pixels).any(axis=-1)
    assert changed.any() and not changed[40:].any() and not changed[:, 40:].any()
    whole = list(press(start=(start, []), strength=0.5))[-1]
    assert (np.asarray(Image.open(io.BytesIO(files(whole, tab.panel)[0]))) != start.pixels).any(axis=-1).mean() > 0.9
    assert parts.current(press.of()).start is not None


def test_a_mask_picture_does_what_strokes_do(tab, press, tmp_path):
    path, white = tmp_path / "start.png", np.zeros((64, 64, 3), np.uint8)
    path.write_bytes(picture(size=(64, 64)).getvalue())
    white[:16] = 255
    start = open_picture(path)
    update = list(press(start=(start, []), mask=dataclasses.replace(start, pixels=white), strength=1.0))[-1]
    drawn = np.asarray(Image.open(io.BytesIO(files(update, tab.panel)[0])))
    assert (drawn[:16] != start.pixels[:16]).any() and (drawn[16:] == start.pixels[16:]).all()


def test_the_history_brings_a_run_back_and_stays_bounded(tab, press, monkeypatch):
    monkeypatch.setattr(history, "MOST", 2)
    names = [list(press(seed=str(seed)))[-1][tab.panel.finished] for seed in (1, 2, 3)]
    request = press.of()
    assert [run.name for run in history.runs(request)] == [names[2], names[1]]
    with pytest.raises(UserError, match="history_gone"):
        history.find(request, names[0])
    folder = history.find(request, names[1]).folder.parent
    assert not (folder / names[0]).exists()
    back = restore._from_history(tab.asked, tab.panel)(names[1], "en", request)
    assert back[tab.asked.seed] == "2" and back[tab.asked.prompt] == "a red apple"
    assert len(back[tab.panel.film]["frames"]) == 3
    assert parts.current(request).settings.seed == 2
    with zipfile.ZipFile(history.packed(request)) as archive:
        assert [read_png(archive.read(name))[0]["seed"] for name in archive.namelist()] == [2, 3]


def test_a_png_puts_its_settings_back_and_nothing_else(tab, press, request_of):
    png = files(list(press(seed="11"))[-1], tab.panel)[0]
    back = restore._from_png(tab.asked, tab.panel)(png, "en", request_of())
    assert back[tab.asked.seed] == "11" and back[tab.asked.sampler] == "euler_a"
    assert back[tab.asked.model] == "lucida-diffusion" and "a red apple" in back[tab.panel.status]
    with pytest.raises(UserError, match="png_no_settings"):
        restore._from_png(tab.asked, tab.panel)(picture().getvalue(), "en", request_of())


def test_pictures_of_a_batch_stand_two_in_a_row():
    pictures = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((3, 4, 6, 3), np.uint8)
    sheet = make_panel.tiled(pictures)
    assert sheet.shape == (8, 12, 3) and (sheet[4:, 6:] == 255).all() and (sheet[:4, 6:] == 1).all()
    assert door.encoded(sheet, longest=1024)[1] == "image/png"
