"""A stream that runs for long while everything that can break breaks: `make soak`.

    python -m benchmarks.soak --bundle BUNDLE --frames 200000

A live source of 640x480, and after every 500 frames another fault; in the first 2,000 frames each kind comes once, so
that what only a fault needs is held when memory is looked at. At the end every frame must be accounted for, memory
must not have grown by more than 5 MB since the first 2,000 frames, no handle and no thread may be left, and the 99th
percentile of latency in the last tenth must be at most 1.2 times that of the first. Exit status 1 where one of these
does not hold. The figures are written to a JSON file, every 5,000 frames and at the end; SIGTERM ends it early and
judges what there is.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.faulty import STALL_S, FaultyModel, FaultySink, FaultySource, Plan
from edge import command
from edge.arguments import number_above, whole_from
from edge.dehazer import Dehazer
from edge.errors import EdgeError
from edge.files import write_whole
from edge.streams.controls import Controls
from edge.streams.events import Events
from edge.streams.intake import IntakeOptions
from edge.streams.memory import keep_heap
from edge.streams.preview import Address, Preview
from edge.streams.sinks.sharedmemory import SharedMemorySink
from edge.streams.sources import make_source
from edge.streams.spec import parse_sink, parse_source
from edge.streams.status import Status
from edge.streams.stream import Stream, StreamOptions, running

EVERY = 500
SETTLED = 2000
LOOK_EVERY = 200
REPORT_EVERY = 5000
MIB = 2**20


def soak(
    bundle: Path, frames: int, fps: float, every: int = EVERY, report: Callable[[dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """Run it.

    Args:
        fps: at most how many frames a second the source gives.
        every: how many frames lie between two faults, after the first 2,000.
        report: called every 5,000 frames with the figures so far.

    Returns:
        The figures, and `failures`: a line for each promise that was not kept.
    """
    keep_heap()  # as edge.run does
    process = psutil.Process()
    camera = make_source(parse_source("test:?size=640x480&frames=8&live=0"))
    camera.open()
    pictures = [frame.picture for frame in iter(camera.read, None)]
    plan, events, controls = Plan(every, SETTLED), Events(lambda event: None), Controls(smooth_s=0.2, auto=True)
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
    others: list[threading.Thread] = []
    memory: list[tuple[int, float]] = []
    next_report = REPORT_EVERY
    # SIGTERM: judge what there is so far.
    former_handler = signal.signal(signal.SIGTERM, lambda *_: setattr(plan, "ended", True))
    began = time.monotonic()

    def so_far() -> dict[str, Any]:
        return {
            "frames": plan.given,
            "seconds": round(time.monotonic() - began, 1),
            "faults": dict(plan.count),
            **stream.figures.as_json(),
            "events": dict(events.counts),
            "memory_mib": [(at, round(rss, 1)) for at, rss in memory],
        }

    with running(stream):
        for _ in stream.watch():
            while plan.wishes:
                wish = plan.wishes.pop()
                work = stream.clearing.replace if wish == "bundle opened again" else lambda: preview.next_pair(1.0)
                others = [thread for thread in others if thread.is_alive()]
                others.append(threading.Thread(target=work, daemon=True))
                others[-1].start()
            if not memory or plan.given >= memory[-1][0] + LOOK_EVERY:
                memory.append((plan.given, process.memory_info().rss / MIB))
            if report is not None and plan.given >= next_report:
                report(so_far())
                next_report += REPORT_EVERY
    for thread in others:
        thread.join(5)
    preview.close()
    signal.signal(signal.SIGTERM, former_handler)
    result = so_far()
    deadline = time.monotonic() + 3
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.05)
    result["handles_left"] = process.num_fds() - handles
    result["threads_left"] = threading.active_count() - threads
    result["memory_growth_mib"] = round(growth_mib(memory), 2)
    result["latency_p99_ms"] = latency_p99_ms(sink.latency_ms[: plan.given])
    return result | {"failures": failures(result)}


def growth_mib(memory: list[tuple[int, float]]) -> float:
    """From the first tenth of what follows the first 2,000 frames to the last tenth, as medians: what a runtime takes
    and gives back while it opens a model is no growth.

    Args:
        memory: number of frames and resident MiB then.
    """
    settled = [rss for at, rss in memory if at >= SETTLED]
    tenth = max(1, len(settled) // 10)
    return statistics.median(settled[-tenth:]) - statistics.median(settled[:tenth]) if settled else 0.0


def latency_p99_ms(latency_ms: np.ndarray) -> list[float]:
    """Of the first tenth of all frames and of the last; frames that did not arrive are NaN."""
    tenth = max(1, len(latency_ms) // 10)
    return [round(float(np.nanpercentile(part, 99)), 2) for part in (latency_ms[:tenth], latency_ms[-tenth:])]


def failures(result: dict[str, Any]) -> list[str]:
    """A line for each promise that was not kept."""
    lines = []
    never_given = result["faults"].get("unplugged", 0) + result["faults"].get("stalled", 0)
    given, taken = result["frames"] - never_given, result["captured"] + result["orphaned"]
    if taken != given:
        lines.append(f"captured {taken} of {given} frames that the source gave")
    if result["captured"] != result["broken"] + result["dropped"] + result["processed"]:
        lines.append("captured is not broken + dropped + processed")
    lines += [
        f"{sink['name']}: processed is not delivered + dropped + failed"
        for sink in result["sinks"]
        if result["processed"] != sink["delivered"] + sink["dropped"] + sink["failed"]
    ]
    if result["memory_growth_mib"] > 5:
        lines.append(f"memory grew by {result['memory_growth_mib']:.1f} MiB")
    if result["handles_left"] > 0 or result["threads_left"] > 0:
        lines.append(f"{result['handles_left']} handles and {result['threads_left']} threads are left")
    first, last = result["latency_p99_ms"]
    if last > 1.2 * first:
        lines.append(f"latency p99 went from {first:.1f} to {last:.1f} ms")
    return lines


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--bundle", type=Path, required=True, help="what edge.export made")
    p.add_argument(
        "--frames", type=whole_from(1), default=200_000, help="how many frames the source gives (default: 200000)"
    )
    p.add_argument("--fps", type=number_above(0), default=250, help="at most how many of them a second (default: 250)")
    p.add_argument("--out", type=Path, default=Path("out/soak.json"), help="where the figures go")
    return p


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)

    def keep(figures: dict[str, Any]) -> None:
        write_whole(args.out, json.dumps(figures, indent=1).encode())

    def report(figures: dict[str, Any]) -> None:
        keep(figures | {"failures": ["it was not run to its end"]})
        done = figures["frames"] / args.frames
        command.say(
            f"{figures['frames']} of {args.frames} frames, {figures['memory_mib'][-1][1]:.1f} MiB, "
            f"{sum(figures['faults'].values())} faults, {figures['seconds'] * (1 / done - 1) / 60:.0f} min to go"
        )

    result = soak(args.bundle, args.frames, args.fps, report=report)
    keep(result)
    names = (
        "captured",
        "broken",
        "dropped",
        "processed",
        "rested",
        "memory_growth_mib",
        "handles_left",
        "threads_left",
    )
    first, last = result["latency_p99_ms"]
    command.say(
        ", ".join(f"{name} {result[name]}" for name in names) + f", latency p99 {first} ms, at the end {last} ms"
    )
    print(args.out)
    if result["failures"]:
        raise EdgeError("not passed: " + "; ".join(result["failures"]))
    command.say(f"passed: {result['frames']} frames and {sum(result['faults'].values())} faults")
    return 0


if __name__ == "__main__":
    sys.exit(command.run(main))
