"""The run as the time machine shows it: frames in sheets, stored and read again, made of a real run."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from demos.shell.arrays import unpack
from demos.text_to_image import reel


def frames(n, height=16, width=24):
    """Frame i is grey of its own level."""
    return np.stack([np.full((height, width, 3), 10 * i % 256, np.uint8) for i in range(n)])


def made_up(n=5, pictures=2, *, guided=True) -> reel.Reel:
    several = np.stack([frames(n), 255 - frames(n)][:pictures])
    maps = np.arange(pictures * n * 4, dtype=np.float32).reshape(pictures, n, 2, 2)
    return reel.Reel(
        x_t=several, x0=255 - several, guidance=maps if guided else None, sigma=np.geomspace(100, 0.1, n),
        timesteps=np.linspace(999, 0, n), fixed=np.linspace(0, 1, n),
    )  # fmt: skip


def frame_of(strip: dict, folder, i: int) -> np.ndarray:
    """Frame i, cut out of its sheet as the page does."""
    paper = np.asarray(Image.open(folder / strip["file"]))
    x, y = i % strip["columns"] * strip["width"], i // strip["columns"] * strip["height"]
    return paper[y : y + strip["height"], x : x + strip["width"]]


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_every_frame_is_found_in_its_sheet(tmp_path, n):
    said = reel.write(made_up(n), tmp_path)
    for b, picture in enumerate(said["pictures"]):
        for i in range(n):
            np.testing.assert_array_equal(frame_of(picture["x_t"], tmp_path, i), made_up(n).x_t[b, i])


def test_a_long_run_gets_smaller_frames_of_the_same_shape(monkeypatch):
    monkeypatch.setattr(reel, "SHEET_PX", 100_000)
    small = reel.fitted(frames(100, 64, 128))
    assert small.shape[1] * small.shape[2] * 100 <= 100_000
    assert small.shape[2] == pytest.approx(2 * small.shape[1], abs=1)
    assert small[7].mean() == 70


def test_the_guidance_of_each_step_fills_its_own_scale():
    maps = np.array([[[0, 1e-5], [5e-6, 1e-5]], [[0, 3], [0, 1.5]]], np.float32)
    said = reel.scaled(maps)
    assert unpack(said["map"]).tolist() == [[[0, 255], [128, 255]], [[0, 255], [0, 128]]]
    assert said["most"] == pytest.approx([1e-5, 3]) and said["mean"] == pytest.approx([6.25e-6, 1.125])
    assert unpack(reel.scaled(np.zeros((1, 2, 2)))["map"]).max() == 0


def test_a_stored_reel_reads_as_it_was_written(tmp_path):
    reel.save(made_up(), tmp_path)
    value = reel.stored(tmp_path, tmp_path / "cache")
    assert value["n"] == 5 and value["at"] == 2  # half is fixed at the third step
    assert value["sigma"] == pytest.approx(made_up().sigma, rel=1e-5)
    strip = value["pictures"][1]["x0"]
    assert strip["file"]["path"].startswith(str(tmp_path / "cache")) and strip["file"]["meta"]
    assert len(value["sigma_curve"]["x"]) == 5 and "<svg" in value["fixed_curve"]["svg"]
    json.dumps(value)  # it goes to the page as it is
    assert reel.stored(tmp_path / "nowhere", tmp_path) is None


def test_private_sheets_have_names_that_nobody_can_guess(tmp_path):
    names = {reel.private(made_up(), tmp_path)["pictures"][0]["x0"]["file"] for _ in range(2)}
    assert len(names) == 2 and all(len(name) > 20 for name in names)


def test_a_session_keeps_its_newest_sheets_and_nothing_else_is_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(reel, "MOST_SHEETS", 4)
    (tmp_path / "picture.png").write_bytes(b"x")
    first, second = ({strip["file"] for one in reel.private(made_up(), tmp_path)["pictures"]
                      for strip in (one["x_t"], one["x0"])} for _ in range(2))  # fmt: skip
    for name in first:
        os.utime(tmp_path / name, (1, 1))
    reel.tidy(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"picture.png", *second}


def test_the_reel_of_a_real_run(run, tiny_model):
    turns = []

    def on_device(function, *args):
        turns.append(function)
        return function(*args)

    made = reel.of(tiny_model, run, on_device)
    assert made.x_t.shape == made.x0.shape == (2, 4, 64, 64, 3)
    assert made.guidance.shape == (2, 4, 8, 8)
    assert made.fixed[0] == 0 and made.timesteps[0] > made.timesteps[-1] and made.sigma[0] > made.sigma[-1]
    step = run.steps[2]
    expected = (step.eps_cond - step.eps_uncond).abs().mean(dim=1)[1].numpy()
    np.testing.assert_allclose(made.guidance[1, 2], expected, rtol=1e-5)
    assert len(turns) == 8  # a turn of the device for each frame, so that others get between
    # the last prediction of DDIM is the picture itself
    assert np.abs(made.x0[:, -1].astype(int) - run.pictures).max() <= 1


def test_a_run_without_guidance_has_no_map(tmp_path):
    assert reel.write(made_up(guided=False), tmp_path)["pictures"][0]["guidance"] is None
