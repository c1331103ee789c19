"""A camera, a model and a sink that fail when a plan says so; what `benchmarks.soak` runs a stream with."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from edge.dehazer import Dehazer
from edge.errors import SourceError
from edge.streams.faults import BrokenFrame, DiskFull, SinkLost, SourceLost
from edge.streams.frame import Frame, StreamInfo
from edge.streams.memory import FramePool
from edge.streams.sinks.none import NoSink
from edge.streams.spec import parse_sink

KINDS = (
    "unplugged",
    "stalled",
    "broken frame",
    "size changed",
    "clock jumped",
    "answer not finite",
    "runtime error",
    "out of memory",
    "sink gone",
    "disk full",
    "slow sink",
    "bundle opened again",
    "looked at",
)
STALL_S = 0.5


@dataclass
class Plan:
    """Which fault comes when, and what is still to come of the one that has begun.

    Attributes:
        every: how many frames lie between two faults.
        settled: within so many frames at the start each kind comes once.
        given: frames that the source gave so far.
        count: how often each kind came.
    """

    every: int
    settled: int = 0
    given: int = 0
    count: Counter[str] = field(default_factory=Counter)
    missing_opens: int = 0
    small_frames: int = 0
    model_failures: list[type[BaseException] | None] = field(default_factory=list)
    sink_failures: list[type[BaseException] | float] = field(default_factory=list)
    wishes: list[str] = field(default_factory=list)
    jump_s: int = 0
    ended: bool = False

    def next_fault(self) -> str:
        """The fault due at this frame, or nothing."""
        every = min(self.every, self.settled // (len(KINDS) + 1)) if self.given < self.settled else self.every
        if self.given % every or not self.given:
            return ""
        kind = KINDS[self.given // every % len(KINDS)]
        self.count[kind] += 1
        if kind == "unplugged":
            self.missing_opens = 1
        elif kind == "size changed":
            self.small_frames = 60
        elif kind == "clock jumped":
            self.jump_s -= 1000
        elif kind == "answer not finite":
            self.model_failures += [None] * 3
        elif kind == "runtime error":
            self.model_failures += [RuntimeError] * 12
        elif kind == "out of memory":
            self.model_failures += [MemoryError]
        elif kind == "sink gone":
            self.sink_failures += [SinkLost, SinkLost]
        elif kind == "disk full":
            self.sink_failures += [DiskFull]
        elif kind == "slow sink":
            self.sink_failures += [0.2]
        elif kind in ("bundle opened again", "looked at"):
            self.wishes.append(kind)
        return kind


class FaultySource:
    """A live camera that fails as the plan says."""

    live = True

    def __init__(self, plan: Plan, pictures: list[np.ndarray], interval_s: float, frames: int) -> None:
        self._plan, self._pictures, self._interval_s, self._frames = plan, pictures, interval_s, frames
        self._due = time.monotonic()
        self._pool = FramePool()

    def open(self) -> StreamInfo:
        if self._plan.missing_opens:
            self._plan.missing_opens -= 1
            raise SourceError("no such camera")
        return StreamInfo(640, 480, Fraction(30), Fraction(1, 1_000_000))

    def read(self) -> Frame | None:
        plan = self._plan
        if plan.given >= self._frames or plan.ended:
            return None
        now = time.monotonic()
        self._due = max(self._due + self._interval_s, now)
        time.sleep(self._due - now)
        plan.given += 1
        kind = plan.next_fault()
        if kind == "unplugged":
            raise SourceLost("unplugged")
        if kind == "stalled":
            time.sleep(2 * STALL_S)
            raise SourceLost("woke up too late")
        if kind == "broken frame":
            raise BrokenFrame("a frame that cannot be decoded")
        picture = self._pictures[plan.given % len(self._pictures)]
        if plan.small_frames:
            plan.small_frames -= 1
            picture = picture[:240, :320]
        stamp = Fraction(int(1e6 * (time.monotonic() + plan.jump_s)), 1_000_000)
        out = self._pool.take(picture.shape)
        np.copyto(out, picture)
        return Frame(out, stamp, time.monotonic())

    def close(self) -> None:
        pass


class FaultyModel:
    """A Dehazer that fails as the plan says."""

    def __init__(self, plan: Plan, bundle: Path) -> None:
        self._plan = plan
        self._dehazer = Dehazer(bundle, threads=1)

    def __call__(self, frame: np.ndarray, *more: np.ndarray | None) -> np.ndarray:
        if self._plan.model_failures:
            failure = self._plan.model_failures.pop()
            if failure is not None:
                raise failure("made to fail")
            return self._answer_not_finite(frame)
        return self._dehazer(frame, *more)

    def _answer_not_finite(self, frame: np.ndarray) -> np.ndarray:
        """The network's own answer, made NaN on its way to the arithmetic that looks for that."""
        network = self._dehazer._network
        method = self._dehazer._method
        method._network = lambda picture: tuple(answer * np.float32("nan") for answer in network(picture))
        try:
            return self._dehazer(frame)
        finally:
            method._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dehazer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            setattr(self._dehazer, name, value)


class FaultySink(NoSink):
    """Writes down how old each frame is, and fails as the plan says."""

    def __init__(self, plan: Plan, frames: int) -> None:
        super().__init__(parse_sink("none:"), live=True, overwrite=False)
        self._plan = plan
        self.latency_ms = np.full(frames, np.nan, np.float32)

    def open(self, info: StreamInfo, frame: Frame) -> None:  # noqa: ARG002
        self._fail()

    def write(self, frame: Frame) -> None:
        self._fail()
        self.latency_ms[frame.number] = 1e3 * (time.monotonic() - frame.captured_at)

    def _fail(self) -> None:
        if self._plan.sink_failures:
            failure = self._plan.sink_failures.pop(0)
            if isinstance(failure, float):
                time.sleep(failure)
            else:
                raise failure("made to fail")
