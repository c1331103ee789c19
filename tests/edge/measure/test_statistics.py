"""Percentiles by their definition, and intervals that hold what they promise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.measure.statistics import (
    drift,
    mean_interval,
    percentile,
    percentile_intervals,
    ratio_of_medians,
    student,
    summarise,
)


@given(st.lists(st.floats(0.01, 1000), min_size=1, max_size=300), st.sampled_from([50, 90, 95, 99]))
def test_nearest_rank(times, q):
    ordered = sorted(times)
    assert percentile(np.array(times), q) == ordered[math.ceil(q / 100 * len(times)) - 1]


def test_summary_keeps_outliers():
    summary = summarise(np.array([1.0] * 99 + [500.0]))
    assert (summary.min, summary.p50, summary.p99, summary.max) == (1, 1, 1, 500)
    assert summary.mean == 5.99


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(60):
        interval = percentile_intervals(rng.lognormal(0, 0.3, 800), (50,), seed)[50]
        held += interval.low <= 1.0 <= interval.high
    assert held >= 50


def test_stretches_of_slow_frames_widen_the_interval():
    rng = np.random.default_rng(2)
    times = rng.lognormal(0, 0.05, 1000)
    stretches = (1 + 0.3 * np.sin(np.arange(1000) / 80)) * times
    shuffled = rng.permutation(stretches)
    widths = [np.ptp(list(vars(percentile_intervals(t, (50,))[50]).values())) for t in (shuffled, stretches)]
    assert widths[1] > 2 * widths[0]


def slow_drift(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Three processes that remember 10, 100 and 1000 frames, as a machine among busy neighbours drifts."""
    drift = np.zeros(frames)
    for memory in (10, 100, 1000):
        keeps = np.exp(-1 / memory)
        shocks = rng.normal(0, 0.06 * np.sqrt(1 - keeps**2), frames)
        shocks[0] = rng.normal(0, 0.06)
        state = 0.0
        for frame, shock in enumerate(shocks):
            state = keeps * state + shock
            drift[frame] += state
    return drift


def test_drifts_as_long_as_the_run_do_not_fool_the_interval():
    """A bootstrap over blocks alone holds the truth in 4 of 10 such runs."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(60):
        interval = percentile_intervals(np.exp(slow_drift(rng, 1500)), (50,))[50]
        held += interval.low <= 1.0 <= interval.high
    assert held >= 45


def test_without_drift_and_with_few_frames_nothing_is_widened():
    rng = np.random.default_rng(6)
    assert np.median([drift(rng.lognormal(0, 0.1, 1000)) for _ in range(20)]) < 1.2
    assert drift(np.arange(1.0, 40.0)) == 1.0
    assert drift(np.full(1000, 3.0)) == 1.0
    assert drift(np.geomspace(1, 2, 1000)) > 3


def test_a_clock_too_coarse_for_a_frame_still_gives_an_interval():
    interval = percentile_intervals(np.array([0.0, 0.0, 1.0] * 30), (50, 90))
    assert interval[50].low <= 1e-6 and interval[90].high == 1.0


def test_ratio_of_bundles_that_took_turns_is_not_fooled_by_a_busy_machine():
    rng = np.random.default_rng(3)
    load = np.exp(rng.normal(0, 0.5, 60))  # each round, the machine is up to several times slower or faster
    a = [2.0 * x * rng.lognormal(0, 0.02, 20) for x in load]
    b = [3.0 * x * rng.lognormal(0, 0.02, 20) for x in load]
    ratio, interval = ratio_of_medians(a, b)
    assert abs(ratio - 1.5) < 0.03
    assert interval.low <= 1.5 <= interval.high
    assert interval.high - interval.low < 0.15


@pytest.mark.parametrize("count", [2, 3, 5, 10, 40])
def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says_also_over_few(count):
    rng = np.random.default_rng(count)
    intervals = [mean_interval(rng.normal(20, 3, count)) for _ in range(2000)]
    assert 0.935 < np.mean([i.low <= 20 <= i.high for i in intervals]) < 0.965


def test_several_pictures_of_one_scene_do_not_make_the_interval_narrower():
    rng = np.random.default_rng(0)
    held = np.zeros(2)
    for _ in range(1000):
        levels = rng.integers(1, 6, 12)  # hazy pictures of each of 12 scenes
        values = np.repeat(rng.normal(20, 3, 12), levels) + rng.normal(0, 0.5, levels.sum())
        scenes = np.repeat([f"scene {n}" for n in range(12)], levels)
        both = mean_interval(values, scenes), mean_interval(values)
        held += [i.low <= 20 <= i.high for i in both]
    assert 900 < held[0] < 970
    assert held[1] < 850, "as if each picture were a scene of its own"


def test_one_value_or_one_scene_has_no_interval():
    assert mean_interval(np.array([20.0])) is None
    assert mean_interval(np.array([20.0, 25.0]), ["a", "a"]) is None


def test_student_s_quantiles_are_those_of_the_tables():
    for freedom, reach in ((1, 12.7062), (4, 2.7764), (11, 2.2010), (20, 2.0860), (60, 2.0003)):
        assert student(freedom) == pytest.approx(reach, abs=2e-4)
    assert student(10**6) == pytest.approx(1.96, abs=1e-4)


def test_mean_interval_of_equal_scores_is_a_point():
    interval = mean_interval(np.array([20.0] * 5))
    assert interval.low == interval.high == 20
