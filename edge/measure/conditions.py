"""How the machine was doing while it was measured, and what of it makes a figure doubtful."""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.measure import energy, raspberry, sysfs

SAMPLE_EVERY_S = 1.0
ASK_FIRMWARE_EVERY_S = 5.0  # a process each time
CROWDED_CORES = 0.2
STOLEN_SHARE = 0.02
SWAPPED_PAGES = 64


@dataclass(frozen=True)
class Sensed:
    """A value before, during (the highest) and after; None where this machine does not tell."""

    before: float | None
    highest: float | None
    after: float | None


@dataclass(frozen=True)
class Conditions:
    """The machine during a run.

    Attributes:
        temperature_c: of the processor's hottest sensor.
        frequency_mhz: highest clock of any core.
        governor: who chooses the clock; None where the kernel does not say.
        throttled: what slowed the processor during the run, in words; empty for nothing, None where it cannot tell.
        others_cores: how many processor cores other programs kept busy, on average.
        stolen_share: of the time, taken by the host of a virtual machine.
        swapped_pages: read from or written to swap meanwhile.
    """

    temperature_c: Sensed
    frequency_mhz: Sensed
    governor: str | None
    throttled: tuple[str, ...] | None
    others_cores: float | None
    stolen_share: float | None
    swapped_pages: int | None


def marks(c: Conditions) -> tuple[str, ...]:
    """What a reader must know before trusting the run's figures, in words."""
    found = []
    if c.throttled:
        found.append(f"throttled: {', '.join(c.throttled)}")
    if c.others_cores is not None and c.others_cores > CROWDED_CORES:
        found.append(f"crowded: other programs kept {c.others_cores:.1f} cores busy")
    if c.stolen_share is not None and c.stolen_share > STOLEN_SHARE:
        found.append(f"the host took {c.stolen_share:.0%} of the processor")
    if c.swapped_pages is not None and c.swapped_pages > SWAPPED_PAGES:
        found.append(f"swapping: {c.swapped_pages} pages")
    return tuple(found)


def merged(first: Conditions, then: Conditions) -> Conditions:
    """Of a run in two parts: the worse of both."""
    return Conditions(
        temperature_c=_joined(first.temperature_c, then.temperature_c),
        frequency_mhz=_joined(first.frequency_mhz, then.frequency_mhz),
        governor=then.governor,
        throttled=_either(lambda a, b: tuple(sorted({*a, *b})), first.throttled, then.throttled),
        others_cores=_either(max, first.others_cores, then.others_cores),
        stolen_share=_either(max, first.stolen_share, then.stolen_share),
        swapped_pages=_either(operator.add, first.swapped_pages, then.swapped_pages),
    )


@dataclass
class Monitor:
    """Watches the machine during a run: call `sample` between frames, then `finish`."""

    root: Path = sysfs.ROOT
    meter: energy.Meter | None = None
    _temperatures: list[float] = field(default_factory=list)
    _frequencies: list[float] = field(default_factory=list)
    _throttled: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._governor = sysfs.governor(self.root)
        self._events = sysfs.throttle_events(self.root)
        self._swapped = sysfs.swapped_pages(self.root)
        self._firmware = raspberry.parse_throttled(energy.ask("vcgencmd", "get_throttled"))
        self._asked = time.monotonic()
        self._times = self._time_now()
        self._sampled = 0.0
        self.sample()

    def sample(self) -> None:
        """Look, if the last look is a second ago."""
        now = time.monotonic()
        if now - self._sampled < SAMPLE_EVERY_S:
            return
        self._sampled = now
        if self.meter is not None:
            self.meter.sample()
        if (celsius := sysfs.temperature_c(self.root)) is not None:
            self._temperatures.append(celsius)
        if (megahertz := sysfs.frequency_mhz(self.root)) is not None:
            self._frequencies.append(megahertz)
        if self._firmware is not None and now - self._asked > ASK_FIRMWARE_EVERY_S:
            self._ask_firmware()

    @property
    def temperature_c(self) -> float | None:
        """The last one seen."""
        return self._temperatures[-1] if self._temperatures else None

    @property
    def frequency_mhz(self) -> float | None:
        """The last one seen."""
        return self._frequencies[-1] if self._frequencies else None

    def finish(self) -> Conditions:
        """What was seen since this was made; may be asked again as the run goes on."""
        self._sampled = 0.0
        self.sample()
        if self._firmware is not None:
            self._ask_firmware()
        events = sysfs.throttle_events(self.root)
        if events is not None and self._events is not None and events > self._events:
            self._throttled.add(f"{events - self._events} throttling events")
        swapped = sysfs.swapped_pages(self.root)
        others, stolen = self._others()
        known = events is not None or self._firmware is not None
        return Conditions(
            temperature_c=_sensed(self._temperatures),
            frequency_mhz=_sensed(self._frequencies),
            governor=self._governor,
            throttled=tuple(sorted(self._throttled)) if known else None,
            others_cores=others,
            stolen_share=stolen,
            swapped_pages=None if swapped is None or self._swapped is None else swapped - self._swapped,
        )

    def _ask_firmware(self) -> None:
        self._asked = time.monotonic()
        now = raspberry.parse_throttled(energy.ask("vcgencmd", "get_throttled"))
        if now is not None and self._firmware is not None:
            self._throttled.update(now.now)
            self._throttled.update(set(now.since_boot) - set(self._firmware.since_boot))

    def _others(self) -> tuple[float | None, float | None]:
        wall, own, machine = self._time_now()
        wall0, own0, machine0 = self._times
        if machine is None or machine0 is None or wall <= wall0:
            return None, None
        elapsed = wall - wall0
        others = (machine.busy - machine0.busy - (own - own0)) / elapsed
        return max(0.0, others), (machine.stolen - machine0.stolen) / elapsed / (os.cpu_count() or 1)

    def _time_now(self) -> tuple[float, float, sysfs.ProcessorTime | None]:
        ticks = os.sysconf("SC_CLK_TCK")
        return time.monotonic(), time.process_time(), sysfs.processor_time(self.root, ticks)


def _joined(first: Sensed, then: Sensed) -> Sensed:
    before = first.before if first.before is not None else then.before
    after = then.after if then.after is not None else first.after
    return Sensed(before, _either(max, first.highest, then.highest), after)


def _either(both: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else both(a, b)


def _sensed(values: list[float]) -> Sensed:
    return Sensed(values[0], max(values), values[-1]) if values else Sensed(None, None, None)
