"""One call of edge.bench: which bundles, under which conditions, and what comes out of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from edge import command
from edge.bundle import Bundle
from edge.dehazer import Dehazer
from edge.measure import accuracy, loop, samples, statistics
from edge.measure.accuracy import PairedData
from edge.measure.machine import Machine, versions
from edge.measure.record import STAGES, Latency, Measurement, Quality, Run, Shown, Startup, Subject

FRAMES = 4  # different frames in turn, so that no cache holds the answer


@dataclass(frozen=True)
class Conditions:
    """What holds for all bundles of a call. `command` is what was typed; `frames` are what is dehazed."""

    machine: Machine
    command: str
    device: str
    threads: int | None
    plan: loop.Plan
    quick: bool
    frames: tuple[np.ndarray, ...]
    data: PairedData | None


@dataclass
class Opened:
    """A bundle, ready, with what getting there took."""

    bundle: Bundle
    dehazer: Dehazer
    startup: Startup
    made: str


def open_bundle(path: str | Path, conditions: Conditions) -> Opened:
    """Read a bundle, compile it, and dehaze a first frame, each timed apart.

    Raises:
        BundleError, DeviceUnavailable, MissingPackage: as `Dehazer`.
    """
    cv2.setNumThreads(conditions.threads or -1)  # the image library's threads follow --threads
    made = datetime.now(UTC).isoformat(timespec="seconds")
    start = time.perf_counter()
    bundle = Bundle.read(path)
    read_ms = (time.perf_counter() - start) * 1e3
    dehazer = Dehazer(bundle, device=conditions.device, threads=conditions.threads)
    start = time.perf_counter()
    dehazer(conditions.frames[0])
    first_ms = (time.perf_counter() - start) * 1e3
    return Opened(bundle, dehazer, Startup(read_ms + dehazer.load_ms, dehazer.compile_ms, first_ms), made)


def measurement(
    opened: Opened,
    series: loop.Series,
    quality: Quality | None,
    shown: Sequence[Shown],
    conditions: Conditions,
) -> Measurement:
    """All that is known of one bundle after its run."""
    manifest, height_width = opened.bundle.manifest, conditions.frames[0].shape
    return Measurement(
        subject=Subject(
            name=manifest.name,
            digest=opened.bundle.digest,
            kind=manifest.kind,
            model=dict(manifest.model),
            target=manifest.target,
            precision=manifest.precision,
            bytes=sum(map(len, opened.bundle.files.values())),
            accuracy=manifest.accuracy,
            calibration=manifest.calibration,
        ),
        run=Run(
            made=opened.made,
            command=conditions.command,
            device_asked=conditions.device,
            device=opened.dehazer.device,
            precision=opened.dehazer.precision,
            threads=conditions.threads,
            width=height_width[1],
            height=height_width[0],
            quick=conditions.quick,
            versions=versions(manifest.target),
        ),
        machine=conditions.machine,
        startup=opened.startup,
        latency=latency(series),
        quality=quality,
        shown=tuple(shown),
        marks=("quick run",) if conditions.quick else (),
    )


def latency(series: loop.Series) -> Latency:
    """The figures of a series of frames."""
    total = series.times_ms()
    intervals = statistics.percentile_intervals(total, (50, 90))
    stages = {name: series.times_ms(column) for column, name in enumerate(STAGES, 1)}
    return Latency(
        warmup_runs=series.warmup_runs,
        runs=series.runs,
        seconds=series.seconds,
        total_ms=statistics.summarise(total),
        p50_interval_ms=intervals[50],
        p90_interval_ms=intervals[90],
        stages_ms={name: statistics.summarise(times) for name, times in stages.items()},
        fps=series.runs / series.in_frames_s,
        samples={"total": samples.pack(total), **{name: samples.pack(times) for name, times in stages.items()}},
        overhead_share=1 - series.in_frames_s / series.seconds,
    )


def frames_of(paths: Sequence[str | Path], data: PairedData | None, size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Frames to dehaze, uint8 RGB of one size: hazy pictures of the data, or the first bundle's golden frames.

    Args:
        size: width and height, in pixels.
    """
    if data is not None:
        pictures = [accuracy.read_pair(pair)[0] for pair in data.pairs[:FRAMES]]
    else:
        pictures = list(_golden_frames(Bundle.read(paths[0])))
    return tuple(np.ascontiguousarray(_fitted(picture, size)) for picture in pictures)


def file_name(measured: Measurement) -> str:
    """A name that says what was measured, and is new for every run."""
    threads = f"-{measured.run.threads}t" if measured.run.threads else ""
    stamp = re.sub(r"[^0-9]", "", measured.run.made.split("+")[0])
    parts = f"{measured.subject.name}-{measured.run.device}{threads}-{measured.machine.id[:4]}-{stamp}"
    return re.sub(r"[^\w.-]+", "_", parts) + ".json"


def summary_line(measured: Measurement) -> str:
    """One line for the terminal."""
    m, total = measured, measured.latency.total_ms
    line = (
        f"{m.subject.name}: {total.p50:.2f} ms median, {total.p90:.2f} ms p90, {m.latency.fps:.0f} frames/s at "
        f"{m.run.width}x{m.run.height} on {m.run.device} in {m.run.precision}"
    )
    if m.quality is not None:
        line += f"; {m.quality.psnr_db:.2f} dB, SSIM {m.quality.ssim:.3f} (hazy: {m.quality.hazy_psnr_db:.2f} dB)"
    return line + "".join(f" [{mark}]" for mark in m.marks)


def _golden_frames(bundle: Bundle) -> Iterator[np.ndarray]:
    for golden in bundle.manifest.golden:
        picture = cv2.imdecode(np.frombuffer(bundle.files[golden.frame], np.uint8), cv2.IMREAD_COLOR)
        if picture is not None:
            yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    if not bundle.manifest.golden:
        command.say(f"{bundle.path} has no golden frames: timing on random pixels")
        yield np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


def _fitted(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scaled to cover the size, and cut to it in the middle."""
    width, height = size
    scale = max(width / picture.shape[1], height / picture.shape[0])
    scaled = (max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale)))
    picture = cv2.resize(picture, scaled, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return picture[top : top + height, left : left + width]
