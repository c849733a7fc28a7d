"""What the threshold's panel sends: the cells that an enlargement reads, where they lie, and their counts."""

import numpy as np
import pytest

from demos.segment import logit_views, threshold_panel
from demos.segment.logit_views import needed
from demos.shell.arrays import pack, unpack
from tests.demos.segment import hand_made


@pytest.mark.parametrize(
    "length, side, square", [(43, 32, 64), (172, 128, 256), (171, 128, 256), (1, 64, 256), (256, 128, 256)]
)
def test_no_cell_that_the_enlargement_reads_is_left_out(length, side, square):
    """Changing a cell behind the needed ones changes no pixel; changing the last needed one does."""
    torch = pytest.importorskip("torch")

    def enlarged(column):
        wide = torch.nn.functional.interpolate(
            torch.as_tensor(column)[None, None, :, None].expand(-1, -1, -1, 4),
            (square, 4),
            mode="bilinear",
            align_corners=False,
        )
        return wide[0, 0, :length, 0].numpy()

    count = needed(length, side=side, square=square)
    plain = np.zeros(side, np.float32)
    behind, last = plain.copy(), plain.copy()
    behind[count:], last[count - 1] = 1, 1
    assert np.array_equal(enlarged(behind), enlarged(plain))
    assert not np.array_equal(enlarged(last), enlarged(plain)) or count == side


@pytest.mark.parametrize(
    "square, part, size", [(64, (43, 64), (100, 150)), (64, (64, 6), (90, 8)), (32, (32, 32), (40, 50))]
)
def test_logits_are_enlarged_without_a_model_library_as_with_one(square, part, size):
    masks = hand_made.masks(logits=np.random.default_rng(0).normal(0, 5, (4, 32, 32)).astype(np.float32))
    vars(masks).update(square=square, input_size=part, size=size)
    np.testing.assert_allclose(logit_views.enlarged(masks, 1), masks.enlarged(1), atol=2e-4)  # its places are float32


def test_the_picture_takes_as_many_cells_as_it_fills():
    masks = hand_made.masks()
    assert logit_views.cells_box(masks) == (0, 0, 192, 132)  # 22 rows of 6 px: the last one reaches 3 px over the edge
    where = logit_views.place(masks)
    assert (where["rows"], where["columns"]) == (22, 32)
    assert where["valid"] == [22, 32] and where["size"] == [129, 192]


def test_counts_give_the_stability_of_the_model():
    masks = hand_made.masks()
    counts = logit_views.stability_counts(masks)
    np.testing.assert_allclose(counts[:, 0] / counts[:, 1], masks.stability)
    y, x = np.mgrid[:22, :32] + 0.5
    distance = np.hypot(y - hand_made.MIDDLE[0], x - hand_made.MIDDLE[1])
    for (strict, loose), radius in zip(counts, hand_made.RADII, strict=True):
        assert (strict, loose) == ((distance < radius - 1).sum(), (distance < radius + 1).sum())


def test_the_largest_logits_stay_finite_as_halves():
    masks = hand_made.masks(logits=hand_made.discs(slope=1e6))
    halves = logit_views.logits(masks)
    assert halves.dtype == np.float16 and np.isfinite(halves).all()
    assert np.array_equal(halves > 0, masks.logits[:, :22] > 0)


def test_the_value_shows_the_cells_of_the_taken_token_and_brings_all_four():
    layer = hand_made.layer(3)
    value = threshold_panel.value(layer, pack(logit_views.logits(layer.masks)), {"width": 192})
    assert np.array_equal(value["map"], layer.masks.logits[3, :22])
    assert unpack(value["logits"]).shape == (4, 22, 32)
    assert value["signed"] and (value["token"], value["object"], value["threshold"]) == (3, 7, 0.0)
