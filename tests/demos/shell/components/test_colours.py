"""The colour maps, judged in OKLab and by what a lightness alone (a grey print, a colour-blind eye) still tells."""

import numpy as np
import pytest

from demos.shell.components import colours


def lab(table):
    return colours.rgb_to_oklab(table.astype(float))


def test_oklab_knows_white_and_red():
    """Values of the author's own table: white is (1, 0, 0), red (0.628, 0.225, 0.126)."""
    got = colours.rgb_to_oklab(np.array([[255.0, 255, 255], [255, 0, 0]]))
    np.testing.assert_allclose(got, [[1, 0, 0], [0.628, 0.225, 0.126]], atol=1e-3)


def test_oklab_there_and_back():
    table = lab(colours.sequential())
    linear = colours.oklab_to_linear(table).clip(0, 1)
    signal = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(255 * signal, colours.sequential(), atol=0.01)


def test_sequential_grows_lighter_at_every_step_and_spans_dark_to_light():
    lightness = lab(colours.sequential())[:, 0]
    assert (np.diff(lightness) > 0).all() and lightness[0] < 0.2 and lightness[-1] > 0.93


def test_sequential_steps_look_equally_large():
    """Over 16 neighbours, so that the rounding to bytes does not count."""
    steps = np.linalg.norm(np.diff(lab(colours.sequential())[::15], axis=0), axis=-1)
    assert steps.max() / steps.min() < 1.15


def test_diverging_is_lightest_in_the_middle_and_falls_alike_on_both_sides():
    lightness = lab(colours.diverging())[:, 0]
    assert (np.diff(lightness[:128]) > 0).all() and (np.diff(lightness[128:]) < 0).all()
    np.testing.assert_allclose(lightness, lightness[::-1], atol=0.01)


def test_diverging_ends_are_told_apart_by_hue():
    blue, red = lab(colours.diverging())[[0, -1]]
    assert blue[2] < -0.05 and red[1] > 0.05 and red[2] > 0.05


@pytest.mark.parametrize("name", ["sequential", "diverging"])
def test_stored_table_is_what_the_formula_gives(name):
    assert colours.stored()[name] == colours.tables()[name]
    assert len(colours.stored()[name]) == 256 * 6
