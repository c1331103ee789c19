"""The mean error of a grid model's answers: what is taken off INT8's biases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import coefficients
from quantization.bias import mean_errors

CHANNELS = coefficients.CHANNELS
THICK, CLEAR = 2.0, -8.0  # raw density: an optical thickness of 1.3, and none


def answer(density: float, seed: int = 0, lights: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    cell = rng.normal(0, 0.3, (6, 8, CHANNELS)).astype(np.float32)
    cell[..., 0] = density
    return cell, rng.normal(1, 0.5, lights).astype(np.float32)


@given(
    st.lists(st.floats(-0.2, 0.2), min_size=CHANNELS + 4, max_size=CHANNELS + 4),
    st.lists(st.floats(-6, 3), min_size=1, max_size=4),
)
def test_an_error_that_is_the_same_everywhere_is_found(error, densities):
    of_cell, of_light = np.array(error[:CHANNELS]), np.array(error[CHANNELS:])
    exact = [answer(density, seed, lights=4) for seed, density in enumerate(densities)]
    found_cell, found_light = mean_errors((one, (one[0] + of_cell, one[1] + of_light)) for one in exact)
    np.testing.assert_allclose(found_cell, of_cell, atol=1e-6)
    np.testing.assert_allclose(found_light, of_light, atol=1e-6)


def test_what_is_said_of_clear_air_hardly_counts():
    hazy, clear = answer(THICK), answer(CLEAR)
    found, _ = mean_errors([(hazy, (hazy[0] + 0.01, hazy[1])), (clear, (clear[0] - 5, clear[1]))])
    assert found == pytest.approx(0.01, abs=1e-3)


def test_within_a_picture_the_denser_places_count_by_the_square_of_the_veil():
    cell, light = answer(THICK)
    cell[:, :4, 0] = thin = 0.5
    rounded = cell.copy()
    rounded[:, :4] += 1
    found, _ = mean_errors([((cell, light), (rounded, light))])
    thickness = np.log1p(np.exp(coefficients.DENSITY_SLOPE * np.array([thin, THICK]) + coefficients.DENSITY_OFFSET))
    counts = (1 - np.exp(-thickness)) ** 2
    assert found == pytest.approx(counts[0] / counts.sum(), abs=1e-3)


def test_clear_pictures_alone_have_a_mean_too():
    clear = answer(-30.0)
    found, _ = mean_errors([(clear, (clear[0] + 0.25, clear[1]))])
    assert found == pytest.approx(0.25, abs=1e-6)
