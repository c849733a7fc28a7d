import io
import math

import numpy as np
import pytest
from PIL import Image

from pipelines.tokenise import compare
from pipelines.tokenise.compare import coded, psnr_db, rivals, ssim


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


def test_ssim_is_that_of_every_window_by_hand(picture):
    """In float64, window by window, with variances as means of squared distances from the mean."""
    one, other = picture[:16, :14], np.random.default_rng(1).integers(0, 255, (16, 14, 3)).astype(np.uint8)
    line = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    window = np.outer(line, line) / line.sum() ** 2
    found = []
    for top, left, channel in np.ndindex(6, 4, 3):
        x, y = (p[top : top + 11, left : left + 11, channel].astype(np.float64) for p in (one, other))
        found.append(similarity(x, y, window))
    assert ssim(one, other) == pytest.approx(np.mean(found), rel=1e-9)


def similarity(x: np.ndarray, y: np.ndarray, window: np.ndarray) -> float:
    """Equation 13 of one window."""
    mean_x, mean_y = (window * x).sum(), (window * y).sum()
    variance_x, variance_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
    covariance = (window * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return top / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))


@pytest.mark.parametrize(("shape", "side"), [((8, 30), 7), ((9, 9), 9), ((4, 5), 3), ((1, 6), 1), ((1, 1), 1)])
def test_a_picture_smaller_than_the_window_has_a_smaller_window(shape, side):
    one, other = np.random.default_rng(0).integers(0, 256, (2, *shape, 3)).astype(np.uint8)
    line = np.exp(-0.5 * ((np.arange(side) - side // 2) / 1.5) ** 2)
    window = np.outer(line, line) / line.sum() ** 2
    places = np.ndindex(shape[0] - side + 1, shape[1] - side + 1, 3)
    parts = [[p[y : y + side, x : x + side, c].astype(float) for p in (one, other)] for y, x, c in places]
    assert ssim(one, other) == pytest.approx(np.mean([similarity(*pair, window) for pair in parts]), rel=1e-9)
    assert ssim(one, one) == pytest.approx(1)
    assert math.isfinite(psnr_db(one, other))


@pytest.mark.parametrize("codec", ["JPEG", "WEBP"])
def test_the_search_finds_the_best_of_all_qualities_and_sizes(picture, codec):
    small = picture[:48, :64]
    found = coded(small, codec, most_bytes=700)
    best = 0
    for scale in compare.SCALES:
        size = (round(64 * scale), round(48 * scale))
        shrunk = Image.fromarray(small).resize(size, Image.Resampling.LANCZOS)
        for quality in range(1, 96):
            content = compare._encode(shrunk, codec, quality)
            if len(content) <= 700:
                back = Image.open(io.BytesIO(content)).convert("RGB").resize((64, 48), Image.Resampling.LANCZOS)
                best = max(best, psnr_db(small, np.asarray(back)))
    assert psnr_db(small, found.pixels) > best - 0.1  # a lower quality can be nearer by chance


@pytest.mark.parametrize("codec", ["JPEG", "WEBP"])
def test_a_codec_stays_within_its_bytes_and_uses_them(picture, codec):
    small, large = (coded(picture, codec, most_bytes=size) for size in (900, 2500))
    assert small.bytes <= 900
    assert large.bytes <= 2500
    assert small.pixels.shape == picture.shape
    assert psnr_db(picture, large.pixels) > psnr_db(picture, small.pixels)


def test_what_never_fits_is_as_small_as_it_gets(picture):
    found = coded(picture, "JPEG", most_bytes=10)
    assert (found.quality, found.scale) == (1, 0.25)
    assert 10 < found.bytes < 500
    assert found.pixels.shape == picture.shape


def test_rivals_come_with_their_figures_and_say_when_they_do_not_fit(picture):
    jpeg, webp = rivals(picture, 900)
    assert (jpeg.codec, webp.codec) == ("JPEG", "WEBP")
    for one in (jpeg, webp):
        assert one.fits
        assert one.coded.bytes <= 900
        assert one.psnr == psnr_db(picture, one.coded.pixels)
        assert one.ssim == ssim(picture, one.coded.pixels)
    assert not any(one.fits for one in rivals(picture, 20))


@pytest.mark.parametrize("shape", [(8, 8), (4, 60), (1, 1)])
def test_the_smallest_pictures_have_rivals_too(shape):
    tiny = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    for one in rivals(tiny, 2):
        assert not one.fits
        assert one.coded.pixels.shape == tiny.shape
        assert 0 < one.psnr < math.inf
