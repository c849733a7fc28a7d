"""Everything mode against segment_anything's own SamAutomaticMaskGenerator, and by hand."""

import numpy as np
import pytest
import torch

pytest.importorskip("segment_anything", reason="requirements.txt is not installed: no segment_anything")

from segment_anything import SamAutomaticMaskGenerator
from segment_anything.utils.amg import batched_mask_to_box, calculate_stability_score
from torchvision.ops import nms

from pipelines.runtime.device import CPU
from pipelines.runtime.errors import UserError
from pipelines.segment import everything, prompt
from pipelines.segment.everything import GridPass, Thresholds
from pipelines.segment.grid import Frame, measured_by_numpy
from pipelines.segment.models import SegmentModel, wrap
from tests.pipelines.segment.conftest import make_sam

SIDE = 9  # 81 points: a full batch of 64 and a rest
SIZES = ((48, 64), (37, 50), (200, 90))  # the square itself, smaller, larger with a cell that is cut
LOOSE = Thresholds(iou=0.1, stability=0.3, nms=0.7)


def make_spotty(seed: int) -> SegmentModel:
    """A SAM whose random masks are spots that differ from click to click: most logits lie below 0.

    Channel 0 of the upscaled map is a constant, and the mask tokens put a negative weight on it.
    """
    sam = make_sam(seed=seed)
    with torch.no_grad():
        for values in sam.mask_decoder.transformer.parameters():
            values *= {1: 3, 5: 6}[seed] if values.ndim == 2 else 1
        upscaling = sam.mask_decoder.output_upscaling[3]
        upscaling.weight *= 20
        upscaling.weight[:, 0] = 0
        upscaling.bias[0] = 5
        for head in sam.mask_decoder.output_hypernetworks_mlps:
            head.layers[-1].weight[0] = 0
            head.layers[-1].bias[0] = -4
    return wrap(f"spotty-{seed}", sam, placement=CPU)


def make_squares(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8: six rectangles of random colours on grey."""
    rng = np.random.default_rng(0)
    picture = np.full((height, width, 3), 110, dtype=np.uint8)
    for _ in range(6):
        y, x = rng.integers(0, height * 3 // 4), rng.integers(0, width * 3 // 4)
        picture[y : y + rng.integers(height // 8, height // 3), x : x + rng.integers(width // 8, width // 3)] = (
            rng.integers(0, 255, 3)
        )
    return picture


def run(model: SegmentModel, pixels: np.ndarray, *, side: int = SIDE) -> GridPass:
    """The last thing that the generator gives."""
    *_, grid = everything.grid_pass(model, prompt.encode(model, pixels), side=side)
    return grid


@pytest.fixture(scope="module")
def models() -> dict[int, SegmentModel]:
    return {seed: make_spotty(seed) for seed in (1, 5)}


@pytest.fixture(scope="module")
def grids(models) -> dict[tuple, GridPass]:
    return {(seed, size): run(model, make_squares(*size)) for seed, model in models.items() for size in SIZES}


@pytest.fixture(scope="module")
def grid(grids) -> GridPass:
    return grids[1, SIZES[0]]


def library(model: SegmentModel, pixels: np.ndarray, thresholds: Thresholds) -> list[dict]:
    generator = SamAutomaticMaskGenerator(
        model.module,
        points_per_side=SIDE,
        pred_iou_thresh=thresholds.iou,
        stability_score_thresh=thresholds.stability,
        box_nms_thresh=thresholds.nms,
        min_mask_region_area=thresholds.min_area,
    )
    return generator.generate(pixels)


@pytest.mark.parametrize("seed", [1, 5])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "thresholds",
    [LOOSE, Thresholds(0.2, 0.0, 0.3), Thresholds(0.1, 0.3, 0.7, min_area=9), Thresholds(0, 0.5, 0.9, min_area=60)],
)
def test_what_is_left_is_what_the_library_leaves(models, grids, seed, size, thresholds):
    grid = grids[seed, size]
    ours = everything.records(grid, everything.filter(grid, thresholds))
    theirs = library(models[seed], make_squares(*size), thresholds)
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs, strict=True):
        different = np.count_nonzero(our.pop("segmentation") != their.pop("segmentation"))
        assert different <= 2 + 2e-4 * size[0] * size[1]  # logits are kept in float16
        assert abs(our.pop("area") - their.pop("area")) <= different
        np.testing.assert_equal(our, their)  # box, predicted IoU, stability, point, crop: to the bit


def test_the_models_used_here_show_every_stage(grids):
    counts = [everything.filter(grid, LOOSE).counts for grid in grids.values()]
    assert all(count["candidates"] == 3 * SIDE**2 for count in counts)
    assert max(count["nms"] for count in counts) >= 8
    assert any(count["iou"] > count["stability"] > count["nms"] > 4 for count in counts)


def test_the_size_at_which_the_app_answers_is_equal_too(models):
    """A picture of 1,024 px with few points: enlarging is what takes the time."""
    pixels = make_squares(640, 1024)
    grid = run(models[1], pixels, side=3)
    generator = SamAutomaticMaskGenerator(
        models[1].module, points_per_side=3, pred_iou_thresh=-1, stability_score_thresh=0, box_nms_thresh=1
    )
    theirs = generator.generate(pixels)
    ours = everything.records(grid, everything.filter(grid, Thresholds(iou=0, stability=0, nms=1)))
    assert [our["bbox"] for our in ours] == [their["bbox"] for their in theirs]
    np.testing.assert_equal([o["stability_score"] for o in ours], [t["stability_score"] for t in theirs])
    edge = [np.count_nonzero(o["segmentation"] != t["segmentation"]) for o, t in zip(ours, theirs, strict=True)]
    assert max(edge) <= 20  # of 655,360 pixels


def test_numbers_by_numpy_are_those_of_the_library():
    rng = np.random.default_rng(0)
    logits = rng.normal(-3, 1.5, (20, 31, 47)).astype(np.float32)
    logits[0] = -9
    logits[1] = 9
    stability, boxes, areas = measured_by_numpy(logits)
    tensor = torch.from_numpy(logits)
    np.testing.assert_array_equal(stability, calculate_stability_score(tensor, 0.0, 1.0).numpy())
    np.testing.assert_array_equal(boxes, batched_mask_to_box(tensor > 0).numpy())
    np.testing.assert_array_equal(np.rint(areas * 31 * 47), (logits > 0).sum((1, 2)))
    assert np.isnan(stability[0])
    assert boxes[0].tolist() == [0, 0, 0, 0]
    assert boxes[1].tolist() == [0, 0, 46, 30]


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0])
def test_suppression_keeps_what_torchvision_keeps_and_names_the_rival(threshold):
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 60, (300, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 40, (300, 2))], axis=1)
    scores = rng.integers(0, 50, 300).astype(np.float32) / 50  # many equal ones
    kept, rival = everything.suppress(boxes, scores, threshold=threshold)
    expected = nms(torch.from_numpy(boxes).float(), torch.from_numpy(scores), threshold)
    assert kept.tolist() == expected.tolist()
    assert set(np.flatnonzero(rival < 0)) == set(kept)
    for loser in np.flatnonzero(rival >= 0):
        assert rival[loser] in kept
        assert scores[rival[loser]] >= scores[loser]


def by_hand(iou, stability, boxes, masks) -> GridPass:
    """A grid pass of pictures of 8 x 8 pixels, whose logits are plus or minus 4 on cells of one pixel."""
    masks = np.array(masks, dtype=bool)
    return GridPass(
        points=np.zeros((len(masks) // 3, 2)),
        logits=np.where(masks, 4, -4).astype(np.float16),
        iou=np.array(iou, dtype=np.float32),
        stability=np.array(stability, dtype=np.float32),
        boxes=np.array(boxes, dtype=np.int32),
        areas=masks.mean(axis=(1, 2), dtype=np.float32),
        side=1,
        batches=1,
        frame=Frame(8, 8, (8, 8), (8, 8), (8.0, 8.0)),
        full_size=(8, 8),
        ms=0.0,
        model_id="hand",
        picture_key="",
    )


def rectangle(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((8, 8), dtype=bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    return mask


@pytest.fixture
def funnel_grid() -> GridPass:
    """Six candidates: good; its copy, a little worse; low IoU; unstable; small and inside; large with a speck."""
    boxes = [(0, 0, 4, 4), (0, 0, 4, 4), (5, 5, 7, 7), (5, 0, 7, 2), (1, 1, 3, 3), (0, 0, 7, 7)]
    masks = [rectangle(*box) for box in boxes]
    masks[5] = rectangle(0, 0, 6, 4) | rectangle(7, 7, 7, 7)
    return by_hand([0.95, 0.94, 0.5, 0.93, 0.92, 0.91], [0.97, 0.99, 0.99, 0.5, 0.96, 0.98], boxes, masks)


def test_each_rejected_candidate_has_one_reason_and_suppression_names_the_rival(funnel_grid):
    found = everything.filter(funnel_grid)
    assert [everything.STAGES[reason] for reason in found.reasons] == [
        "kept",
        "nms",
        "iou",
        "stability",
        "kept",
        "kept",
    ]
    assert found.rival.tolist() == [-1, 0, -1, -1, -1, -1]
    assert found.kept.tolist() == [0, 4, 5]
    assert found.counts == {"candidates": 6, "iou": 5, "stability": 4, "nms": 3, "small": 3}


def test_cleaning_takes_specks_away_and_what_became_a_copy_goes(funnel_grid):
    found = everything.filter(funnel_grid, Thresholds(min_area=3))
    assert found.boxes[5].tolist() == [0, 0, 6, 4]
    assert np.array_equal(found.mask(funnel_grid, 5), rectangle(0, 0, 6, 4))
    assert found.kept.tolist() == [0, 4, 5]  # boxes overlap by 16 / 24
    tight = by_hand(
        [0.95, 0.9, 0.89], [1, 1, 1], [(0, 0, 4, 4), (0, 0, 7, 7), (6, 6, 7, 7)],
        [rectangle(0, 0, 4, 4), rectangle(0, 0, 4, 4) | rectangle(7, 7, 7, 7), rectangle(6, 6, 7, 7)],
    )  # fmt: skip
    found = everything.filter(tight, Thresholds(min_area=3))
    assert [everything.STAGES[reason] for reason in found.reasons] == ["kept", "small", "kept"]
    assert found.rival.tolist() == [-1, 0, -1]
    assert found.counts["nms"] == 3
    assert found.counts["small"] == 2


@pytest.mark.parametrize("min_area", [1, 2, 5, 20, 100, 2000, 7.5])
def test_cleaning_looks_at_a_part_and_does_what_the_library_does_to_the_whole(min_area):
    rng = np.random.default_rng(int(min_area))
    for _ in range(60):
        mask = np.zeros((40, 50), dtype=bool)
        for _ in range(rng.integers(0, 8)):
            y, x, height, width = rng.integers((0, 0, 1, 1), (40, 50, 40, 50))
            mask[y : y + height, x : x + width] ^= rng.random() < 0.9
        mask ^= (rng.random((40, 50)) < 0.01) & mask.any()
        filled, had_holes = everything.remove_small_regions(mask, min_area, mode="holes")
        whole, had_islands = everything.remove_small_regions(filled, min_area, mode="islands")
        ours, touched = everything._clean(mask, min_area)
        assert np.array_equal(ours, whole)
        assert touched == (had_holes or had_islands)


@pytest.mark.parametrize("min_area", [49, 51, 199, 250, 251, 751])
def test_ground_that_goes_on_beyond_the_part_is_not_taken_for_a_hole(min_area):
    """A band across the picture: the ground above it has 250 pixels, that below 750."""
    band = np.zeros((40, 50), dtype=bool)
    band[5:25] = True
    for mask in (band, band[::-1], band.T, band.T[:, ::-1]):
        ours, touched = everything._clean(mask, min_area)
        assert touched == (min_area > 250)
        assert ours.sum() == 1000 + 250 * (min_area > 250) + 750 * (min_area > 750)


def test_an_earlier_funnel_spares_looking_again_and_changes_nothing(grid, monkeypatch):
    wanted = Thresholds(0.15, 0.3, 0.7, min_area=9)
    before = everything.filter(grid, Thresholds(0.1, 0.3, 0.7, min_area=9))
    fresh = everything.filter(grid, wanted)
    looked = []
    clean = everything.remove_small_regions
    monkeypatch.setattr(everything, "remove_small_regions", lambda *a, **k: looked.append(a) or clean(*a, **k))
    again = everything.filter(grid, wanted, before=before)
    assert len(looked) < 2 * fresh.counts["nms"]
    for name in ("reasons", "rival", "kept", "boxes"):
        assert np.array_equal(getattr(again, name), getattr(fresh, name))
    everything.filter(grid, Thresholds(0.15, 0.3, 0.7, min_area=10), before=before)
    assert len(looked) >= 2 * fresh.counts["nms"]  # of another size nothing is known


def test_counts_add_up_at_all_thresholds(grids):
    rng = np.random.default_rng(0)
    for grid in grids.values():
        for iou, stability, nms_threshold in rng.random((10, 3)):
            found = everything.filter(grid, Thresholds(iou, stability, nms_threshold))
            by_reason = np.bincount(found.reasons, minlength=5)
            assert by_reason.sum() == len(grid)
            assert found.counts["small"] == by_reason[0] == len(found.kept)
            assert ((found.rival >= 0) == np.isin(found.reasons, (3, 4))).all()
            assert (found.reasons[found.rival[found.rival >= 0]] == 0).all()


def test_the_smallest_mask_lies_on_top_of_the_hover_field(funnel_grid):
    found = everything.filter(funnel_grid)
    field = everything.hover_field(funnel_grid, found)
    assert field.dtype == np.uint16
    expected = np.where(rectangle(0, 0, 6, 4) | rectangle(7, 7, 7, 7), 3, 0)
    expected[rectangle(0, 0, 4, 4)] = 1
    expected[rectangle(1, 1, 3, 3)] = 2
    assert np.array_equal(field, expected)


def test_hover_fields_point_at_masks_that_hold_the_pixel(grids):
    grid = grids[1, (200, 90)]
    found = everything.filter(grid, Thresholds(0.1, 0.2, 0.7))
    field = everything.hover_field(grid, found)
    masks = np.array([found.mask(grid, index) for index in found.kept])
    assert field.shape == (200, 90)
    assert np.array_equal(field > 0, masks.any(axis=0))
    for place in np.unique(field[field > 0]):
        assert masks[place - 1][field == place].all()


def test_masks_at_full_size_are_those_at_the_answered_size_enlarged(models):
    model, pixels = models[1], make_squares(1100, 2048)
    *_, grid = everything.grid_pass(model, prompt.encode(model, pixels), side=3)
    assert (grid.size, grid.full_size) == ((550, 1024), (1100, 2048))
    found = everything.filter(grid, Thresholds(0, 0, 1, min_area=300))
    touched = [index for index in found.kept if found.cleaned[index] is not None]
    assert 0 < len(touched) < len(found.kept)
    for index in found.kept:
        small, large = found.mask(grid, index), found.mask(grid, index, full=True)
        assert large.shape == (1100, 2048)
        assert np.mean(large[::2, ::2] != small) < 0.02
    for index in touched:  # four times as many pixels
        assert not everything.remove_small_regions(found.mask(grid, index, full=True), 1200, mode="holes")[1]


def test_a_candidate_is_what_a_click_on_its_point_gives(models):
    """On a picture that is brought down to 1,024 px: points are pixels of the full one."""
    model, pixels = models[1], make_squares(1100, 700)
    embedding = prompt.encode(model, pixels)
    *_, grid = everything.grid_pass(model, embedding, side=2)
    assert grid.size == (1024, 652)
    clicked = prompt.predict(model, embedding, prompt.Prompt((everything.click(grid, 7),)))  # token 2 of point 2
    assert clicked.iou[2] == pytest.approx(grid.iou[7], abs=1e-4)
    assert np.allclose(clicked.part(2), grid.part(7), rtol=2e-3, atol=2e-3)


def test_small_batches_give_the_same_numbers(models, grids, monkeypatch):
    """A large model on a CPU is asked a few points at a time."""
    monkeypatch.setattr("pipelines.segment.grid.BATCH_BYTES", 5 * 16 * 8 * 8 * 4)
    again = run(models[1], make_squares(48, 64))
    whole = grids[1, (48, 64)]
    assert (again.batches, whole.batches) == (17, 2)
    np.testing.assert_allclose(again.iou, whole.iou, atol=1e-6)
    np.testing.assert_allclose(again.logits, whole.logits, rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(again.stability, whole.stability, atol=1e-3)
    np.testing.assert_allclose(again.boxes, whole.boxes, atol=1)


def test_sam_2_is_stretched_and_enlarged_in_one_step(tiny_sam2_model):
    embedding = prompt.encode(tiny_sam2_model, make_squares(80, 200))
    *_, grid = everything.grid_pass(tiny_sam2_model, embedding, side=3)
    assert grid.frame.valid == grid.frame.needed == (16, 16)
    for point in range(9):
        answer = prompt.predict(tiny_sam2_model, embedding, prompt.Prompt((everything.click(grid, 3 * point),)))
        candidates = slice(3 * point, 3 * point + 3)
        enlarged = np.array([answer.enlarged(token) for token in (1, 2, 3)])
        stability, boxes, areas = measured_by_numpy(enlarged)
        np.testing.assert_allclose(grid.iou[candidates], answer.iou[1:], atol=1e-4)
        np.testing.assert_allclose(grid.stability[candidates], stability, atol=1e-3)
        np.testing.assert_allclose(grid.areas[candidates], areas, atol=1e-3)
        assert np.abs(grid.boxes[candidates] - boxes).max() <= 1
        masks = np.array(list(grid.masks(range(3 * point, 3 * point + 3))))
        assert np.mean(masks != (enlarged > 0)) < 1e-3


def test_the_pass_tells_its_progress_and_can_be_closed(models):
    embedding = prompt.encode(models[1], make_squares(48, 64))
    steps = everything.grid_pass(models[1], embedding, side=SIDE)
    assert (next(steps).done, next(steps).done) == (64, 81)
    grid = next(steps)
    assert isinstance(grid, GridPass)
    assert (len(grid), grid.points.shape) == (243, (81, 2))
    assert grid.point_index[[0, 2, 3, 242]].tolist() == [0, 0, 1, 80]
    assert grid.nbytes > grid.logits.nbytes == 243 * 25 * 32 * 2
    steps = everything.grid_pass(models[1], embedding, side=SIDE)
    next(steps)
    steps.close()
    assert list(steps) == []


@pytest.mark.parametrize("side", [0, 33, 2.5, True, "16"])
def test_a_grid_of_no_sense_is_refused(models, side):
    embedding = prompt.encode(models[1], make_squares(48, 64))
    with pytest.raises(UserError, match="grid_side"):
        next(everything.grid_pass(models[1], embedding, side=side))


def test_an_embedding_of_another_model_is_refused(models):
    with pytest.raises(UserError, match="embedding_model"):
        next(everything.grid_pass(models[5], prompt.encode(models[1], make_squares(48, 64))))


@pytest.mark.parametrize(
    "thresholds", [Thresholds(iou=-0.1), Thresholds(stability=1.1), Thresholds(nms=float("nan")), Thresholds(iou="a")]
)
def test_thresholds_of_no_sense_are_refused(funnel_grid, thresholds):
    with pytest.raises(UserError, match="grid_threshold"):
        everything.filter(funnel_grid, thresholds)


@pytest.mark.parametrize("area", [-1, 1.5, True, float("inf")])
def test_a_smallest_region_of_no_sense_is_refused(funnel_grid, area):
    with pytest.raises(UserError, match="grid_min_area"):
        everything.filter(funnel_grid, Thresholds(min_area=area))
