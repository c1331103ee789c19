"""Is it slower, or less clear, than it was? An answer that knows noise.

A slow-down of the code moves the whole distribution of frame times, its fast end too; a busy neighbour moves the
slow end and leaves the fast one. So the least of three ratios counts (5th, 25th and 50th percentile), each with a
block bootstrap that knows of slow drifts. An alarm asks for two things: the ratio is nearer to a slow-down worth
knowing than to none (`MARGIN`, more where the baseline holds several runs of one thing that differ by more), and its
interval leaves out what two runs usually differ by, which no interval of one run can know (`BETWEEN_RUNS`).
Every tenth frame can get slower while the fast ones stay as they are: p90 is compared by itself. A neighbour moves it
from run to run, so it has to be slower by more (`TAIL_MARGIN`, `TAIL_BETWEEN_RUNS`) before it raises an alarm.
Runs that were throttled or crowded prove nothing, and are said to prove nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.measure.statistics import Interval, bootstrap_percentiles, percentile
from edge.reporting.rows import Entry

MARGIN = 0.05  # half of a slow-down of a tenth
BETWEEN_RUNS = 0.02  # placement in memory, clocks: the 5th percentiles of two runs on a quiet machine, 1.1 to 1.8 %
PERCENTILES = (5, 25, 50)
TAIL = 90
TAIL_MARGIN = 0.1
TAIL_BETWEEN_RUNS = 0.05
WORTH_KNOWING = 1.1  # a slow-down that an interval has to leave out before it may say: as fast as before
PSNR_MARGIN_DB = 0.05
SSIM_MARGIN = 0.002


@dataclass(frozen=True)
class Comparison:
    """An entry next to its counterpart in the baseline.

    Attributes:
        ratio, interval: new frame time over old, the least of the percentiles' ratios; 95 %.
        slower, faster: beyond noise and margin.
        tail_ratio, tail_interval, tail_slower: likewise of p90 alone.
        psnr_change_db, ssim_change: None where the two were not scored on the same pictures.
        doubt: why the times prove nothing; empty where they do.
    """

    entry: Entry
    baseline: Entry
    ratio: float
    interval: Interval
    slower: bool
    faster: bool
    tail_ratio: float
    tail_interval: Interval
    tail_slower: bool
    psnr_change_db: float | None
    ssim_change: float | None
    doubt: str

    @property
    def less_clear(self) -> bool:
        worse = self.psnr_change_db is not None and self.psnr_change_db < -PSNR_MARGIN_DB
        return worse or (self.ssim_change is not None and self.ssim_change < -SSIM_MARGIN)

    @property
    def regressed(self) -> bool:
        return ((self.slower or self.tail_slower) and not self.doubt) or self.less_clear

    @property
    def sentence(self) -> str:
        """What there is to say, in words."""
        times = (
            f"{self.ratio:.2f} times the frame time ({self.interval.low:.2f} to {self.interval.high:.2f}), "
            f"{self.tail_ratio:.2f} times the p90 ({self.tail_interval.low:.2f} to {self.tail_interval.high:.2f})"
        )
        if self.doubt:
            parts = [f"{times}, which proves nothing: {self.doubt}"]
        elif self.slower:
            parts = [f"slower: {times}"]
        elif self.tail_slower:
            parts = [f"slower at p90: {times}"]
        elif self.faster:
            parts = [f"faster: {times}"]
        elif max(self.interval.high, self.tail_interval.high) > WORTH_KNOWING:
            parts = [f"too unsteady to tell: {times}"]
        else:
            parts = [f"as fast as before: {times}"]
        if self.psnr_change_db is not None:
            word = (
                "less clear" if self.less_clear else "as clear" if self.psnr_change_db < PSNR_MARGIN_DB else "clearer"
            )
            parts.append(f"{word}: {self.psnr_change_db:+.2f} dB")
        elif self.entry.data_digest:
            parts.append("clearness not compared: the earlier run was not scored on these pictures")
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


def margin_of(times_ms: Sequence[float]) -> float:
    """By how much two runs of the same thing may differ, given a percentile of some; a share of the frame time.

    Three standard deviations of a difference between two runs, but at least `MARGIN`.
    """
    if len(times_ms) < 2:
        return MARGIN
    return max(MARGIN, 3 * 2**0.5 * float(np.std(np.log(times_ms), ddof=1)))


def time_ratio(old_ms: np.ndarray, new_ms: np.ndarray, seed: int = 0) -> tuple[float, Interval]:
    """The ratio nearest to 1 of the percentiles' ratios, new over old.

    Args:
        old_ms, new_ms: frame times in the order in which they were taken.
    """
    rng = np.random.default_rng(seed)
    ratios = np.percentile(new_ms, PERCENTILES) / np.percentile(old_ms, PERCENTILES)
    drawn = bootstrap_percentiles(new_ms, PERCENTILES, rng) / bootstrap_percentiles(old_ms, PERCENTILES, rng)
    least = np.min if np.median(ratios) >= 1 else np.max
    low, high = np.percentile(least(drawn, axis=1), (2.5, 97.5))
    return float(least(ratios)), Interval(float(low), float(high))


def tail_ratio(old_ms: np.ndarray, new_ms: np.ndarray, seed: int = 0) -> tuple[float, Interval]:
    """The ratio of p90, new over old, of frame times in the order in which they were taken."""
    rng = np.random.default_rng(seed)
    drawn = bootstrap_percentiles(new_ms, (TAIL,), rng) / bootstrap_percentiles(old_ms, (TAIL,), rng)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return percentile(new_ms, TAIL) / percentile(old_ms, TAIL), Interval(float(low), float(high))


def is_slower(ratio: float, interval: Interval, margin: float = MARGIN, between_runs: float = BETWEEN_RUNS) -> bool:
    """Whether a ratio of frame times, new over old, and its interval say more than noise would."""
    return ratio > 1 + margin and interval.low > 1 + between_runs


def _compared(entry: Entry, runs: Sequence[Entry]) -> Comparison:
    baseline, margin = runs[-1], margin_of([e.row.p50_ms for e in runs])
    times = baseline.measurement.latency.times_ms(), entry.measurement.latency.times_ms()
    ratio, interval = time_ratio(*times)
    tail, tail_interval = tail_ratio(*times)
    tail_margin = max(TAIL_MARGIN, margin_of([e.row.p90_ms for e in runs]))
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
        slower=is_slower(ratio, interval, margin),
        faster=is_slower(1 / ratio, Interval(1 / interval.high, 1 / interval.low), margin),
        tail_ratio=tail,
        tail_interval=tail_interval,
        tail_slower=is_slower(tail, tail_interval, tail_margin, TAIL_BETWEEN_RUNS),
        psnr_change_db=_change(new.psnr_db, old.psnr_db) if same_pictures else None,
        ssim_change=_change(new.ssim, old.ssim) if same_pictures else None,
        doubt="; ".join(doubts),
    )


def _doubts(marks: str) -> list[str]:
    return [mark for mark in marks.split("; ") if mark.startswith(("throttled", "crowded", "swapping", "the host"))]


def _change(new: float | None, old: float | None) -> float | None:
    return None if new is None or old is None else new - old


def _key(entry: Entry) -> tuple:
    r = entry.row
    return entry.machine[1], r.model, r.target, r.precision, r.device, r.threads, r.width, r.height
