"""The measure of flicker: nothing for a picture that only moves, all of it for one that changes."""

import numpy as np
import pytest

from benchmarks.video import change_along, share_of_flicker, shares


@pytest.mark.parametrize(("right", "down"), [(4, 0), (-3, 2), (0, -1)])
@pytest.mark.parametrize("block", [1, 8])
def test_what_only_moves_does_not_flicker(right, down, block):
    picture = np.random.default_rng(0).integers(0, 200, (160, 160, 3), np.uint8)
    windows = [picture[40 + n * down :][:64, 40 + n * right :][:, :64] for n in range(10)]
    assert change_along(windows, (right, down), block) == 0
    brighter = [window + np.uint8(5 * (n % 2)) for n, window in enumerate(windows)]
    assert change_along(brighter, (right, down), block) == pytest.approx(5)


def test_means_of_blocks_leave_little_of_noise():
    rng = np.random.default_rng(1)
    noise = [np.clip(rng.normal(128, 8, (64, 64, 3)), 0, 255).astype(np.uint8) for _ in range(10)]
    assert change_along(noise, (0, 0), 8) < 0.2 * change_along(noise, (0, 0))


def test_flicker_is_what_the_output_changes_more_than_its_input():
    assert share_of_flicker(smoothed=4.0, single=5.0, of_input=3.0) == pytest.approx(0.5)
    assert share_of_flicker(smoothed=2.5, single=5.0, of_input=3.0) == pytest.approx(-0.25)
    assert share_of_flicker(smoothed=2.5, single=3.0, of_input=3.0) is None


def test_the_change_with_nothing_subtracted_stands_beside_it():
    row = {"flicker": 0.5, "change": 0.8, "flicker_of_means": None, "change_of_means": 0.9}
    assert shares(row) == "flicker 0.50 of that frame by frame (change 0.80), of 8x8 means – (0.90)"
