import io
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from segment_anything import SamPredictor

from pipelines.segment.models import SamConfig, SegmentModel, create_sam
from training import evaluate_segment, segment
from training.ahead import Ahead
from training.segment_data import framing, load_annotated, warp, warp_mask
from training.segment_model import BOTTOM_RIGHT, NEGATIVE, PAD, POSITIVE, TOP_LEFT, decode, embed_prompts, encode
from training.segment_scenes import Scenes
from training.segment_steps import StepConfig, error_clicks, mask_losses, round_losses, true_iou

TINY = SamConfig(image_size=64, width=16, depth=2, heads=2, window=4, global_blocks=(1,), out_channels=16)
RED, BLUE, GREY = (220, 30, 30), (30, 30, 220), (120, 120, 120)


def line(number: int, split: str) -> tuple[dict, bytes]:
    """A grey picture with a red block, whose blue half is a part of it."""
    pixels = np.full((60, 90, 3), GREY, np.uint8)
    whole, part = np.zeros((60, 90), np.uint8), np.zeros((60, 90), np.uint8)
    left = 10 + 5 * number
    whole[10:50, left : left + 40] = 1
    part[10:50, left : left + 20] = 1
    pixels[whole > 0], pixels[part > 0] = RED, BLUE
    objects = []
    for mask, part_of in ((whole, None), (part, 0)):
        rle = coco_mask.encode(np.asfortranarray(mask))
        rle["counts"] = rle["counts"].decode()
        objects.append({"label": None, "rle": rle, "box": [0, 0, 1, 1], "area": int(mask.sum()), "part_of": part_of})
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    file = f"images/{number}.png"
    size = {"width": 90, "height": 60}
    return {
        "file": file,
        "source": "ecssd",
        "split": split,
        "caption": None,
        "objects": objects,
        **size,
    }, content.getvalue()


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """One pack of masks, three pictures for training and one val; one pack of drawings."""
    folder = tmp_path_factory.mktemp("data")
    with zipfile.ZipFile(folder / "masks_objects.zip", "w") as pack:
        rows = [line(number, "val" if number == 3 else "train") for number in range(4)]
        pack.writestr("index.jsonl", "\n".join(json.dumps(row) for row, _ in rows))
        for row, content in rows:
            pack.writestr(row["file"], content)
    disc = np.zeros((128, 128, 4), np.uint8)
    cv2.circle(disc, (64, 64), 40, (250, 200, 0, 255), -1)
    content = io.BytesIO()
    Image.fromarray(disc).save(content, "PNG")
    row = {"file": "a.png", "name": "sun", "name_zh": "太阳", "style": "fx", "group": "nature", "family": "sun"}
    with zipfile.ZipFile(folder / "emoji_fx.zip", "w") as pack:
        pack.writestr("index.jsonl", json.dumps(row | {"split": "train"}))
        pack.writestr("a.png", content.getvalue())
    return folder


@pytest.fixture(scope="module")
def scenes(data) -> Scenes:
    pictures = load_annotated(data, "train", packs=("masks_objects",))
    cut_outs = segment.load_cut_outs(data, most=10, packs=("emoji_fx",))
    return Scenes(pictures, cut_outs, prompts=4, composite=0.5, seed=0)


@pytest.fixture(scope="module")
def sam():
    torch.manual_seed(0)
    return create_sam(TINY).eval().requires_grad_(False)


def test_encoding_is_the_librarys_at_its_own_size_and_works_at_others(sam):
    pictures = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(encode(sam.image_encoder, pictures), sam.image_encoder(pictures))
    assert encode(sam.image_encoder, torch.randn(1, 3, 32, 32)).shape == (1, 16, 4, 4)


@pytest.mark.parametrize("box", [False, True])
@pytest.mark.parametrize("previous", [False, True])
def test_prompts_and_masks_of_a_batch_are_the_librarys_one_by_one(sam, box, previous):
    embedding, points = torch.randn(2, 16, 8, 8), torch.rand(4, 3, 2) * 64
    labels = torch.tensor([[POSITIVE, NEGATIVE, PAD]] * 4)
    if box:
        labels = torch.tensor([[POSITIVE, TOP_LEFT, BOTTOM_RIGHT]] * 4)
    logits = torch.randn(4, 1, 32, 32) if previous else None
    masks, ious = decode(sam, embedding, embed_prompts(sam.prompt_encoder, points, labels), logits)
    for number in range(4):
        one = slice(number, number + 1)
        clicks = (points[one, : 1 if box else 2], labels[one, : 1 if box else 2])
        sparse, dense = sam.prompt_encoder(clicks, points[one, 1:] if box else None, logits[one] if previous else None)
        expected = sam.mask_decoder.predict_masks(
            embedding[number // 2 : number // 2 + 1], sam.prompt_encoder.get_dense_pe(), sparse, dense
        )
        torch.testing.assert_close(masks[one], expected[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ious[one], expected[1], atol=1e-5, rtol=1e-4)


def test_focal_and_dice_by_hand():
    logits, target = torch.zeros(1, 1, 2, 2), torch.tensor([[[1, 0], [0, 0]]])
    focal = (0.25 + 3 * 0.75) / 4 * 0.25 * np.log(2)
    dice = 1 - (2 * 0.5 + 1) / (2 + 1 + 1)
    assert mask_losses(logits, target, focal_weight=20).item() == pytest.approx(20 * focal + dice, abs=1e-6)


def test_true_iou_by_hand():
    logits = torch.tensor([[[[1.0, 1.0], [-1.0, -1.0]]]])
    assert true_iou(logits, torch.tensor([[[1, 0], [1, 0]]])).item() == pytest.approx(1 / 3)


def test_a_click_that_means_two_things_teaches_a_second_mask():
    targets = torch.zeros(1, 3, 4, 4)
    targets[0, 0, :2], targets[0, 1] = 1, 1
    logits = torch.full((1, 4, 4, 4), -5.0, requires_grad=True)
    with torch.no_grad():
        logits[0, 1, :2], logits[0, 2] = 5.0, 5.0  # one mask says the part, another the whole
    both, none = torch.tensor([[True, False]]), torch.zeros(1, 2, dtype=torch.bool)
    say = dict(several=torch.tensor([False]), config=StepConfig())
    good = round_losses(logits, torch.zeros(1, 4), targets, others=both, **say)
    assert good["mask"].item() < 0.05
    assert good["single"].item() == 0
    with torch.no_grad():
        logits[0, 2] = -5.0
    assert round_losses(logits, torch.zeros(1, 4), targets, others=both, **say)["mask"].item() > 0.2
    assert round_losses(logits, torch.zeros(1, 4), targets, others=none, **say)["mask"].item() < 0.05


def test_error_clicks_lie_in_the_error_and_half_of_them_deep_inside():
    wrong = torch.zeros(400, 16, 16, dtype=torch.bool)
    wrong[:, 4:13, 2:11] = True
    cells = error_clicks(wrong, torch.Generator().manual_seed(0))
    assert wrong[torch.arange(400), cells[:, 1], cells[:, 0]].all()
    middle = ((cells - torch.tensor([6, 8])).abs() <= 1).all(dim=1).float().mean().item()
    assert 0.5 < middle < 0.75
    assert len(torch.unique(cells, dim=0)) > 60


def test_a_mask_in_the_frame_lies_where_its_picture_lies(data):
    picture = load_annotated(data, "train", packs=("masks_objects",))[0]
    for seed in range(12):
        matrix = framing(60, 90, 128, np.random.default_rng(seed))
        seen = warp(picture.pixels, matrix, 128, ground=(124, 116, 104)).astype(int)
        coloured = seen.max(axis=2) - seen.min(axis=2) > 90  # half of what the block has
        fine = warp_mask(picture.mask(0), matrix, 64).repeat(2, axis=0).repeat(2, axis=1)
        assert coloured.sum() == 0 or (fine & coloured).sum() / (fine | coloured).sum() > 0.9


def test_scenes_hold_together(scenes):
    batch = scenes.batch(0, 12, 128)
    again = scenes.batch(5, 2, 128)
    assert torch.equal(batch.pictures[5:7], again.pictures)
    assert torch.equal(batch.targets[5:7], again.targets)
    cells = ((batch.clicks + 0.5) / 4 - 0.5).round().long().flatten(0, 1)
    targets = batch.targets.flatten(0, 1)
    on = targets[torch.arange(len(cells)), :, cells[:, 1], cells[:, 0]].bool()
    assert torch.equal(on, batch.meant.flatten(0, 1))  # a click lies on all that it may mean, and on nothing else
    assert batch.meant[..., 0].all()
    assert batch.meant[..., 1].any()
    assert (batch.boxes[..., 2:] > batch.boxes[..., :2]).all()


def test_batches_made_ahead_are_the_same(scenes):
    ahead = Ahead(scenes.batch, workers=2)
    for first in (0, 2, 4):
        assert torch.equal(ahead(first, 2, 128).pictures, scenes.batch(first, 2, 128).pictures)
    with pytest.raises(ValueError, match="batch 0"):
        ahead(0, 2, 128)
    ahead.pool.shutdown(cancel_futures=True)


def options(data: Path, out: Path, steps: int, *more: str) -> list[str]:
    paths = ["--data", str(data), "--out", str(out), "--device", "cpu", "--packs", "masks_objects"]
    shape = ["--drawing-packs", "emoji_fx", "--width", "16", "--depth", "3", "--heads", "2", "--out-channels", "16"]
    sizes = ["--decoder-mlp", "16", "--batch", "2", "--prompts", "4", "--small-size", "64", "--most-rounds", "1"]
    return [*paths, *shape, *sizes, "--steps", str(steps), "--small-until", "0.9", *more]


def test_a_run_learns_and_writes_what_the_app_loads(data, tmp_path):
    untrained = segment.create(segment.parse(options(data, tmp_path, 24)))
    first = untrained.trainer.step(untrained.steps)
    segment.main(options(data, tmp_path, 24, "--rate", "3e-3"))
    figures = json.loads((tmp_path / "run.json").read_text())["figures"]
    rows = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["rows"]
    assert rows[-1]["mask"] < 0.9 * first["mask"]
    assert {"n", "miou_1", "miou_5", "miou_box", "grabcut_box", "iou_error", "bytes"} <= set(figures)
    assert figures["grabcut_box"] > 0.9  # a block of another colour in its box is what it is made for
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    assert (tmp_path / "model/model.safetensors").is_file()


def test_a_resumed_run_is_the_same_to_the_bit(data, tmp_path):
    whole = segment.create(segment.parse(options(data, tmp_path / "whole", 4)))
    for _ in range(4):
        whole.trainer.step(whole.steps)
    first = segment.create(segment.parse(options(data, tmp_path / "parts", 4)))
    for _ in range(2):
        first.trainer.step(first.steps)
    first.trainer.save()
    second = segment.create(segment.parse(options(data, tmp_path / "parts", 4, "--resume")))
    assert second.trainer.state.step == 2
    for _ in range(2):
        second.trainer.step(second.steps)
    pairs = zip(second.trainer.model.parameters(), whole.trainer.model.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_the_evaluation_of_a_perfect_and_of_an_empty_model(data, monkeypatch, sam):
    model = SegmentModel("x", "sam", sam, "cpu", torch.float32)
    chosen = SimpleNamespace(pack=data / "masks_objects.zip", split=None, objects=0, clicks=5)
    monkeypatch.setattr(evaluate_segment, "best", lambda _, truth, **prompts: (truth, 0.9, np.zeros((1, 4, 4))))
    figures = evaluate_segment.evaluate(model, chosen)
    assert (figures["n"], figures["miou_1"], figures["miou_5"], figures["miou_box"]) == (2, 1, 1, 1)
    assert figures["iou_error"] == pytest.approx(0.1)
    monkeypatch.setattr(evaluate_segment, "best", lambda _, truth, **prompts: (~truth, 0.0, np.zeros((1, 4, 4))))
    figures = evaluate_segment.evaluate(model, chosen)
    assert (figures["miou_1"], figures["miou_box"], figures["iou_error"]) == (0, 0, 0)


def test_the_last_mask_is_a_prompt_of_the_next(sam, data):
    picture = load_annotated(data, "val", packs=("masks_objects",))[0]
    predictor = SamPredictor(sam)
    predictor.set_image(picture.pixels)
    calls, real = [], predictor.predict

    def predict(**prompts):
        calls.append(prompts)
        return real(**prompts)

    predictor.predict = predict
    list(evaluate_segment.click_masks(predictor, picture.mask(0) > 0, 3))
    assert [len(call["point_coords"]) for call in calls] == [1, 2, 3]
    assert [call["mask_input"] is not None for call in calls] == [False, True, True]
    assert all(call["multimask_output"] for call in calls)
