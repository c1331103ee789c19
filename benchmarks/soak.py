"""A stream that runs for long while everything that can break breaks: `make soak`.

    python -m benchmarks.soak --bundle BUNDLE --frames 200000

A live source of 640x480, and after every 500 frames another fault. At the end every frame must be accounted for,
memory must not have grown by more than 5 MB since the first 2,000 frames, no handle and no thread may be left, and
the 99th percentile of latency in the last tenth must be at most 1.2 times that of the first. Exit status 1 where one
of these does not hold; the figures are written to a JSON file.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from edge import command
from edge.dehazer import Dehazer
from edge.errors import EdgeError, SourceError
from edge.streams.controls import Controls
from edge.streams.events import Events
from edge.streams.faults import BrokenFrame, DiskFull, SinkLost, SourceLost
from edge.streams.frame import Frame, StreamInfo
from edge.streams.intake import IntakeOptions
from edge.streams.memory import FramePool, keep_heap
from edge.streams.preview import Address, Preview
from edge.streams.sinks.none import NoSink
from edge.streams.sinks.sharedmemory import SharedMemorySink
from edge.streams.spec import parse_sink
from edge.streams.status import Status
from edge.streams.stream import Stream, StreamOptions, running

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
EVERY = 500
SETTLED = 2000
STALL_S = 0.5
MIB = 2**20


@dataclass
class Plan:
    """Which fault comes when, and what is still to come of the one that has begun."""

    every: int = EVERY
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
        if self.given % self.every or not self.given:
            return ""
        kind = KINDS[self.given // self.every % len(KINDS)]
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

    def __init__(self, plan: Plan, bundle: Any) -> None:
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


def soak(bundle: Path, frames: int, fps: float, every: int = EVERY, report: Any = command.say) -> dict[str, Any]:
    """Run it.

    Returns:
        What was measured, and `failures`: a line for each promise that was not kept.
    """
    keep_heap()  # as edge.run does
    process = psutil.Process()
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (480, 640, 3), np.uint8) for _ in range(4)]
    plan, events, controls = Plan(every), Events(lambda event: None), Controls(smooth_s=0.2, auto=True)
    Dehazer(bundle, threads=1).close()  # what a runtime sets up once for the process is no leak
    handles, threads = process.num_fds(), threading.active_count()
    sink = FaultySink(plan, frames)
    shared = SharedMemorySink(parse_sink(f"shm:soak-{os.getpid()}"), live=True, overwrite=False)
    stream = Stream(
        lambda: FaultySource(plan, pictures, 1 / fps, frames),
        lambda: FaultyModel(plan, bundle),
        [("program", sink), ("shared memory", shared)],
        StreamOptions(IntakeOptions(live=True), stall_s=STALL_S),
        controls=controls,
        events=events,
    )
    preview = Preview(Address("127.0.0.1", 0), controls, Status(stream, controls, "soak"))
    stream.onlooker = preview
    helpers: list[threading.Thread] = []
    memory: list[tuple[int, float]] = []
    next_report = 0
    # SIGTERM: judge what there is so far.
    former_handler = signal.signal(signal.SIGTERM, lambda *_: setattr(plan, "ended", True))
    began = time.monotonic()
    with running(stream):
        for _ in stream.watch():
            while plan.wishes:
                wish = plan.wishes.pop()
                work = stream.clearing.replace if wish == "bundle opened again" else lambda: preview.next_pair(1.0)
                helpers = [thread for thread in helpers if thread.is_alive()]
                helpers.append(threading.Thread(target=work, daemon=True))
                helpers[-1].start()
            if plan.given >= next_report:
                memory.append((plan.given, process.memory_info().rss / MIB))
                if next_report % 5_000 == 0:
                    report(f"{plan.given} frames, {memory[-1][1]:.1f} MiB, {sum(plan.count.values())} faults")
                next_report += 1000
    for thread in helpers:
        thread.join(5)
    preview.close()
    signal.signal(signal.SIGTERM, former_handler)
    seconds = time.monotonic() - began
    deadline = time.monotonic() + 3
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.05)
    return _judged(stream, plan, sink, memory, seconds, process.num_fds() - handles, threading.active_count() - threads)


def _judged(
    stream: Stream,
    plan: Plan,
    sink: FaultySink,
    memory: list[tuple[int, float]],
    seconds: float,
    handles: int,
    threads: int,
) -> dict[str, Any]:
    figures = stream.figures
    settled = [rss for at, rss in memory if at >= SETTLED]
    growth = settled[-1] - settled[0] if len(settled) > 1 else 0.0
    latency_ms = sink.latency_ms[: plan.given]
    tenth = max(1, len(latency_ms) // 10)
    first, last = (float(np.nanpercentile(part, 99)) for part in (latency_ms[:tenth], latency_ms[-tenth:]))
    lost_at_fault = plan.count["unplugged"] + plan.count["stalled"]
    result: dict[str, Any] = {
        "frames": plan.given,
        "seconds": round(seconds, 1),
        "faults": dict(plan.count),
        "captured": figures.captured,
        "orphaned": figures.orphaned,
        "broken": figures.broken,
        "dropped": figures.dropped,
        "processed": figures.processed,
        "rested": figures.rested,
        "uncleared": figures.uncleared,
        "reconnects": figures.reconnects,
        "sinks": [
            {"name": s.name, "delivered": s.delivered, "dropped": s.dropped, "failed": s.failed} for s in figures.sinks
        ],
        "events": dict(stream.events.counts),
        "memory_growth_mib": round(growth, 2),
        "memory_mib": [(at, round(rss, 1)) for at, rss in memory],
        "handles_left": handles,
        "threads_left": threads,
        "latency_p99_first_tenth_ms": round(first, 2),
        "latency_p99_last_tenth_ms": round(last, 2),
    }
    failures = []
    taken = figures.captured + figures.orphaned
    if taken != plan.given - lost_at_fault:
        failures.append(f"captured {taken} of {plan.given - lost_at_fault} frames that the source gave")
    if figures.captured != figures.broken + figures.dropped + figures.processed:
        failures.append("captured is not broken + dropped + processed")
    failures += [
        f"{s.name}: processed is not delivered + dropped + failed"
        for s in figures.sinks
        if figures.processed != s.delivered + s.dropped + s.failed
    ]
    if growth > 5:
        failures.append(f"memory grew by {growth:.1f} MiB")
    if handles > 0 or threads > 0:
        failures.append(f"{handles} handles and {threads} threads are left")
    if last > 1.2 * first:
        failures.append(f"latency p99 went from {first:.1f} to {last:.1f} ms")
    return result | {"failures": failures}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--bundle", type=Path, required=True, help="what edge.export made")
    p.add_argument("--frames", type=int, default=200_000, help="how many frames the source gives (default: 200000)")
    p.add_argument("--fps", type=float, default=250, help="at most how many of them a second (default: 250)")
    p.add_argument("--out", type=Path, default=Path("out/soak.json"), help="where the figures go")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    result = soak(args.bundle, args.frames, args.fps)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=1))
    summary = ("frames", "seconds", "captured", "broken", "dropped", "processed", "memory_growth_mib", "handles_left")
    command.say(", ".join(f"{name} {result[name]}" for name in summary))
    command.say(f"p99 {result['latency_p99_first_tenth_ms']} ms, at the end {result['latency_p99_last_tenth_ms']} ms")
    print(args.out)
    if result["failures"]:
        raise EdgeError("; ".join(result["failures"]))
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
