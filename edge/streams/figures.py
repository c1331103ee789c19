"""What a stream counts and times while it runs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

WINDOW = 1024


class Recent:
    """The last 1024 values of something, for percentiles."""

    def __init__(self) -> None:
        self._values = np.zeros(WINDOW)
        self._count = 0

    def add(self, value: float) -> None:
        self._values[self._count % WINDOW] = value
        self._count += 1

    def percentile(self, *which: float) -> list[float | None]:
        """Percentiles; None for each while there are no values."""
        values = self._values[: min(self._count, WINDOW)]
        return [float(p) for p in np.percentile(values, which)] if len(values) else [None] * len(which)


class Rate:
    """Events per second over the last few seconds."""

    def __init__(self, span_s: float = 3.0) -> None:
        self._span_s = span_s
        self._ticks: list[tuple[float, int]] = []
        self._count = 0

    def tick(self) -> None:
        self._count += 1
        now = time.monotonic()
        if not self._ticks or now - self._ticks[-1][0] > 0.1:
            self._ticks.append((now, self._count))
            while len(self._ticks) > 2 and now - self._ticks[1][0] > self._span_s:
                self._ticks.pop(0)

    def per_second(self) -> float:
        """The rate; 0 when nothing came for the span."""
        ticks, count, now = list(self._ticks), self._count, time.monotonic()
        if not ticks or now - ticks[-1][0] > self._span_s:
            return 0.0
        return (count - ticks[0][1] + 1) / max(now - ticks[0][0], 1e-3) if now > ticks[0][0] else 0.0


@dataclass
class SinkFigures:
    """What became of the frames that one sink was given: given = delivered + dropped + failed + waiting.

    Attributes:
        delivered: written.
        overtaken: given up for a newer one before the sink came to it; counted by the model's thread.
        skipped: not written because the sink was lost or the stream ended; counted by the sink's thread.
        failed: the sink could not write them.
    """

    name: str
    delivered: int = 0
    overtaken: int = 0
    skipped: int = 0
    failed: int = 0

    @property
    def dropped(self) -> int:
        return self.overtaken + self.skipped

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "delivered": self.delivered, "dropped": self.dropped, "failed": self.failed}


@dataclass
class Figures:
    """The counts of one stream. Each is written by one thread only.

    captured = broken + dropped + processed + waiting, and for each sink
    processed = delivered + dropped + failed + waiting.

    Attributes:
        captured: frames that the source gave, broken ones included.
        broken: frames that could not be decoded, or not cleared where nothing may pass uncleared.
        overtaken: frames given up before the model for a newer one, or for a lower rate; counted by capture.
        late: frames given up by the model's thread because they were too old, or the stream ended.
        processed: frames that went on to the sinks.
        rested: of those, frames that went through while the air was clear and the model rested.
        uncleared: of those, frames that went through as they came because the model failed.
        reconnects: times that the source was opened again.
        orphaned: frames that a source gave after it had been given up as stalled; not among the captured ones.
    """

    captured: int = 0
    broken: int = 0
    overtaken: int = 0
    late: int = 0
    processed: int = 0
    rested: int = 0
    uncleared: int = 0
    reconnects: int = 0
    orphaned: int = 0
    sinks: list[SinkFigures] = field(default_factory=list)
    latency_ms: Recent = field(default_factory=Recent)
    model_ms: Recent = field(default_factory=Recent)
    rate: Rate = field(default_factory=Rate)
    started_at: float = field(default_factory=time.monotonic)
    captured_at: float = 0.0
    delivered_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def dropped(self) -> int:
        """Frames given up before the model."""
        return self.overtaken + self.late

    def as_json(self) -> dict[str, Any]:
        """What became of the frames, JSON types only."""
        names = ("captured", "broken", "dropped", "processed", "rested", "uncleared", "reconnects", "orphaned")
        return {name: getattr(self, name) for name in names} | {"sinks": [sink.as_json() for sink in self.sinks]}

    def note_delivery(self, sink: SinkFigures, captured_at: float) -> None:
        """Count a delivered frame of that capture time."""
        now = time.monotonic()
        sink.delivered += 1
        self.delivered_at = now
        if sink is self.sinks[0]:
            self.latency_ms.add(1e3 * (now - captured_at))
            self.rate.tick()
