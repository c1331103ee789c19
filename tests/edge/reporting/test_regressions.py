"""Noise raises no alarm, a true slow-down does.

Frame times here are made as a shared machine makes them: a log-normal core, bursts of a neighbour, a slow drift,
and from run to run an offset of 1.2 % (`benchmarks/noise.py` asks the same of real runs).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.reporting import rows
from edge.reporting.regressions import (
    MARGIN,
    TAIL_BETWEEN_RUNS,
    TAIL_MARGIN,
    compare,
    is_slower,
    margin_of,
    tail_ratio,
    time_ratio,
)


def run_of_frames(seed: int, slower: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n = 4000
    core = 1.1 * rng.lognormal(0, 0.04, n) * np.exp(rng.normal(0, 0.012))
    drift = 1 + 0.02 * np.sin(np.linspace(0, rng.uniform(2, 9), n) + rng.uniform(0, 6))
    burst = np.where(np.convolve(rng.random(n) < 0.001, np.ones(120), "same") > 0, rng.uniform(1.2, 2.0), 1.0)
    return slower * core * drift * burst


def alarm(old: np.ndarray, new: np.ndarray) -> bool:
    return is_slower(*time_ratio(old, new))


def test_two_runs_of_the_same_raise_no_alarm_in_50_of_50_pairs():
    assert [alarm(run_of_frames(2 * i), run_of_frames(2 * i + 1)) for i in range(50)] == [False] * 50


def test_a_slow_down_of_ten_percent_is_seen_in_45_of_50_pairs():
    assert sum(alarm(run_of_frames(2 * i), run_of_frames(2 * i + 1, slower=1.1)) for i in range(50)) >= 45


def test_a_neighbour_that_slows_half_of_the_frames_is_no_slow_down():
    rng = np.random.default_rng(5)
    old, new = run_of_frames(1), run_of_frames(2)
    assert not alarm(old, np.where(rng.random(new.size) < 0.45, 1.6 * new, new))


def entries_of(*measurements):
    return [rows.Entry(Path(f"{i}.json"), m, rows._row(m, measurements)) for i, m in enumerate(measurements)]


def test_a_slow_down_is_told_in_words(make):
    (found,), alone = compare(
        entries_of(make(times_ms=run_of_frames(1, 1.3))), entries_of(make(times_ms=run_of_frames(2)))
    )
    assert found.regressed and not alone
    assert found.sentence.startswith("edge-m-openvino-int8: slower: 1.")


def test_a_fifth_of_the_frames_that_take_much_longer_are_seen_at_p90(make):
    rng = np.random.default_rng(0)
    old = rng.lognormal(np.log(20), 0.03, 5000)
    new = np.where(rng.random(5000) < 0.2, 2.5 * old, old)
    (found,), _ = compare(entries_of(make(times_ms=new)), entries_of(make(times_ms=old)))
    assert found.regressed and not found.slower
    assert "slower at p90: 1.00 times the frame time" in found.sentence and "times the p90 (2." in found.sentence


def test_p90_of_two_runs_of_the_same_raises_no_alarm():
    pairs = [tail_ratio(run_of_frames(2 * i), run_of_frames(2 * i + 1)) for i in range(50)]
    assert not any(is_slower(*pair, TAIL_MARGIN, TAIL_BETWEEN_RUNS) for pair in pairs)


def test_scores_on_other_pictures_are_not_compared_and_that_is_said(make):
    new, old = make(psnr_db=20.0), make(psnr_db=25.0)
    old = replace(old, quality=replace(old.quality, digest="e" * 64))
    (found,), _ = compare(entries_of(new), entries_of(old))
    assert not found.regressed and "clearness not compared" in found.sentence


def test_a_crowded_run_proves_nothing(make):
    crowded = make(times_ms=run_of_frames(1, 1.5), marks=("crowded: other programs kept 1.0 cores busy",))
    (found,), _ = compare(entries_of(crowded), entries_of(make(times_ms=run_of_frames(2))))
    assert not found.regressed
    assert "proves nothing: this run was crowded" in found.sentence


def test_less_clear_pictures_are_a_regression_even_in_a_crowded_run(make):
    crowded = make(psnr_db=20.0, marks=("crowded: other programs kept 1.0 cores busy",))
    (found,), _ = compare(entries_of(crowded), entries_of(make(psnr_db=20.2)))
    assert found.regressed and found.psnr_change_db == pytest.approx(-0.2)


def test_the_newest_of_the_same_thing_is_the_baseline_and_others_are_not(make):
    old = make(times_ms=run_of_frames(1, 2), made="2026-01-01T00:00:00+00:00")
    newer = make(times_ms=run_of_frames(1), made="2026-02-01T00:00:00+00:00")
    other_board = make(times_ms=run_of_frames(1, 3), board="Other", made="2026-03-01T00:00:00+00:00")
    found, _ = compare(entries_of(make(times_ms=run_of_frames(2))), entries_of(old, newer, other_board))
    assert len(found) == 1 and found[0].baseline.row.made == newer.run.made
    assert not found[0].slower and not found[0].faster
    assert compare(entries_of(make(board="New")), entries_of(old))[0] == []


def test_a_baseline_of_several_runs_tells_how_much_runs_differ(make):
    unsteady = [make(times_ms=run_of_frames(i, f), made=f"2026-01-0{i}") for i, f in enumerate((1.0, 1.3, 1.1), 1)]
    slower = entries_of(make(times_ms=run_of_frames(9, 1.25)))
    assert compare(slower, entries_of(unsteady[0]))[0][0].slower
    assert not compare(slower, entries_of(*unsteady))[0][0].slower
    assert margin_of([1.0]) == margin_of([1.0, 1.001]) == MARGIN
