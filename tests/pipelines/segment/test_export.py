import contextlib
import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from pipelines.runtime.errors import UserError
from pipelines.segment.export import Kept, alpha, coco, cut_out, from_rle, on_ground, png, polygons, rle

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(1, 256, (40, 50, 3), dtype=np.uint8)


def disc(height: int = 40, width: int = 50, *, x: float = 25, y: float = 20, radius: float = 12) -> np.ndarray:
    ys, xs = np.mgrid[:height, :width] + 0.5
    return (xs - x) ** 2 + (ys - y) ** 2 < radius**2


def ring() -> np.ndarray:
    return disc() & ~disc(radius=5)


def area(polygon: list[float]) -> float:
    """The shoelace formula."""
    xs, ys = np.array(polygon[0::2]), np.array(polygon[1::2])
    return abs(float((xs * np.roll(ys, -1) - ys * np.roll(xs, -1)).sum())) / 2


def rasterised(outlines: list[list[float]], height: int, width: int) -> np.ndarray:
    """As pycocotools fills polygons."""
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(outlines, height, width))).astype(bool)


def filled(mask: np.ndarray) -> np.ndarray:
    """A mask without holes: what cannot be reached from outside by steps up, down, left and right."""
    outside = cv2.connectedComponents((~np.pad(mask, 1)).astype(np.uint8), connectivity=4)[1]
    return (outside != outside[0, 0])[1:-1, 1:-1]


@pytest.mark.parametrize(
    "mask",
    [ring(), np.zeros((7, 5), bool), np.ones((1, 300), bool), RNG.random((37, 23)) < 0.5, ~disc()],
    ids=["ring", "nothing", "a line", "noise", "all but a disc"],
)
def test_run_lengths_go_there_and_back_and_are_pycocotools_own(mask):
    encoded = json.loads(json.dumps(rle(mask)))
    np.testing.assert_array_equal(coco_mask.decode(encoded), mask)
    np.testing.assert_array_equal(from_rle(encoded), mask)
    assert encoded["counts"].encode() == coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    assert (encoded["size"], int(coco_mask.area(encoded))) == (list(mask.shape), mask.sum())


def test_run_lengths_by_hand():
    mask = np.zeros((2, 3), bool)
    mask[1, 1] = True  # column by column: three zeros, a one, two zeros
    assert coco_mask.decode(coco_mask.frPyObjects({"size": [2, 3], "counts": [3, 1, 2]}, 2, 3))[1, 1] == 1
    assert rle(mask) == {"size": [2, 3], "counts": "312"}


def test_polygons_run_along_the_edges_of_pixels():
    one = np.zeros((5, 6), bool)
    one[2, 3] = True
    assert polygons(one) == [[3, 2, 3, 3, 4, 3, 4, 2]]
    corner = np.ones((2, 2), bool)
    corner[0, 0] = False  # an inner corner, which OpenCV's chain would cut
    assert area(polygons(corner)[0]) == 3
    assert sorted(map(area, polygons(np.array([[1, 0, 1, 1]], bool)))) == [1, 2]


@pytest.mark.parametrize("seed", range(20))
def test_polygons_have_the_area_of_the_mask_and_fill_to_it_again(seed):
    """Any mask, with its holes filled: the area is the number of pixels, and pycocotools draws the same pixels."""
    rng = np.random.default_rng(seed)
    mask = rng.random((13, 17)) < rng.random()
    if not mask.any():
        pytest.fail("choose another seed")
    outlines = polygons(mask)
    assert sum(map(area, outlines)) == filled(mask).sum()
    np.testing.assert_array_equal(rasterised(outlines, 13, 17), filled(mask))
    assert all(len(outline) >= 8 for outline in outlines)


def test_a_hole_is_filled_in_polygons_and_kept_in_run_lengths():
    assert len(polygons(ring())) == 1
    np.testing.assert_array_equal(rasterised(polygons(ring()), 40, 50), disc())
    np.testing.assert_array_equal(from_rle(rle(ring())), ring())
    assert polygons(np.zeros((4, 4), bool)) == []


def test_simplified_polygons_are_shorter_and_nearly_the_same():
    mask = disc(400, 500, x=250, y=200, radius=150)
    exact, simpler = polygons(mask), polygons(mask, tolerance_px=1.0)
    assert len(simpler[0]) < len(exact[0]) / 5
    again = rasterised(simpler, 400, 500)
    assert (again & mask).sum() / (again | mask).sum() > 0.98


def test_a_cut_out_keeps_colours_inside_and_nothing_outside():
    mask = disc()
    cut = cut_out(PIXELS, mask)
    assert (cut.shape, cut.dtype) == ((40, 50, 4), np.uint8)
    np.testing.assert_array_equal(cut[..., 3], mask * 255)
    np.testing.assert_array_equal(cut[mask, :3], PIXELS[mask])
    assert not cut[~mask].any()


def test_a_soft_edge_is_half_opaque_on_the_edge_and_straight_in_colour():
    half = np.zeros((20, 40), bool)
    half[:, :20] = True
    opacity = alpha(half, feather_px=4)
    expected = [255, 255, 223, 159, 96, 32, 0, 0]  # distances 3.5 2.5 1.5 0.5 -0.5 -1.5 -2.5 -3.5 over 4, plus 1/2
    assert opacity[10, 16:24].tolist() == expected
    assert (opacity[:, :18] == 255).all()
    assert (opacity[:, 22:] == 0).all()
    cut = cut_out(np.full((20, 40, 3), 200, np.uint8), half, feather_px=4)
    assert (cut[..., :3][cut[..., 3] > 0] == 200).all()


def test_soft_edges_far_from_the_object_and_at_the_pictures_edge():
    assert (alpha(np.ones((9, 9), bool), feather_px=3) == 255).all()
    assert not alpha(np.zeros((9, 9), bool), feather_px=3).any()
    small = disc(200, 300, x=40, y=0, radius=20)
    opacity = alpha(small, feather_px=6)
    assert opacity[0, 40] == 255
    assert not opacity[30:].any()
    assert abs(opacity.sum() / 255 - small.sum()) < 0.03 * small.sum()


def test_a_cropped_cut_out_is_a_piece_of_the_whole_one():
    for feather_px in (0, 3):
        whole, piece = (cut_out(PIXELS, disc(), feather_px=feather_px, crop=crop) for crop in (False, True))
        rows, columns = (whole[..., 3] > 0).any(axis=1), (whole[..., 3] > 0).any(axis=0)
        np.testing.assert_array_equal(piece, whole[rows][:, columns])
        assert piece.shape[0] < 40


def test_nothing_to_keep_is_said():
    nothing = np.zeros((40, 50), bool)
    for function in (cut_out, on_ground):
        with pytest.raises(UserError, match="mask_empty"):
            function(PIXELS, nothing)
        with pytest.raises(ValueError, match="mask"):
            function(PIXELS, nothing[:10])


def test_on_a_plain_ground_the_object_stands_in_the_middle_of_a_square():
    mask = np.zeros((40, 50), bool)
    mask[10:20, 5:25] = True
    alone = on_ground(PIXELS, mask, ground=(0, 0, 0), margin=0.1)
    assert alone.shape == (24, 24, 3)
    np.testing.assert_array_equal(alone[7:17, 2:22], PIXELS[10:20, 5:25])
    assert not np.delete(alone, np.s_[7:17], axis=0).any()


def test_png_holds_the_pixels_and_nothing_else():
    for pixels, mode in ((PIXELS, "RGB"), (cut_out(PIXELS, disc(), feather_px=3), "RGBA"), (disc(), "L")):
        data = png(pixels)
        image = Image.open(io.BytesIO(data))
        assert (image.format, image.mode, image.info) == ("PNG", mode, {})
        assert not image.getexif()
        expected = pixels * np.uint8(255) if pixels.dtype == bool else pixels
        np.testing.assert_array_equal(np.asarray(image), expected)
        assert {data[place - 4 : place] for place in chunks(data)} == {b"IHDR", b"IDAT", b"IEND"}


def chunks(data: bytes) -> list[int]:
    """Where the data of each chunk of a PNG begins."""
    places, place = [], 8
    while place < len(data):
        places.append(place + 8)
        place += 12 + int.from_bytes(data[place : place + 4])
    return places


def load(content: dict, folder) -> COCO:
    path = folder / "objects.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):  # it counts aloud
        return COCO(path)


def test_pycocotools_loads_the_file_of_all_objects(tmp_path):
    kept = [
        Kept("cup", disc(), iou=0.91, stability=0.97),
        Kept("盘子 <b>", ring()),
        Kept("cup", disc(x=8, y=8, radius=4)),
    ]
    loaded = load(coco(iter(kept), 50, 40, "C:\\photos/mine/IMG 1.jpg"), tmp_path)
    assert loaded.loadImgs(1)[0] == {"id": 1, "width": 50, "height": 40, "file_name": "IMG 1.jpg"}
    assert {one["name"] for one in loaded.loadCats(loaded.getCatIds())} == {"cup", "盘子 <b>"}
    annotations = loaded.loadAnns(loaded.getAnnIds(imgIds=1))
    assert len(annotations) == 3
    for said, one in zip(annotations, kept, strict=True):
        np.testing.assert_array_equal(loaded.annToMask(said), one.mask)
        assert said["area"] == one.mask.sum() == coco_mask.area(said["segmentation"])
        assert said["bbox"] == coco_mask.toBbox(said["segmentation"]).tolist()
        assert loaded.loadCats(said["category_id"])[0]["name"] == one.name
    assert (annotations[0]["score"], annotations[0]["stability"]) == (0.91, 0.97)
    assert "score" not in annotations[1]
    assert len(loaded.getAnnIds(catIds=loaded.getCatIds(catNms=["cup"]))) == 2


def test_empty_masks_and_numbers_that_json_lacks_are_left_out(tmp_path):
    nothing = np.zeros((40, 50), bool)
    content = coco([Kept("a", nothing), Kept("b", disc(), iou=float("nan"))], 50, 40, "p.png")
    assert "NaN" not in json.dumps(content)
    loaded = load(content, tmp_path)
    assert [one["id"] for one in loaded.loadAnns(loaded.getAnnIds())] == [1]
    with pytest.raises(ValueError, match="mask"):
        coco([Kept("a", nothing[:5])], 50, 40, "p.png")
