"""Curves over the steps: every marker lies on its line, values and words are written out."""

import re

import pytest

from demos.text_to_image import curves


def path_points(svg: str) -> list[list[float]]:
    (path,) = re.findall(r'class="t2i-line t2i-main" d="M([^"]+)"', svg)
    return [[float(number) for number in point.split()] for point in path.split("L")]


def test_a_marker_stands_on_the_line_at_every_step():
    curve = curves.fixed([0.0, 0.25, 0.5, 1.0])
    assert path_points(curve.svg) == [list(place) for place in zip(curve.x, curve.y, strict=True)]
    assert list(curve.x) == sorted(curve.x) and list(curve.y) == sorted(curve.y, reverse=True)
    assert curve.y[2] - curve.y[1] == pytest.approx(curve.y[1] - curve.y[0], abs=0.2)  # linear in the share


def test_sigma_is_drawn_on_a_logarithmic_scale():
    curve = curves.sigma([100, 10, 1, 0.1])
    falls = [low - high for high, low in zip(curve.y, curve.y[1:], strict=False)]
    assert falls == pytest.approx([falls[0]] * 3, abs=0.11)  # places are rounded to a tenth
    for tick in (">100<", ">1<", ">0.1<"):
        assert tick in curve.svg


def test_the_last_sigma_of_zero_and_a_single_step_can_be_drawn():
    curve = curves.sigma([4096.0, 1.0, 0.0])
    assert all(curves.TOP <= y <= curves.HEIGHT - curves.BOTTOM for y in curve.y)
    assert curves.sigma([1.0]).x == (pytest.approx((curves.LEFT + curves.WIDTH - curves.RIGHT) / 2, abs=0.1),)


def test_a_missing_value_has_no_marker_and_leaves_the_line():
    curve = curves.fixed([0.0, float("nan"), 1.0])
    assert curve.y[1] is None and len(path_points(curve.svg)) == 2


def test_a_branch_begins_where_it_left():
    svg = curves.two_fixed([0, 0.5, 0.8, 1], curves.Line([2, 3, 4], [0.6, 0.9, 1.0]))
    assert "t2i-line t2i-other" in svg and "t2i-fork" in svg
    x = path_points(svg)[0][0]
    assert f'class="t2i-fork" x1="{x:.1f}"' in svg
    assert path_points(svg)[-1][0] == pytest.approx(curves.WIDTH - curves.RIGHT)  # the longer of both fills the width


def test_spread_has_a_dot_for_each_step_that_was_tried():
    svg = curves.spread([(8, 4.0), (2, 17.0)], n=20)
    assert svg.count("t2i-dot") == 2 and "20 %" in svg
    assert "t2i-line" not in curves.spread([(2, 17.0)], n=20)


def test_both_languages_are_there():
    svg = curves.fixed([0, 1]).svg
    assert 'lang="en">step<' in svg and 'lang="zh-CN">步<' in svg and 'role="img"' in svg
