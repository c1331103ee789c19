"""Raw answers to gain and bias: the arithmetic written out in float64."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge import coefficients, native

WAYS = [None, *([native.loops] if native.loops is not None else [])]
both_ways = pytest.mark.parametrize("loops", WAYS, ids=["image library", "loops in C"][: len(WAYS)])


@both_ways
@pytest.mark.parametrize("times", [1, 2, 3])
def test_means_of_the_colours_come_from_the_finer_grid_and_the_rest_is_enlarged(times, loops):
    rng = np.random.default_rng(4)
    cell = rng.normal(0, 1.5, (30, 40, 7)).astype(np.float32)
    airlight = rng.normal(0, 1, 3).astype(np.float32)
    decode, spread = coefficients.Decoder(loops), coefficients.Spread()
    earlier = rng.normal(0, 1.5, (20, 50, 7)).astype(np.float32)
    spread(decode(earlier, airlight))  # what an earlier grid left must not count
    planes = decode(cell, airlight, 0.8, lambda planes: [p.repeat(times, 0).repeat(times, 1) for p in planes])
    ours = spread(planes)
    exact = cell.astype(float)
    density = 0.8 * np.log1p(np.exp(2 * exact[..., :1] - 3))
    log_gain = density * (1 + np.clip(0.5 * exact[..., 1:4], -1, 1))
    shift = 0.35 * np.clip(exact[..., 4:], -1, 1) * (1 - np.exp(-density))

    def finer(values: np.ndarray) -> np.ndarray:
        mean = values.mean(2, keepdims=True)
        apart = cv2.resize(values - mean, (40 * times, 30 * times), interpolation=cv2.INTER_LINEAR)
        return mean.repeat(times, 0).repeat(times, 1) + apart

    gain = np.exp(np.minimum(finer(log_gain), 3.5))
    light = 1.1 / (1 + np.exp(-airlight.astype(float)))
    np.testing.assert_allclose(ours[0], gain, rtol=1e-4)
    np.testing.assert_allclose(ours[1], light * (1 - gain) + finer(shift), rtol=1e-4, atol=1e-4)


@both_ways
def test_at_strength_0_the_answer_is_the_frame_bit_for_bit(loops):
    rng = np.random.default_rng(5)
    cell, airlight = rng.normal(0, 1.5, (30, 40, 7)).astype(np.float32), rng.normal(0, 1, 3).astype(np.float32)
    decode = coefficients.Decoder(loops)
    planes = decode(cell, airlight, 0.0, lambda planes: [p.repeat(2, 0).repeat(2, 1) for p in planes])
    gain, bias = coefficients.Spread()(planes)
    assert (gain == 1).all() and (bias == 0).all()


@both_ways
def test_answers_far_outside_of_what_training_gives_stay_finite(loops):
    cell = np.full((4, 5, 7), 40, np.float32)
    cell[0] = -40
    gain, bias = coefficients.Spread()(coefficients.Decoder(loops)(cell, np.full(3, 20, np.float32), 1.5))
    assert np.isfinite(gain).all() and np.isfinite(bias).all()
    assert gain.max() == pytest.approx(np.exp(3.5), rel=1e-5) and (gain[0] == 1).all()
