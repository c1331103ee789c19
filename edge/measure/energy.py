"""Energy of a run, from whatever meter the machine has; None, never 0, where it has none."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge.measure import raspberry, sysfs, tegrastats


@dataclass(frozen=True)
class Energy:
    """Energy of the machine or board (idle power included) while frames were dehazed.

    Attributes:
        source: the meter and what it meters.
        joules, seconds: of the time that was metered: some meters miss the beginning and the end of a run.
        frames: of the run.
        mj_per_frame: in millijoules: the power that was metered, for the time that a frame takes.
    """

    source: str
    joules: float
    seconds: float
    frames: int
    mj_per_frame: float


class Meter(Protocol):
    """Something that tells energy: `sample` is called now and then while it runs, at least every few seconds."""

    source: str

    at_once: bool  # whether a sample costs next to no time and tells of this very moment

    def sample(self) -> None: ...

    def joules(self) -> float | None:
        """Between the first and the last sample; None where nothing could be read."""
        ...

    def seconds(self) -> float:
        """From the first sample to the last."""
        ...

    def watts(self) -> float | None:
        """Power between the last two samples."""
        ...

    def close(self) -> None: ...


def find_meter(root: Path = sysfs.ROOT) -> tuple[Meter | None, str]:
    """The machine's meter; or None and why there is none."""
    if counters := sysfs.energy_counters(root):
        if all(sysfs.read_counter(c) is not None for c in counters):
            return RAPL(counters), ""
        return None, f"only root may read RAPL's counters here: sudo chmod a+r {counters[0].path}"
    if power := sysfs.input_power_w(root):
        return PowerMeter(f"INA3221, {power[1]}", lambda: (sysfs.input_power_w(root) or (None, ""))[0], True), ""
    if shutil.which("tegrastats"):
        return Tegrastats(), ""
    if (watts := raspberry.parse_power(ask("vcgencmd", "pmic_read_adc"))) is not None and watts > 0:
        source = "the Raspberry Pi's power chip, sum of its rails (without USB, HATs and converter losses)"
        return PowerMeter(source, lambda: raspberry.parse_power(ask("vcgencmd", "pmic_read_adc"))), ""
    return None, "no meter on this machine (looked for RAPL, INA3221, tegrastats, vcgencmd pmic_read_adc)"


class Split:
    """Tells apart what subjects that take turns use.

    Args:
        meter: None for none; where there are several subjects, one that tells at once.
        subjects: how many.
    """

    def __init__(self, meter: Meter | None, subjects: int) -> None:
        self._meter = meter
        self._joules = [0.0] * subjects
        self._seconds = [0.0] * subjects
        self._seen = 0.0, 0.0
        self._look()

    def begin(self) -> None:
        """A turn begins; what was used since the last one is nobody's."""
        if self._meter is not None and self._meter.at_once:
            self._look()

    def turn(self, index: int) -> None:
        """A turn of that subject has ended."""
        joules, seconds = self._look()
        self._joules[index] += joules
        self._seconds[index] += seconds

    def finish(self, timed: Sequence[tuple[float, int]]) -> list[Energy | None]:
        """Closes the meter; what each has used, None where nothing was metered.

        Args:
            timed: seconds in frames, and frames, of each.
        """
        if self._meter is None:
            return [None for _ in timed]
        if not self._meter.at_once:
            self.turn(0)  # a meter that is read now and then has been read since the last turn
        self._meter.close()
        source = self._meter.source
        return [
            Energy(source, joules, metered, frames, 1e3 * joules / metered * seconds / frames)
            if joules > 0 and metered > 0
            else None
            for joules, metered, (seconds, frames) in zip(self._joules, self._seconds, timed, strict=True)
        ]

    def _look(self) -> tuple[float, float]:
        """Joules and seconds since the last look."""
        if self._meter is None:
            return 0.0, 0.0
        if self._meter.at_once:
            self._meter.sample()
        joules, seconds = self._seen
        self._seen = self._meter.joules() or 0.0, self._meter.seconds()
        return self._seen[0] - joules, self._seen[1] - seconds


class RAPL:
    """Sums the growth of counters, which wrap."""

    at_once = True

    def __init__(self, counters: list[sysfs.EnergyCounter]) -> None:
        self.source = "RAPL, " + ", ".join(c.name for c in counters)
        self._counters = counters
        self._last: list[int] = []
        self._joules: float | None = None
        self._watts: float | None = None
        self._at = self._seconds = 0.0

    def sample(self) -> None:
        now, values = time.monotonic(), [sysfs.read_counter(c) for c in self._counters]
        if any(v is None for v in values):
            return
        read = [v for v in values if v is not None]
        if self._last:
            grown = sum(
                (new - old) % (c.wraps_at + 1) for new, old, c in zip(read, self._last, self._counters, strict=True)
            )
            self._joules = (self._joules or 0.0) + grown / 1e6
            self._seconds += now - self._at
            self._watts = grown / 1e6 / max(1e-6, now - self._at)
        self._last, self._at = read, now

    def joules(self) -> float | None:
        return self._joules

    def seconds(self) -> float:
        return self._seconds

    def watts(self) -> float | None:
        return self._watts

    def close(self) -> None:
        pass


class PowerMeter:
    """Integrates power over time, trapezium by trapezium.

    One that tells at once is read at the beginning and the end of every turn. What it says at the beginning is the
    power of whoever came before: its reading counts for the time until then, not for the time after.
    """

    def __init__(self, source: str, read_watts: Callable[[], float | None], at_once: bool = False) -> None:
        self.source, self.at_once = source, at_once
        self._read = read_watts
        self._joules: float | None = None
        self._seconds = 0.0
        self._last: tuple[float, float] | None = None

    def sample(self) -> None:
        self.add(time.monotonic(), self._read())

    def add(self, at_s: float, watts: float | None) -> None:
        """A reading; None is passed over."""
        if watts is None:
            return
        if self._last is not None:
            before, power = self._last
            mean = watts if self.at_once else (watts + power) / 2
            self._joules = (self._joules or 0.0) + (at_s - before) * mean
            self._seconds += at_s - before
        self._last = (at_s, watts)

    def joules(self) -> float | None:
        return self._joules

    def seconds(self) -> float:
        return self._seconds

    def watts(self) -> float | None:
        return self._last[1] if self._last else None

    def close(self) -> None:
        pass


class Tegrastats(PowerMeter):
    """Reads the lines of a `tegrastats` that runs beside."""

    def __init__(self) -> None:
        super().__init__("tegrastats", lambda: None)
        self._process = subprocess.Popen(
            ["tegrastats", "--interval", "500"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def sample(self) -> None:
        pass  # lines come by themselves

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=5)
        self._thread.join(timeout=5)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            reading = tegrastats.parse(line)
            if reading.watts is not None:
                self.source = f"tegrastats, {reading.rail}"
                self.add(time.monotonic(), reading.watts)


def ask(*command: str) -> str:
    """Standard output of a program; empty where it is not there, fails or hangs."""
    if not shutil.which(command[0]):
        return ""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""
