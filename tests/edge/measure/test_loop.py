"""The loop tells a known duration, keeps every frame, and takes little for itself."""

import time
from itertools import pairwise

import numpy as np
import pytest

from edge.measure import conditions, loop, session, sysfs
from edge.method import FrameTiming

FRAMES = [np.zeros((4, 4, 3), np.uint8)]


class Sleeper:
    """Takes a known time for each frame."""

    def __init__(self, *milliseconds: float) -> None:
        self.milliseconds, self.calls, self.timing = milliseconds, 0, None

    def __call__(self, frame):
        ms = self.milliseconds[self.calls % len(self.milliseconds)]
        self.calls += 1
        time.sleep(ms / 1e3)
        self.timing = FrameTiming(0.1, ms - 0.2, 0.1)
        return frame


def plan(runs=20, seconds=0.3, longest_s=float("inf")):
    return loop.Plan(warmup_runs=2, warmup_s=0, runs=runs, seconds=seconds, longest_s=longest_s)


def test_time_of_a_frame_is_told():
    series = loop.measure([Sleeper(8)], FRAMES, plan())[0]
    assert series.times_ms().min() >= 8
    assert np.percentile(series.times_ms(), 10) < 10, "a busy machine may delay some, not all"
    assert np.median(series.times_ms(3)) == pytest.approx(7.8), "infer, as the subject says"


def test_every_frame_is_kept_and_both_conditions_are_met():
    sleeper = Sleeper(1, 1, 1, 60)
    series = loop.measure([sleeper], FRAMES, plan(runs=30, seconds=0.4))[0]
    assert series.runs == sleeper.calls >= 30
    assert series.seconds >= 0.4
    assert series.times_ms().max() >= 60


def test_warm_up_does_not_count():
    sleeper = Sleeper(2)
    warmed = loop.warm_up(sleeper, FRAMES, plan())
    assert warmed == sleeper.calls == 2
    assert loop.measure([sleeper], FRAMES, plan())[0].runs == sleeper.calls - 2


def test_a_slow_subject_is_cut_after_the_longest_time():
    series = loop.measure([Sleeper(120)], FRAMES, plan(runs=100, seconds=10, longest_s=0.5))[0]
    assert series.runs < 10


@pytest.mark.parametrize("different", [1, 3, 6])
def test_a_frame_waits_like_one_from_a_camera(different):
    """Not the frame that was copied last, which the processor still holds, but the one before the others."""
    seen, places = [], []

    class Watcher(Sleeper):
        def __call__(self, frame):
            seen.append(int(frame[0, 0, 0]))
            places.append(frame.ctypes.data)
            return super().__call__(frame)

    frames = [np.full((4, 4, 3), n, np.uint8) for n in range(different)]
    loop.measure([Watcher(1)], frames, plan(runs=30, seconds=0))
    steps = {(b - a) % different for a, b in pairwise(seen[loop.WAITING :])}
    assert steps == {1 % different}, "one after the other"
    assert all(len(set(places[n : n + loop.WAITING])) == loop.WAITING for n in range(20))


def test_subjects_take_turns_in_changing_order():
    order = []

    class Named(Sleeper):
        def __init__(self, name):
            super().__init__(30)
            self.name = name

        def __call__(self, frame):
            order.append(self.name)
            return super().__call__(frame)

    both = loop.measure([Named("a"), Named("b")], FRAMES, plan(runs=30, seconds=0.9))
    changes = [x for x, y in pairwise(order) if x != y]
    assert changes[:3] == ["a", "b", "a"] or changes[:3] == ["a", "b", "b"]
    assert len(both[0].rounds) == len(both[1].rounds) >= 3


def test_measuring_takes_less_than_two_percent_for_itself():
    monitor, shares = conditions.Monitor(), []
    for _ in range(3):  # what another program takes between two frames counts as overhead too
        series = loop.measure([Sleeper(1)], FRAMES, loop.Plan(0, 0, 100, 1.0), lambda share, index: monitor.sample())[0]
        shares.append(session.latency(series, 0).overhead_share)
    assert min(shares) < 0.02


def test_a_long_run_is_told_window_by_window():
    windows = list(loop.sustain(Sleeper(5), FRAMES, seconds=1.2, window_s=0.5))
    assert 2 <= len(windows) <= 4
    assert [w.at_s for w in windows] == sorted(w.at_s for w in windows)
    assert all(w.fps < 200 and w.times_ms.min() >= 5 for w in windows)


class TestMarks:
    def conditions(self, **change):
        nothing = conditions.Sensed(None, None, None)
        known = {"throttled": (), "others_cores": 0.0, "stolen_share": 0.0, "swapped_pages": 0, **change}
        return conditions.Conditions(temperature_c=nothing, frequency_mhz=nothing, governor=None, **known)

    @pytest.mark.parametrize(
        ("change", "mark"),
        [
            ({"throttled": ("under-voltage",)}, "throttled: under-voltage"),
            ({"others_cores": 1.04}, "crowded: other programs kept 1.0 cores busy"),
            ({"stolen_share": 0.3}, "the host took 30% of the processor"),
            ({"swapped_pages": 900}, "swapping: 900 pages"),
        ],
    )
    def test_what_makes_a_figure_doubtful_is_said(self, change, mark):
        assert conditions.marks(self.conditions(**change)) == (mark,)

    def test_a_quiet_run_has_no_mark(self):
        assert conditions.marks(self.conditions()) == ()

    def test_what_a_machine_does_not_tell_is_no_mark(self):
        assert conditions.marks(self.conditions(throttled=None, others_cores=None, swapped_pages=None)) == ()


def pi_root(tmp_path, monkeypatch, throttled):
    """A Raspberry Pi's vcgencmd that answers from a file, and a thermal zone."""
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("cpu-thermal\n")
    (zone / "temp").write_text("60000\n")
    (tmp_path / "throttled").write_text(throttled)
    program = tmp_path / "vcgencmd"
    program.write_text(f"#!/bin/sh\n[ $1 = get_throttled ] && cat {tmp_path}/throttled || exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_a_board_that_throttles_during_the_run_is_marked(tmp_path, monkeypatch):
    root = pi_root(tmp_path, monkeypatch, "throttled=0x0")
    monitor = conditions.Monitor(root=root)
    (root / "sys/class/thermal/thermal_zone0/temp").write_text("84500\n")
    (root / "throttled").write_text("throttled=0x80008")
    seen = monitor.finish()
    assert seen.throttled == ("soft temperature limit",)
    assert (seen.temperature_c.before, seen.temperature_c.after) == (60, 84.5)
    assert conditions.marks(seen) == ("throttled: soft temperature limit",)


def test_throttling_before_the_run_is_not_held_against_it(tmp_path, monkeypatch):
    monitor = conditions.Monitor(root=pi_root(tmp_path, monkeypatch, "throttled=0x50000"))
    assert monitor.finish().throttled == ()


def test_a_machine_that_cannot_tell_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = conditions.Monitor(root=tmp_path).finish()
    assert (seen.throttled, seen.others_cores, seen.swapped_pages, seen.governor) == (None, None, None, None)


def test_peak_memory_is_of_this_run():
    assert sysfs.forget_peak()
    before = sysfs.peak_resident_mb()
    ballast = np.ones(30 * 2**20, np.uint8)
    assert 25 < sysfs.peak_resident_mb() - before < 60
    del ballast
