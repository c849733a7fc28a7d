import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from segment_anything import SamPredictor

from pipelines.runtime.device import CPU
from pipelines.segment.models import SamConfig, create_sam, load_folder
from pipelines.segment.prompt import encode
from training import evaluate_segment, measure_everything, measure_segment, segment_outside
from training.measure_everything import Grid, agreement, pairwise_iou
from training.measure_segment import click_along, measure_object
from training.segment import save_model

TINY = SamConfig(image_size=64, width=16, depth=2, heads=2, window=4, global_blocks=(1,), out_channels=16)


@pytest.fixture(scope="module")
def outside(tmp_path_factory) -> Path:
    """The pack of traced photographs."""
    folder = tmp_path_factory.mktemp("outside")
    segment_outside.main(["--out", str(folder)])
    return folder / "outside_photos.zip"


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A pack of three pictures of 60 x 90 px: a block, half of which is a part of it, on noise."""
    rng, lines = np.random.default_rng(0), []
    for number in range(3):
        pixels = rng.integers(0, 120, (60, 90, 3), dtype=np.uint8)
        whole, part = np.zeros((2, 60, 90), bool)
        whole[10:40, 20 : 60 + number], part[10:40, 20:40] = True, True
        pixels[whole] += 120
        objects = [{"label": None, "mask": mask, "part_of": of} for mask, of in ((whole, None), (part, 0))]
        lines.append(segment_outside.line_of(str(number), pixels, objects, source="coco"))
    path = tmp_path_factory.mktemp("small") / "masks_objects.zip"
    segment_outside.write_pack(path, lines)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run's folder with a model of random weights."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    save_model(create_sam(TINY), TINY, folder / "model")
    return folder


@pytest.fixture(scope="module")
def model(run):
    return load_folder("model", run / "model", placement=CPU)


# Clicks


def test_the_figures_are_those_of_the_evaluation_with_the_librarys_predictor(model, small):
    for picture in evaluate_segment.open_pack(small, "all"):
        predictor = SamPredictor(model.module)
        predictor.set_image(picture.pixels)
        expected = evaluate_segment.measure(predictor, picture.mask(0) > 0, clicks=4, pixels=picture.pixels)
        found = measure_object(model, encode(model, picture.pixels), picture, 0, clicks=4)
        assert found["clicks"] == pytest.approx(expected.clicks)
        assert (found["box"][0], found["grabcut_box"][0]) == pytest.approx((expected.box, expected.grabcut))
        assert found["iou_error"][0] == pytest.approx(np.mean(expected.errors), abs=1e-6)
        assert (found["clicks_oracle"] >= found["clicks"]).all()


def test_the_rule_of_the_single_token_differs_after_the_first_click_only(model, small):
    picture = next(evaluate_segment.open_pack(small, "all"))
    first, second = click_along(model, encode(model, picture.pixels), picture.mask(0) > 0, 2)
    assert first.single_rule == first.chosen
    assert second.single_rule == second.ious[0] != second.chosen


def test_clicks_end_when_nothing_is_wrong(model, small, monkeypatch):
    picture = next(evaluate_segment.open_pack(small, "all"))
    embedding = encode(model, picture.pixels)
    monkeypatch.setattr(measure_segment, "next_click", lambda mask, truth: None)
    found = measure_object(model, embedding, picture, 0, clicks=5)
    assert len(set(found["clicks"])) == len(set(found["spread"])) == 1
    assert np.isnan(found["shrinks"]).all() and np.isnan(found["shrinks_any"]).all()


# Everything


def test_iou_of_every_mask_with_every_truth():
    left, top = np.zeros((2, 4, 4), bool)
    left[:, :2], top[:2] = True, True
    ious = pairwise_iou(np.stack([left, ~left, left & ~left]), np.stack([left, top]))
    assert ious == pytest.approx(np.array([[1, 1 / 3], [0, 1 / 3], [0, 0]]))


def test_recall_precision_and_f2_of_what_is_kept(monkeypatch):
    grid = Grid(None, np.array([[0.9, 0.0], [0.6, 0.4], [0.2, 0.1], [0.0, 1.0]]))
    kept = {0.5: [0, 1, 2], 0.8: [0, 1, 2, 3], 0.9: []}
    monkeypatch.setattr(measure_everything, "filter", lambda _, at: SimpleNamespace(kept=np.array(kept[at.iou], int)))
    assert agreement(grid, 0.5, 0.9) == pytest.approx({"recall": 0.5, "precision": 2 / 3, "f2": 10 / 19, "kept": 3})
    assert agreement(grid, 0.9, 0.9) == {"recall": 0, "precision": 0, "f2": 0, "kept": 0}
    monkeypatch.setattr(measure_everything, "pass_of", lambda model, picture: grid)
    monkeypatch.setattr(measure_everything, "IOU_THRESHOLDS", tuple(kept))
    monkeypatch.setattr(measure_everything, "LIBRARY", (0.9, 0.95))
    chosen = measure_everything.choose_thresholds(None, [None])
    assert (chosen["chosen"]["iou"], chosen["chosen"]["recall"], chosen["library"]["kept"]) == (0.8, 1, 0)


def test_a_pass_compares_masks_and_truths_in_the_same_cells(model, small, monkeypatch):
    picture = next(evaluate_segment.open_pack(small, "all"))
    monkeypatch.setattr(measure_everything, "SIDE", 2)
    grid = measure_everything.pass_of(model, picture)
    assert grid.ious.shape == (12, len(picture.areas))
    exact = [
        [evaluate_segment.intersection_over_union(mask, picture.mask(index) > 0) for index in range(len(picture.areas))]
        for mask in grid.passed.masks(range(12))
    ]
    assert grid.ious == pytest.approx(np.array(exact), abs=0.05)


# Outside pictures


def test_an_ellipse_and_corners_are_filled():
    ellipse = segment_outside.filled({"ellipse": [50, 30, 20, 10, 90]}, 60, 100)
    assert ellipse.sum() == pytest.approx(np.pi * 20 * 10, rel=0.05)  # a fine pixel at the edge
    assert ellipse[12, 50] and ellipse[48, 50] and not ellipse[30, 65]
    square = segment_outside.filled({"corners": [[10, 5], [29, 5], [29, 24], [10, 24]]}, 60, 100)
    assert square[6:24, 11:29].all() and square.sum() == pytest.approx(19 * 19, abs=40)


def test_traced_photographs_are_a_pack_whose_parts_lie_in_their_wholes(outside):
    pictures = list(evaluate_segment.open_pack(outside, "all"))
    assert sum(len(picture.areas) for picture in pictures) == 28
    for picture in pictures:
        for index, whole in enumerate(picture.part_of):
            mask = picture.mask(index) > 0
            assert mask.shape == picture.pixels.shape[:2] and mask.any()
            if whole is not None:
                assert (mask & (picture.mask(whole) > 0)).sum() > 0.9 * mask.sum()


@pytest.fixture
def stamps(tmp_path) -> Path:
    """A photograph with alpha, and what is none: a drawing, and a picture without alpha."""
    folder = tmp_path / "stamps/animals"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (120, 120, 4), dtype=np.uint8)
    noise[..., 3] = 0
    noise[20:100, 20:100, 3] = 255
    Image.fromarray(noise).save(folder / "cat.png")
    Image.fromarray(noise[..., :3]).save(folder / "ground.png")
    noise[..., :3] = 90
    Image.fromarray(noise).save(folder / "drawn.png")
    return tmp_path / "stamps"


def test_composites_have_exact_masks_that_do_not_overlap(stamps, tmp_path, monkeypatch):
    monkeypatch.setattr(segment_outside, "COMPOSITES", 4)
    found = segment_outside.photographic_stamps(stamps)
    assert [path.name for path in found] == ["cat.png"]
    segment_outside.main(["--stamps", str(stamps), "--out", str(tmp_path)])
    pictures = list(evaluate_segment.open_pack(tmp_path / "outside_composites.zip", "all"))
    assert len(pictures) == 4
    for picture in pictures:
        masks = np.stack([picture.mask(index) for index in range(len(picture.areas))])
        assert masks.sum(axis=0).max() == 1
        assert (masks.sum(axis=(1, 2)) >= 400).all()


# The whole


def test_all_figures_of_a_model(run, small, tmp_path, monkeypatch):
    monkeypatch.setattr(measure_everything, "SIDE", 2)
    outside = tmp_path / "outside_photos.zip"
    outside.write_bytes(small.read_bytes())
    arguments = ["--data", str(small.parent), "--packs", "masks_objects", "--outside", str(outside), "--run", str(run)]
    measure_segment.main([*arguments, "--pictures", "2", "--objects", "1", "--clicks", "5", "--everything", "1"])
    figures = json.loads((run / "figures.json").read_text(encoding="utf-8"))
    assert set(figures["sets"]) == {"masks_objects", "val", "outside_photos"}
    assert figures["sets"]["masks_objects"] == figures["sets"]["val"]
    assert (figures["sets"]["val"]["n"], figures["sets"]["outside_photos"]["n"]) == (2, 6)
    for name, one in figures["sets"]["outside_photos"].items():
        if name not in ("n", "pictures"):
            assert all(a <= b <= c for a, b, c in zip(one["low"], one["mean"], one["high"], strict=True)), name
    assert figures["everything"]["pictures"] == 1
    with Image.open(run / "outside.png") as sheet:
        assert sheet.size == (8 * 132, 3 * 132)
