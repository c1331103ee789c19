"""PSNR and SSIM agree with scikit-image's, an independent implementation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import FrameError
from edge.measure.quality import psnr_db, ssim

metrics = pytest.importorskip("skimage.metrics")


def pictures(seed: int, height: int, width: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    base = 127 + 60 * np.sin(rows / 7)[..., None] + 50 * np.cos(columns / 11)[..., None] * np.array([1, 0.5, -1])
    return tuple(np.clip(base + rng.normal(0, s, base.shape), 0, 255).astype(np.uint8) for s in (2, noise))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(11, 90), st.integers(11, 90), st.floats(1, 80))
def test_agrees_with_scikit_image(seed, height, width, noise):
    a, b = pictures(seed, height, width, noise)
    x, y = a / 255, b / 255
    assert psnr_db(a, b) == pytest.approx(metrics.peak_signal_noise_ratio(x, y, data_range=1), abs=1e-9)
    expected = metrics.structural_similarity(
        x, y, channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(a, b) == pytest.approx(expected, abs=1e-9)


def test_tall_pictures_are_scored_as_one():
    a, b = pictures(3, 700, 40, 20)
    expected = metrics.structural_similarity(
        a / 255, b / 255, channel_axis=2, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(a, b) == pytest.approx(expected, abs=1e-9)


def test_equal_pictures_are_perfect():
    a, _ = pictures(1, 40, 30, 3)
    assert psnr_db(a, a) == math.inf
    assert ssim(a, a) == pytest.approx(1, abs=1e-6)


def test_black_against_white_is_as_far_as_it_gets():
    black, white = np.zeros((20, 20, 3), np.uint8), np.full((20, 20, 3), 255, np.uint8)
    assert psnr_db(black, white) == 0
    assert ssim(black, white) == pytest.approx(0, abs=1e-3)


def test_one_grey_level_everywhere_is_48_db():
    a = np.full((300, 200, 3), 100, np.uint8)
    assert psnr_db(a, a + 1) == pytest.approx(20 * math.log10(255))


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 50, 3), (10, 4, 3)])
def test_pictures_smaller_than_the_window_have_a_score(shape):
    a = np.full(shape, 90, np.uint8)
    assert ssim(a, a) == pytest.approx(1)
    assert 0 < ssim(a, a + 40) < 1


@pytest.mark.parametrize("metric", [psnr_db, ssim])
def test_pictures_of_other_sizes_or_types_are_refused(metric):
    a = np.zeros((4, 5, 3), np.uint8)
    with pytest.raises(FrameError, match="5x4 and 4x4"):
        metric(a, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(FrameError, match="float64"):
        metric(a, a / 255)
    with pytest.raises(FrameError, match="uint8 RGB"):
        metric(a[..., 0], a[..., 0])
