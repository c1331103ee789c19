"""The timing loop: one frame after the other, every frame's time kept, subjects taking turns where there are several.

The rules are those of MLPerf's single-stream scenario: the next frame starts when the last one is done; nothing is
thrown away; the figure to quote is p90.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from edge.dehazer import FrameTiming
from edge.measure.record import STAGES

ROUND_SECONDS = 0.25
WAITING = 4  # frames that wait between a camera and its reader


class Timed(Protocol):
    """What can be measured: called with a frame it gives a frame, and says where the time went."""

    @property
    def timing(self) -> FrameTiming | None: ...

    def __call__(self, frame: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Plan:
    """How long to measure.

    A subject is done when it has had both `runs` frames and `seconds`, or `longest_s` whatever it has had.
    """

    warmup_runs: int
    warmup_s: float
    runs: int
    seconds: float
    longest_s: float = float("inf")


FULL = Plan(warmup_runs=10, warmup_s=1.0, runs=100, seconds=10.0)
QUICK = Plan(warmup_runs=3, warmup_s=0.3, runs=100, seconds=2.0, longest_s=5.0)


class Source:
    """Hands out frames as a camera's driver does: each is copied into the next of a few buffers and waits there.

    So a frame has left the processor's nearest caches when its turn comes, as one from a camera has. A frame that is
    taken straight after the copy is read faster than any real one.

    Args:
        frames: uint8 RGB, all of one size; one after the other, again and again.
    """

    def __init__(self, frames: Sequence[np.ndarray]) -> None:
        self._frames = frames
        self._buffers = [frames[n % len(frames)].copy() for n in range(WAITING)]
        self._filled = 0

    def next(self) -> np.ndarray:
        """The frame that has waited longest; it stays as it is until the next call."""
        np.copyto(self._buffers[self._filled % WAITING], self._frames[self._filled % len(self._frames)])
        self._filled += 1
        return self._buffers[self._filled % WAITING]


@dataclass
class Series:
    """What the loop saw of one subject.

    Attributes:
        rounds: milliseconds of each frame, (n, 1 + stages): the total and each of `STAGES`; one array per turn.
        seconds: wall time of all turns and what was called between them.
        in_frames_s: the part of it between the start and the end of frames.
    """

    rounds: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0
    in_frames_s: float = 0.0

    @property
    def runs(self) -> int:
        return sum(len(r) for r in self.rounds)

    def times_ms(self, column: int = 0) -> np.ndarray:
        return np.concatenate([r[:, column] for r in self.rounds])


def measure(
    subjects: Sequence[Timed],
    frames: Sequence[np.ndarray],
    plan: Plan,
    between: Callable[[float, int], None] = lambda share, index: None,
    before: Callable[[], None] = lambda: None,
) -> list[Series]:
    """Time subjects on frames. Several take turns of a quarter of a second, in an order that changes every round.

    Args:
        subjects: warmed up (see `warm_up`).
        frames: uint8 RGB, all of one size; used one after the other, again and again.
        between: called after each turn (timed as overhead, not as part of any frame) with the share of the work done,
            in [0, 1], and whose turn it was.
        before: called before each turn, likewise.
    """
    source = Source(frames)
    series = [Series() for _ in subjects]
    turn = 0
    while not all(_done(s, plan) for s in series):
        order = range(len(subjects))
        for index in [*order[turn % len(subjects) :], *order[: turn % len(subjects)]]:
            begin = time.perf_counter()
            before()
            _turn(subjects[index], source, series[index])
            between(min(_share(s, plan) for s in series), index)
            series[index].seconds += time.perf_counter() - begin
        turn += 1
    return series


@dataclass(frozen=True)
class Window:
    """Some seconds of a long run: when it ended (from the run's start), and the frames in it."""

    at_s: float
    fps: float
    times_ms: np.ndarray


def sustain(
    subject: Timed,
    frames: Sequence[np.ndarray],
    seconds: float,
    window_s: float,
    between: Callable[[float], None] = lambda share: None,
) -> Iterator[Window]:
    """Frames without pause for a long time; only a window of them is kept at once.

    Args:
        between: called after each quarter of a second with the share of the time that has passed, in [0, 1].
    """
    source, begin = Source(frames), time.perf_counter()
    elapsed = 0.0
    while elapsed < seconds:
        window = Series()
        start = time.perf_counter()
        while elapsed < seconds and time.perf_counter() - start < window_s:
            _turn(subject, source, window)
            elapsed = time.perf_counter() - begin
            between(min(1.0, elapsed / seconds))
        yield Window(elapsed, window.runs / (time.perf_counter() - start), window.times_ms())


def warm_up(subject: Timed, frames: Sequence[np.ndarray], plan: Plan) -> int:
    """Frames that do not count, and how many they were."""
    start, runs = time.perf_counter(), 0
    while runs < plan.warmup_runs or time.perf_counter() - start < plan.warmup_s:
        subject(frames[runs % len(frames)])
        runs += 1
        if time.perf_counter() - start > plan.longest_s:
            break
    return runs


def _turn(subject: Timed, source: Source, series: Series) -> None:
    """Frames for `ROUND_SECONDS`, at least one."""
    clock = time.perf_counter
    rows: list[tuple[float, ...]] = []
    begin = clock()
    while not rows or clock() - begin < ROUND_SECONDS:
        captured = clock()
        frame = source.next()
        start = clock()
        subject(frame)
        end = clock()
        stages = subject.timing
        capture = start - captured
        if stages is None:
            rows.append((end - start, capture, 0.0, end - start, 0.0))
        else:
            rows.append((end - start, capture, stages.pre_ms / 1e3, stages.infer_ms / 1e3, stages.post_ms / 1e3))
    block = np.array(rows)
    assert block.shape[1] == 1 + len(STAGES)
    series.in_frames_s += float(block[:, 0].sum() + block[:, 1].sum())
    series.rounds.append(1e3 * block)


def _share(series: Series, plan: Plan) -> float:
    """How much of its measuring a subject has had, in [0, 1]."""
    if series.seconds >= plan.longest_s:
        return 1.0
    return min(1.0, series.runs / max(1, plan.runs), series.seconds / max(1e-9, plan.seconds))


def _done(series: Series, plan: Plan) -> bool:
    return _share(series, plan) >= 1
