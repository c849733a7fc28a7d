"""Branches, futures and the latent passage as HTML: the numbers are right, whichever way they fall."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from demos.text_to_image import futures_views, latent_views, machine_views, panel_views


def grey(level, *, height=8, width=8):
    return np.full((height, width, 3), level, np.uint8)


def words_of(html: str, lang: str = "en") -> str:
    """What a reader of one language sees."""
    other = {"en": "zh-CN", "zh-CN": "en"}[lang]
    return re.sub(r"<[^>]+>", " ", re.sub(rf'<(span|tspan) lang="{other}">.*?</\1>', "", html))


def test_distance_is_in_percent_of_full_brightness():
    assert panel_views.rms(grey(0), grey(255)) == 100
    assert panel_views.rms(grey(100), grey(100)) == 0
    half = np.concatenate([grey(0), grey(255)])
    assert panel_views.rms(half, np.concatenate([grey(0)] * 2)) == pytest.approx(100 / 2**0.5)


def test_a_difference_map_is_coarse_enough_and_keeps_its_mean():
    one = np.zeros((512, 256, 3), np.uint8)
    other = one.copy()
    other[:4, :4] = 255  # exactly one cell of 4 x 4 pixels
    apart = panel_views.difference(one, other)
    assert apart.shape == (128, 64) and apart[0, 0] == 100 and apart.sum() == 100
    assert panel_views.difference(grey(0, height=130, width=7), grey(51, height=130, width=7)).max() == pytest.approx(
        20
    )


def test_signed_values_get_the_diverging_colours():
    blue, pale, red = panel_views.channel_picture(np.array([[-2.0, 0.0, 2.0]]), most=2.0)[0].astype(int)
    assert blue[2] > blue[0] + 50 and red[0] > red[2] + 50 and np.ptp(pale) < 20


def fork(was, now, **given):
    values = {"k": 2, "n": 20, "was_fixed": [0, 0.5, 1], "now_fixed": [0.5, 1], "now_steps": [1, 2], **given}
    return machine_views.Fork(was=was[None], now=now[None], **values)


def test_a_branch_says_how_far_it_went():
    now = grey(0)
    now[:2] = 255
    told = words_of(machine_views.fork(fork(grey(0), now)))
    assert "50 % of full brightness" in told and "25 % of the pixels" in told and "step 3 of 20" in told
    assert "25 % 的像素" in words_of(machine_views.fork(fork(grey(0), now)), "zh-CN")


def test_a_branch_without_a_difference_is_said_to_be_equal():
    assert "same picture to the last bit" in words_of(machine_views.fork(fork(grey(9), grey(9))))
    with pytest.raises(ValueError, match="shapes"):
        machine_views.fork(fork(grey(9), grey(9, height=16)))


def futures(*levels, x0):
    pictures = np.stack([grey(level) for level in levels])
    mean = pictures.mean(axis=0).round().astype(np.uint8)
    return SimpleNamespace(
        pictures=pictures, x0_picture=x0, mean_picture=mean, spread=np.zeros((8, 8)), distance=1.0, mean_distance=0.5
    )


def test_x0_is_the_average_only_where_it_is_nearer_to_it_than_to_any_future():
    """Futures at 0 and 102 of 255, mean 51: x0-hat at 51 is their average, at 0 it is the first of them."""
    told = words_of(futures_views.average(futures(0, 102, x0=grey(51)), k=4))
    assert "it is their average" in told and "20 % to 20 % from each" in told and "step 5" in told
    assert "a ratio of 0.50" in told and "= 0.71" in told  # 1 / sqrt(2)
    assert "it is their average" not in words_of(futures_views.average(futures(0, 102, x0=grey(0)), k=4))


def test_equal_futures_are_said_to_be_equal_and_others_by_how_much_they_spread():
    same, other = np.stack([grey(7)] * 4), np.stack([grey(0), grey(0), grey(51), grey(51)])
    assert "same picture" in words_of(futures_views.row(0.0, same, k=0, finished=True))
    told = words_of(futures_views.row(1.0, other, k=0, finished=True))
    assert "10 % of full brightness" in told and "η = 1" in told
    assert "same picture" not in words_of(futures_views.row(0.0, same, k=0, finished=False))


def passage(original, decoded, psnr_db):
    difference = np.abs(decoded.astype(int) - original).mean(axis=2).round().astype(np.uint8)
    return SimpleNamespace(
        original=original, decoded=decoded, latents=np.linspace(-2, 2, 4).reshape(4, 1, 1), psnr_db=psnr_db,
        bytes_picture=192, bytes_latents=8, ms={"encode": 3.0, "decode": 4.0}, difference=difference,
    )  # fmt: skip


def test_the_cost_of_the_autoencoder_is_told_with_its_bytes():
    it = passage(grey(0), grey(51), 14.0)
    told = words_of(latent_views.passage(it))
    assert "14.0 dB" in told and "1/24" in told and "8 × 8 × 3 = 192" in told and "1 × 1 × 4 × 2 = 8" in told
    assert latent_views.passage(it).count("t2i-coarse") == 4 and "−2.00" in told
    assert latent_views.difference_of(it) == pytest.approx(np.full((8, 8), 20), rel=1e-5)
    assert "unchanged" in words_of(latent_views.passage(passage(grey(1), grey(1), float("inf"))))
