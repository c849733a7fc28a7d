import math

import numpy as np
import pytest

from pipelines.tokenise.compare import coded, psnr_db, ssim


@pytest.fixture
def picture():
    """A soft pattern in colour, 96 x 128."""
    y, x = np.mgrid[0:96, 0:128]
    waves = [np.sin(x / 9 + phase) * np.cos(y / 7) for phase in (0, 1, 2)]
    return (127 + 100 * np.stack(waves, axis=2)).astype(np.uint8)


def test_psnr_by_hand(picture):
    assert psnr_db(picture, picture) == math.inf
    assert psnr_db(picture, picture + np.uint8(5)) == pytest.approx(20 * math.log10(255 / 5))


def test_ssim_of_equal_of_shifted_and_of_unlike_pictures(picture):
    assert ssim(picture, picture) == pytest.approx(1)
    noise = np.random.default_rng(0).integers(0, 255, picture.shape, dtype=np.uint8)
    assert ssim(picture, picture + np.uint8(10)) > 0.95
    assert abs(ssim(picture, noise)) < 0.1


def test_ssim_of_flat_pictures_is_its_first_factor():
    flat, other = np.full((20, 20, 3), 100, np.uint8), np.full((20, 20, 3), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert ssim(flat, other) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))


@pytest.mark.parametrize("codec", ["JPEG", "WEBP"])
def test_a_codec_stays_within_its_bytes_and_uses_them(picture, codec):
    small, large = (coded(picture, codec, most_bytes=size) for size in (900, 2500))
    assert small.bytes <= 900
    assert large.bytes <= 2500
    assert small.pixels.shape == picture.shape
    assert psnr_db(picture, large.pixels) > psnr_db(picture, small.pixels)


def test_what_never_fits_is_as_small_as_it_gets(picture):
    assert coded(picture, "JPEG", most_bytes=10).bytes > 10
