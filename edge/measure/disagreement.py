"""What does not fit together in a measurement that the schema accepts: every figure that can be computed again is.

It shows damage and careless editing. It is no proof against a forger, who can compute too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

import numpy as np

from edge.measure.record import STAGES, Latency, Measurement, Quality
from edge.measure.samples import TICKS_PER_MS
from edge.measure.statistics import LONGEST, Interval, summarise

SHARE = 1e-3  # by which a figure may differ from that of the samples, which are rounded
ROUNDED_MS = 1e-3
ROUNDED = 1e-6


def of(m: Measurement) -> str:
    """The first disagreement, in words; empty where there is none."""
    return next(_times(m.latency), "") or (next(_scores(m.quality), "") if m.quality else "")


def _times(latency: Latency) -> Iterator[str]:
    if missing := ({"total"} - set(latency.samples)) | (set(STAGES) - set(latency.stages_ms)):
        yield f"latency: {', '.join(sorted(missing))} is missing"
        return
    try:
        times = {name: latency.times_ms(name) for name in latency.samples}
    except ValueError as error:
        yield str(error)
        return
    for name, values in times.items():
        if values.size != latency.runs or values.size == 0:
            yield f"frame times of {name}: not as many as runs"
            return
    if times["total"].min() <= 0:
        yield "frame times: not all above 0"
    for name, told in {"total": latency.total_ms, **latency.stages_ms}.items():
        if name in times:
            for figure, value in asdict(summarise(times[name])).items():
                if not _near(getattr(told, figure), value, ROUNDED_MS):
                    yield _altered(figure if name == "total" else f"{figure} of {name}", "the frame times")
    for figure, interval in (("p50", latency.p50_interval_ms), ("p90", latency.p90_interval_ms)):
        whole = latency.runs <= LONGEST  # of more frames, it is from some
        if whole and not _holds(interval, getattr(latency.total_ms, figure), ROUNDED_MS):
            yield f"{figure} is not in its interval; the file was altered"
    if "capture" in times:
        yield from _rates(latency, times)


def _rates(latency: Latency, times: Mapping[str, np.ndarray]) -> Iterator[str]:
    in_frames_s = float(times["total"].sum() + times["capture"].sum()) / 1e3
    rounded = 1 + latency.runs / TICKS_PER_MS / 1e3 / in_frames_s
    if not _near(latency.fps, latency.runs / in_frames_s, (rounded - 1) * latency.fps):
        yield _altered("fps", "the frame times")
    if not _near(latency.overhead_share, max(0.0, 1 - in_frames_s / latency.seconds), rounded - 1 + SHARE):
        yield _altered("overhead_share", "the frame times")


def _scores(quality: Quality) -> Iterator[str]:
    if not quality.pictures:
        yield "quality: no pictures"
        return
    for figure in ("psnr_db", "ssim", "hazy_psnr_db", "hazy_ssim"):
        mean = float(np.mean([getattr(p, figure) for p in quality.pictures]))
        if not _near(getattr(quality, figure), mean, ROUNDED):
            yield _altered(figure, "the pictures")
    if quality.psnr_interval_db and not _holds(quality.psnr_interval_db, quality.psnr_db, ROUNDED):
        yield "psnr_db is not in its interval; the file was altered"


def _near(told: float, value: float, rounded: float) -> bool:
    return abs(told - value) <= SHARE * abs(value) + rounded


def _holds(interval: Interval, value: float, rounded: float) -> bool:
    return interval.low - rounded <= value <= interval.high + rounded


def _altered(figure: str, source: str) -> str:
    return f"{figure} is not that of {source}; the file was altered"
