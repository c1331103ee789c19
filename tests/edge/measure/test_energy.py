"""Each bundle's energy is its own, also where bundles take turns."""

import time
from dataclasses import replace

import numpy as np
import pytest

from edge.measure import energy, loop, record, session
from edge.measure.machine import this_machine
from edge.method import FrameTiming

FRAME = np.zeros((4, 4, 3), np.uint8)


class Meter:
    """Counts what the subjects say they use."""

    source, at_once, closed = "a meter", True, False

    def __init__(self):
        self.used = self.told = self.metered = 0.0
        self.last = None

    def sample(self):
        now = time.monotonic()
        self.metered += now - (self.last or now)
        self.told, self.last = self.used, now

    def joules(self):
        return self.told

    def seconds(self):
        return self.metered

    def watts(self):
        return None

    def close(self):
        self.closed = True


class Subject:
    """Takes a millisecond and some joules for each frame."""

    def __init__(self, meter, joules):
        self.meter, self.joules, self.timing = meter, joules, FrameTiming(0.1, 0.8, 0.1)

    def __call__(self, frame):
        time.sleep(0.001)
        self.meter.used += self.joules
        return frame


def measured(monkeypatch, meter, *joules, reason=""):
    """Measurements of subjects that use so many joules a frame."""
    monkeypatch.setattr(energy, "find_meter", lambda: (meter, reason))
    subject = record.Subject("a", "", "frame", {}, "onnx", "fp32", 0)
    startup = record.Startup(0.0, 0.0, 0.0)
    settings = session.Settings(
        machine=this_machine(), command="", device="CPU", threads=1, plan=loop.Plan(2, 0, 50, 1.2), quick=False,
        frames=(FRAME,), data=None,
    )  # fmt: skip
    opened = [
        session.Opened(replace(subject, name=str(j)), Subject(meter, j), "CPU", "fp32", startup, "") for j in joules
    ]
    return session.run(opened, settings, lambda share: None)


def test_energy_of_one_is_all_that_the_meter_saw(monkeypatch):
    meter = Meter()
    (m,) = measured(monkeypatch, meter, 0.5)
    assert m.energy.mj_per_frame == pytest.approx(500, rel=0.1)
    assert m.energy.joules == pytest.approx(0.5 * m.energy.frames)
    assert m.energy.frames == m.latency.runs and meter.closed


def test_bundles_that_take_turns_have_energy_of_their_own(monkeypatch):
    first, second = measured(monkeypatch, Meter(), 0.5, 2.0)
    assert first.energy.mj_per_frame == pytest.approx(500, rel=0.1)
    assert second.energy.mj_per_frame == pytest.approx(2000, rel=0.1)
    assert first.energy.joules == pytest.approx(0.5 * first.energy.frames)
    assert second.energy.joules == pytest.approx(2 * second.energy.frames)


def test_a_meter_that_is_read_now_and_then_tells_one_bundle_but_not_two(monkeypatch):
    meter = Meter()
    meter.at_once = False
    (alone,) = measured(monkeypatch, meter, 0.5)
    assert alone.energy.mj_per_frame == pytest.approx(500, rel=0.2), "the first frames go before the first reading"
    for m in measured(monkeypatch, meter, 0.5, 2.0):
        assert m.energy is None and "too seldom to tell bundles apart" in m.energy_missing


class Clock:
    """Time that passes only when told."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.mark.parametrize("powers", [(10.0, 5.0), (15.0, 5.0, 5.0)])
def test_a_power_meter_charges_each_turn_with_its_own_power_and_nobody_with_what_lies_between(monkeypatch, powers):
    clock, power = Clock(), [1.0]
    monkeypatch.setattr(energy, "time", clock)
    split = energy.Split(energy.PowerMeter("INA3221", lambda: power[0], at_once=True), len(powers))
    for turn in range(12):
        order = list(range(len(powers)))
        for index in order[turn % len(powers) :] + order[: turn % len(powers)]:
            clock.now += 0.1  # between turns, at the power of whoever came before
            split.begin()
            power[0] = powers[index]
            clock.now += 0.25
            split.turn(index)
    for found, watts in zip(split.finish([(3.0, 120)] * len(powers)), powers, strict=True):
        assert found.seconds == pytest.approx(3.0)
        assert found.joules == pytest.approx(3.0 * watts)
        assert found.mj_per_frame == pytest.approx(1e3 * 3.0 * watts / 120)


def test_a_meter_that_misses_the_ends_of_a_run_tells_the_power_of_its_middle(monkeypatch):
    meter = energy.PowerMeter("tegrastats", lambda: None)
    split = energy.Split(meter, 1)
    for line in range(4):
        meter.add(0.5 + 0.5 * line, 8.0)
        split.turn(0)
    (found,) = split.finish([(2.4, 120)])
    assert (found.joules, found.seconds) == (pytest.approx(12.0), pytest.approx(1.5))
    assert found.mj_per_frame == pytest.approx(8.0 * 2.4 / 120 * 1e3)


def test_a_meter_that_says_nothing_is_not_zero(monkeypatch):
    for m in measured(monkeypatch, Meter(), 0.0, 0.0):
        assert m.energy is None and m.energy_missing == "a meter gave no reading"
