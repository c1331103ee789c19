"""The noise of a frame is told, and a video's fine detail enlarged less for it."""

import numpy as np
import pytest

from edge.haze import hazed
from edge.noise import EVERY, NoiseMeter, noise_of
from edge.scenes import landscape
from edge.smoothing import Smoother

HEIGHT, WIDTH = 240, 320


def scene(kind: str) -> np.ndarray:
    """A picture without noise, float64 in grey levels."""
    if kind == "flat":
        return np.full((HEIGHT, WIDTH, 3), 120.0)
    if kind == "sky":
        return np.linspace(90, 200, HEIGHT)[:, None, None] + np.linspace(0, 20, WIDTH)[None, :, None] + np.zeros(3)
    drawn = landscape(3, WIDTH, HEIGHT)
    thickness = np.minimum(0.9 * drawn.depth / np.median(drawn.depth), 4)
    return 255.0 * hazed(drawn.picture.astype(np.float32) / 255, thickness, np.array([0.88, 0.9, 0.92], np.float32))


def noisy(picture: np.ndarray, deviation: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, deviation, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("deviation", [1.0, 2.0, 4.0, 8.0])
@pytest.mark.parametrize("kind", ["flat", "sky", "landscape in haze"])
def test_the_noise_that_was_added_is_told_within_a_fifth(kind, deviation):
    assert noise_of(noisy(scene(kind), deviation)) == pytest.approx(deviation, rel=0.2)


@pytest.mark.parametrize("kind", ["flat", "sky", "landscape in haze"])
def test_a_picture_without_noise_has_little(kind):
    assert noise_of(np.rint(scene(kind)).astype(np.uint8)) < 0.5


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (30, 33)])
def test_a_frame_too_small_to_tell_has_none_or_some_but_no_error(shape):
    assert noise_of(np.full((*shape, 3), 9, np.uint8)) == 0


def test_the_meter_looks_at_some_frames_only():
    meter = NoiseMeter()
    first = meter(noisy(scene("flat"), 0.01))
    assert first > 0.99
    grainy = noisy(scene("flat"), 4.0)
    assert [meter(grainy) for _ in range(EVERY - 1)] == [first] * (EVERY - 1)
    assert meter(grainy) == pytest.approx(1.6**2 / (1.6**2 + 4**2), rel=0.3)


@pytest.mark.parametrize("said", [None, 0.0, 1.5, -3.0, 500.0, -500.0])
def test_noise_takes_from_what_is_asked_for_fine_detail_and_nothing_else(said):
    smoother, cell = Smoother(0.2), np.zeros((12, 16, 7), np.float32)
    airlight = np.array([0.1, 0.2, 0.3] + ([] if said is None else [said]), np.float32)
    frame = noisy(scene("flat"), 4.0)
    small = frame[:: HEIGHT // 12, :: WIDTH // 16]
    for _ in range(3):
        smooth, light = smoother(small, cell, airlight, frame)
    assert not smooth.any()
    np.testing.assert_allclose(light[:3], airlight[:3], atol=1e-6)
    asked = 1 / (1 + np.exp(-np.clip(said or 0.0, -20, 20)))
    assert 1 / (1 + np.exp(-float(light[3]))) == pytest.approx(asked * 1.6**2 / (1.6**2 + 4**2), rel=0.3)


def test_without_smoothing_a_frame_is_as_if_alone():
    airlight = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    frame = noisy(scene("flat"), 4.0)
    _, light = Smoother(0)(frame, np.zeros((12, 16, 7), np.float32), airlight, frame)
    assert light is airlight
