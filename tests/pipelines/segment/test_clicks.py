import numpy as np

from pipelines.segment.clicks import Click, box_of, deepest, first_click, intersection_over_union, next_click


def block(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """A mask of 20 x 30 pixels, set from left to right and top to bottom, the last ones included."""
    mask = np.zeros((20, 30), dtype=bool)
    mask[top : bottom + 1, left : right + 1] = True
    return mask


def test_iou_of_two_blocks_by_hand():
    assert intersection_over_union(block(0, 0, 9, 9), block(5, 0, 14, 9)) == 50 / 150
    assert intersection_over_union(block(0, 0, 9, 9), block(20, 0, 29, 9)) == 0
    nothing = np.zeros((20, 30), dtype=bool)
    assert intersection_over_union(nothing, nothing) == 1


def test_the_deepest_pixel_is_the_middle_of_a_square():
    assert deepest(block(10, 4, 16, 10)) == (13, 7, 4.0)


def test_the_edge_of_the_picture_is_an_edge_of_the_region():
    assert deepest(block(0, 0, 4, 4)) == (2, 2, 3.0)


def test_first_click_lies_in_the_thicker_part():
    truth = block(0, 9, 29, 9) | block(20, 6, 26, 12)
    assert first_click(truth) == Click(23, 9, positive=True)


def test_further_clicks_lie_in_the_larger_error():
    truth = block(5, 5, 19, 13)
    too_little = block(5, 5, 9, 13) | block(25, 0, 27, 2)
    assert next_click(too_little, truth) == Click(14, 9, positive=True)
    too_much = truth | block(20, 0, 28, 8)
    assert next_click(too_much, truth) == Click(24, 4, positive=False)
    assert next_click(truth, truth) is None


def test_the_box_includes_the_last_pixels():
    assert box_of(block(3, 4, 10, 12)).tolist() == [3, 4, 10, 12]
