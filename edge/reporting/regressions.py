"""Is it slower, or less clear, than it was? An answer that knows noise.

A slow-down of the code moves the whole distribution of frame times, its fast end too; a busy neighbour moves the
slow end and leaves the fast one. So the least of three ratios counts (5th, 25th and 50th percentile), each with a
block bootstrap that knows of slow drifts, and it has to exceed what two runs of the very same thing differ by: `MARGIN`
on a quiet machine, and more where the baseline holds several runs of it that differ by more. Where both runs hold the
times of the same yardstick (`edge.measure.yardstick`), frame times are counted in these: what made the whole machine
slower, or faster, is no change of the code. Runs that were throttled or crowded prove nothing, and are said to
prove nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.measure.record import Latency
from edge.measure.statistics import Interval, bootstrap_percentiles
from edge.reporting.rows import Entry

MARGIN = 0.045
PERCENTILES = (5, 25, 50)
WORTH_KNOWING = 1.1  # a slow-down that an interval has to leave out before it may say: as fast as before
PACE_WORTH_KNOWING = 0.02
STEADY = 9  # neighbours whose median a yardstick's time is: one alone is as noisy as a frame's
PSNR_MARGIN_DB = 0.05
SSIM_MARGIN = 0.002


@dataclass(frozen=True)
class Comparison:
    """An entry next to its counterpart in the baseline.

    Attributes:
        ratio, interval: new frame time over old, the least of the percentiles' ratios; 95 %.
        pace: by how much the machine itself was slower, which `ratio` leaves out; None where that is not known.
        slower, faster: beyond noise and margin.
        psnr_change_db, ssim_change: None where the two were not scored on the same pictures.
        doubt: why the times prove nothing; empty where they do.
    """

    entry: Entry
    baseline: Entry
    ratio: float
    interval: Interval
    slower: bool
    faster: bool
    psnr_change_db: float | None
    ssim_change: float | None
    doubt: str
    pace: float | None = None

    @property
    def less_clear(self) -> bool:
        worse = self.psnr_change_db is not None and self.psnr_change_db < -PSNR_MARGIN_DB
        return worse or (self.ssim_change is not None and self.ssim_change < -SSIM_MARGIN)

    @property
    def regressed(self) -> bool:
        return (self.slower and not self.doubt) or self.less_clear

    @property
    def sentence(self) -> str:
        """What there is to say, in words."""
        times = f"{self.ratio:.2f} times the frame time ({self.interval.low:.2f} to {self.interval.high:.2f})"
        if self.pace is not None and abs(self.pace - 1) > PACE_WORTH_KNOWING:
            times += f" beside what the machine itself was {'slower' if self.pace > 1 else 'faster'}, {self.pace:.2f}"
        if self.doubt:
            parts = [f"{times}, which proves nothing: {self.doubt}"]
        elif self.slower:
            parts = [f"slower: {times}"]
        elif self.faster:
            parts = [f"faster: {times}"]
        elif self.interval.high > WORTH_KNOWING:
            parts = [f"too unsteady to tell: {times}"]
        else:
            parts = [f"as fast as before: {times}"]
        if self.psnr_change_db is not None:
            word = (
                "less clear" if self.less_clear else "as clear" if self.psnr_change_db < PSNR_MARGIN_DB else "clearer"
            )
            parts.append(f"{word}: {self.psnr_change_db:+.2f} dB")
        return f"{self.entry.row.bundle}: {'; '.join(parts)}"


def compare(entries: Sequence[Entry], baseline: Sequence[Entry]) -> tuple[list[Comparison], list[Entry]]:
    """Each entry with the newest of the baseline that measured the same thing on the same machine.

    Returns:
        Comparisons, and the entries that have no counterpart.
    """
    earlier: dict[tuple, list[Entry]] = defaultdict(list)
    for entry in sorted(baseline, key=lambda e: e.row.made):
        earlier[_key(entry)].append(entry)
    found = [(e, earlier[_key(e)]) for e in entries]
    return [_compared(e, runs) for e, runs in found if runs], [e for e, runs in found if not runs]


def margin_of(medians: Sequence[float]) -> float:
    """By how much two runs of the same thing may differ, given the medians of some; a share of the frame time.

    Three standard deviations of a difference between two runs, but at least `MARGIN`.
    """
    if len(medians) < 2:
        return MARGIN
    return max(MARGIN, 3 * 2**0.5 * float(np.std(np.log(medians), ddof=1)))


def time_ratio(old: np.ndarray, new: np.ndarray, seed: int = 0) -> tuple[float, Interval]:
    """The ratio nearest to 1 of the percentiles' ratios, new over old.

    Args:
        old, new: frame times in the order in which they were taken; both in milliseconds, or both in yardsticks.
    """
    rng = np.random.default_rng(seed)
    ratios = np.percentile(new, PERCENTILES) / np.percentile(old, PERCENTILES)
    drawn = bootstrap_percentiles(new, PERCENTILES, rng) / bootstrap_percentiles(old, PERCENTILES, rng)
    least = np.min if np.median(ratios) >= 1 else np.max
    low, high = np.percentile(least(drawn, axis=1), (2.5, 97.5))
    return float(least(ratios)), Interval(float(low), float(high))


def in_yardsticks(times_ms: np.ndarray, yardstick_ms: np.ndarray) -> np.ndarray:
    """Frame times as multiples of what the yardstick's work took about then.

    Args:
        times_ms: (n,), yardstick_ms: (m,), both spread evenly over one run.
    """
    window = min(STEADY, yardstick_ms.size)
    padded = np.pad(yardstick_ms, (window // 2, window - 1 - window // 2), mode="edge")
    steady = np.median(np.lib.stride_tricks.sliding_window_view(padded, window), axis=1)
    at_frames = (np.arange(times_ms.size) + 0.5) / times_ms.size
    return times_ms / np.interp(at_frames, (np.arange(steady.size) + 0.5) / steady.size, steady)


def _times(latency: Latency, kind: str | None) -> np.ndarray:
    """Frame times of a run: in milliseconds, or in yardsticks of a kind."""
    yardstick_ms = latency.yardstick_ms()
    if kind is None or yardstick_ms is None:
        return latency.times_ms()
    return in_yardsticks(latency.times_ms(), yardstick_ms)


def _pace(before: Latency, now: Latency) -> float | None:
    """How many times as long the yardstick's work took."""
    old, new = before.yardstick_ms(), now.yardstick_ms()
    return None if old is None or new is None else float(np.median(new) / np.median(old))


def _compared(entry: Entry, runs: Sequence[Entry]) -> Comparison:
    baseline, now = runs[-1], entry.measurement.latency
    before = [run.measurement.latency for run in runs]
    kinds = {latency.yardstick_kind for latency in (*before, now)}
    kind = kinds.pop() if len(kinds) == 1 else None  # None too where no run has one
    times = [_times(latency, kind) for latency in before]
    ratio, interval = time_ratio(times[-1], _times(now, kind))
    margin = margin_of([float(np.median(run)) for run in times])
    same_pictures = entry.data_digest and entry.data_digest == baseline.data_digest
    new, old = entry.row, baseline.row
    doubts = [
        f"{which} run was {mark}" for which, r in (("this", new), ("the earlier", old)) for mark in _doubts(r.marks)
    ]
    return Comparison(
        entry=entry,
        baseline=baseline,
        ratio=ratio,
        interval=interval,
        slower=interval.low > 1 + margin,
        faster=interval.high < 1 / (1 + margin),
        psnr_change_db=_change(new.psnr_db, old.psnr_db) if same_pictures else None,
        ssim_change=_change(new.ssim, old.ssim) if same_pictures else None,
        doubt="; ".join(doubts),
        pace=_pace(before[-1], now) if kind else None,
    )


def _doubts(marks: str) -> list[str]:
    return [mark for mark in marks.split("; ") if mark.startswith(("throttled", "crowded", "swapping", "the host"))]


def _change(new: float | None, old: float | None) -> float | None:
    return None if new is None or old is None else new - old


def _key(entry: Entry) -> tuple:
    r = entry.row
    return entry.machine[1], r.model, r.target, r.precision, r.device, r.threads, r.width, r.height
