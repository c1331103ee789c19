"""What the tests of faults play with: a source, a sink and a model that fail as they are told, and edge.run itself."""

import json
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from edge.dehazer import Dehazer
from edge.errors import SourceError
from edge.streams.controls import Controls
from edge.streams.events import Events
from edge.streams.frame import Frame, StreamInfo
from edge.streams.intake import IntakeOptions
from edge.streams.stream import Stream, StreamOptions, running

GREY = np.full((48, 64, 3), 100, np.uint8)
ROOT = Path(__file__).parents[3]


class Scripted:
    """A live source that does one step of a script after the other, over all times that it is opened."""

    live = True

    def __init__(self, steps, live=True):
        self.steps, self.live = list(steps), live
        self.time = Fraction(0)

    def open(self):
        if self.steps and isinstance(self.steps[0], SourceError) and "open" in str(self.steps[0]):
            raise self.steps.pop(0)
        return StreamInfo(rate=Fraction(100))

    def read(self):
        step = self.steps.pop(0) if self.steps else None
        if step is None:
            return None
        if isinstance(step, Exception):
            raise step
        if callable(step):
            step = step()
        if self.live:
            time.sleep(0.01)
        picture, jump = step if isinstance(step, tuple) else (step, 0)
        self.time += Fraction(1, 100) + jump
        return Frame(picture.copy(), self.time, time.monotonic())

    def close(self):
        pass


class Kept:
    """A sink that keeps frames, and raises what it is told to raise before some."""

    made, drain_s = "", 1.0

    def __init__(self, faults=()):
        self.faults, self.frames, self.opens = list(faults), [], 0

    def open(self, info, frame):
        self.opens += 1

    def write(self, frame):
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, float):
                time.sleep(fault)
            elif fault is not None:
                raise fault
        self.frames.append(frame)

    def close(self):
        pass


def play(bundle, source, sink, model=None, **options):
    """Run a stream to its end; its figures, and its events by name."""
    told = []
    stream = Stream(
        lambda: source,
        lambda: model or Dehazer(bundle, threads=1),
        [("kept", sink)],
        StreamOptions(IntakeOptions(live=source.live, **options.pop("intake", {})), **options),
        controls=Controls(),
        events=Events(lambda event: told.append(event.name)),
    )
    with running(stream):
        deadline = time.monotonic() + 30
        for _ in stream.watch():
            assert time.monotonic() < deadline
    figures = stream.figures
    first = figures.sinks[0]
    assert figures.captured == figures.broken + figures.dropped + figures.processed
    assert figures.processed == first.delivered + first.dropped + first.failed
    times = [frame.time for frame in sink.frames]
    assert times == sorted(set(times))
    return figures, told


class Failing:
    """A model that raises what it is told to raise, one for each frame, and then works."""

    def __init__(self, bundle, faults):
        self.faults, self.dehazer = list(faults), Dehazer(bundle, threads=1)

    def __call__(self, frame, out=None, small=None):
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        return self.dehazer(frame, out, small)

    def __getattr__(self, name):
        return getattr(self.dehazer, name)


def run(*arguments, **more):
    return subprocess.Popen(
        [sys.executable, "-m", "edge.run", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        **more,
    )


def events_of(process):
    """The events that a process tells with `--log-format json`: a list that grows."""
    lines: list[dict] = []

    def read():
        for line in process.stderr:
            lines.append(json.loads(line))

    threading.Thread(target=read, daemon=True).start()
    return lines


def wait_for(lines, name, seconds=30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for line in list(lines):
            if line["name"] == name:
                return line
        time.sleep(0.05)
    raise AssertionError(f"no {name} in {lines}")
