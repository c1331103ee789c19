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
@pytest.mark.parametrize(("seen", "finesse"), [(False, None), (True, None), (True, 0.8)])
def test_means_of_the_colours_come_from_the_finer_grid_and_the_rest_is_enlarged(times, seen, finesse, loops):
    rng = np.random.default_rng(4)
    picture = rng.integers(0, 256, (30, 40, 3), np.uint8) if seen else None
    cell = rng.normal(0, 1.5, (30, 40, 7)).astype(np.float32)
    airlight = rng.normal(0, 1, 3).astype(np.float32)
    decode, spread = coefficients.Decoder(loops), coefficients.Spread()
    earlier = rng.normal(0, 1.5, (20, 50, 7)).astype(np.float32)
    spread(decode(earlier, airlight))  # what an earlier grid left must not count
    said = airlight if finesse is None else np.append(airlight, np.float32(finesse))
    finely = lambda planes: [p.repeat(times, 0).repeat(times, 1) for p in planes]  # noqa: E731
    planes = decode(cell, said, 0.8, picture, finely)
    ours = spread(planes)
    exact = cell.astype(float)
    density = 0.8 * np.log1p(np.exp(2 * exact[..., :1] - 3))
    log_gain = density * (1 + np.clip(0.5 * exact[..., 1:4], -1, 1))
    veil = 1 - np.exp(-density)
    shift = 0.35 * np.clip(exact[..., 4:], -1, 1) * veil
    light = 1.1 / (1 + np.exp(-airlight.astype(float)))
    if picture is not None:  # what is finer than a cell is enlarged by 1.5 v^2 more, the cell's mean is not
        more = 1.5 * veil**2 * (1 if finesse is None else 2 / (1 + np.exp(-finesse)))
        shift += more * np.exp(np.minimum(log_gain, 3.5)) * (light - picture / 255)
        log_gain += np.log(1 + more)

    def finer(values: np.ndarray) -> np.ndarray:
        mean = values.mean(2, keepdims=True)
        apart = cv2.resize(values - mean, (40 * times, 30 * times), interpolation=cv2.INTER_LINEAR)
        return mean.repeat(times, 0).repeat(times, 1) + apart

    gain = np.exp(np.minimum(finer(log_gain), 3.5))
    np.testing.assert_allclose(ours[0], gain, rtol=1e-4)
    np.testing.assert_allclose(ours[1], light * (1 - gain) + finer(shift), rtol=1e-4, atol=1e-4)


@both_ways
def test_at_strength_0_the_answer_is_the_frame_bit_for_bit(loops):
    rng = np.random.default_rng(5)
    cell, airlight = rng.normal(0, 1.5, (30, 40, 7)).astype(np.float32), rng.normal(0, 1, 3).astype(np.float32)
    decode = coefficients.Decoder(loops)
    picture = rng.integers(0, 256, (30, 40, 3), np.uint8)
    planes = decode(cell, airlight, 0.0, picture, lambda planes: [p.repeat(2, 0).repeat(2, 1) for p in planes])
    gain, bias = coefficients.Spread()(planes)
    assert (gain == 1).all() and (bias == 0).all()


@both_ways
def test_a_cell_as_bright_as_its_mean_comes_out_as_without_the_detail(loops):
    rng = np.random.default_rng(6)
    cell, airlight = rng.normal(0, 0.7, (30, 40, 7)).astype(np.float32), rng.normal(0, 1, 3).astype(np.float32)
    picture = rng.integers(0, 256, (30, 40, 3), np.uint8)
    with_detail, without = (
        gain * (picture / 255) + bias
        for gain, bias in (
            coefficients.Spread()(coefficients.Decoder(loops)(cell, airlight, 1.0, seen)) for seen in (picture, None)
        )
    )
    np.testing.assert_allclose(with_detail, without, atol=1e-4)


@both_ways
def test_answers_far_outside_of_what_training_gives_stay_finite(loops):
    cell = np.full((4, 5, 7), 40, np.float32)
    cell[0] = -40
    gain, bias = coefficients.Spread()(coefficients.Decoder(loops)(cell, np.full(3, 20, np.float32), 1.5))
    assert np.isfinite(gain).all() and np.isfinite(bias).all()
    assert gain.max() == pytest.approx(np.exp(3.5), rel=1e-5) and (gain[0] == 1).all()
