"""Banding is what it is called: it grows with the height of the steps, and noise, texture and flat areas have none."""

import cv2
import numpy as np
import pytest

from edge.errors import FrameError
from edge.measure.banding import FLAT_SHARE, FLAT_WINDOW, LARGEST_STEP, WINDOW, banding, unevenness

HEIGHT, WIDTH = 90, 160


def grey(plane):
    return np.repeat(np.clip(np.rint(plane), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def sky(step):
    """A gradient of 40 grey levels, in steps of this height."""
    ramp = 100 + 40 * np.arange(WIDTH) / WIDTH
    return grey(np.tile(np.floor(ramp / step) * step, (HEIGHT, 1)))


def test_higher_steps_are_more_banding():
    found = [banding(sky(step)) for step in (1, 2, 4)]
    assert found == sorted(found) and found[0] < 0.5 * found[2]


def test_noise_texture_and_one_flat_area_have_none():
    rng = np.random.default_rng(0)
    assert banding(grey(rng.uniform(0, 255, (HEIGHT, WIDTH)))) == 0
    assert banding(grey(100 + 40 * (np.indices((HEIGHT, WIDTH)).sum(0) % 2))) == 0
    assert banding(grey(np.full((HEIGHT, WIDTH), 120))) == 0


def test_an_edge_is_not_a_band():
    assert banding(grey(np.where(np.arange(WIDTH) < 80, 60, 180) * np.ones((HEIGHT, 1)))) == 0


def test_what_is_not_measured_gives_nothing():
    """Steps of more than 4 grey levels, and bands of colour between which brightness stays the same."""
    assert banding(sky(LARGEST_STEP)) > 0 and banding(sky(LARGEST_STEP + 1)) == 0
    colours = np.where((np.arange(WIDTH) // 20 % 2)[:, None], (110, 120, 105), (120, 115, 105)).astype(np.uint8)
    picture = np.tile(colours, (HEIGHT, 1, 1))
    assert np.ptp(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)) == 0 and banding(picture) == 0


def test_it_agrees_with_a_count_pixel_by_pixel():
    picture = sky(3)[:30, :60].copy()
    picture[10:14, 20:30] += 1

    assert banding(picture) == pytest.approx(counted(picture[..., 0].astype(int)), abs=1e-5)


def counted(levels):
    """The same in plain loops."""
    height, width = levels.shape
    equal = np.zeros((height, width))
    equal[:-1, :-1] = (levels[:-1, :-1] == levels[:-1, 1:]) & (levels[:-1, :-1] == levels[1:, :-1])
    half = FLAT_WINDOW // 2
    mirrored = np.pad(equal, half, mode="symmetric")
    flat = np.array(
        [
            [mirrored[y : y + FLAT_WINDOW, x : x + FLAT_WINDOW].mean() >= FLAT_SHARE - 1e-6 for x in range(width)]
            for y in range(height)
        ]
    )
    total, half = 0.0, WINDOW // 2
    for y, x in zip(*np.nonzero(flat), strict=True):
        around = np.s_[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
        counts = np.bincount(levels[around][flat[around]], minlength=300)
        p = counts / WINDOW**2
        own = levels[y, x]
        total += max(
            k * p[own] * max(p[own + k * side] / (p[own] + p[own + k * side]) for side in (-1, 1))
            for k in range(1, LARGEST_STEP + 1)
        )
    return total / levels.size


def test_blotches_of_cells_are_uneven_also_under_noise_and_noise_alone_is_not():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.5, (HEIGHT, WIDTH))
    blotches = np.kron(rng.choice([0.0, 4.0], (HEIGHT // 10, WIDTH // 10)), np.ones((10, 10)))

    assert unevenness(grey(120 + noise)) < 0.2
    assert unevenness(grey(120 + noise + blotches)) > 1.2


def test_other_pictures_are_refused():
    with pytest.raises(FrameError, match="uint8 RGB"):
        banding(np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize("measure", [banding, unevenness])
@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 8, 3), (8, 0, 3)])
def test_a_picture_without_pixels_is_refused_in_words(measure, shape):
    with pytest.raises(FrameError, match="with pixels in it"):
        measure(np.zeros(shape, np.uint8))
