"""One call of edge.bench: bundles are opened, timed, scored, and what came out is put together."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np

import targets
from edge import command, pace
from edge.bundle import Bundle
from edge.dehazer import Dehazer
from edge.measure import accuracy, conditions, energy, loop, samples, statistics
from edge.measure.accuracy import PairedData
from edge.measure.machine import Machine, this_machine, versions
from edge.measure.record import (
    STAGES,
    Latency,
    Layer,
    Measurement,
    Moment,
    Ratio,
    Run,
    Startup,
    Subject,
    Sustained,
)

FRAMES = 4  # different frames in turn, so that no cache holds the answer
WINDOW_S = 10.0  # of a sustained run
WHILE_SUSTAINED = "while sustained, "  # before marks that say nothing of the frames that were timed before
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Settings:
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
    """Something ready to be timed, with what getting there took.

    Attributes:
        dehaze: the bundle's `Dehazer`, or a peer that can be timed like one.
        mark: what the bundle itself says that a reader must know.
        distributions: packages that it runs on, whose versions belong to the measurement.
    """

    subject: Subject
    dehaze: loop.Timed
    device: str
    precision: str
    startup: Startup
    made: str
    mark: str | None = None
    distributions: Sequence[str] = ()

    def close(self) -> None:
        if isinstance(self.dehaze, Dehazer):
            self.dehaze.close()


def open_bundle(where: str | Path | Bundle, settings: Settings) -> Opened:
    """Read a bundle (or take one that was read), compile it, and dehaze a first frame, each timed apart.

    Raises:
        BundleError, DeviceUnavailable, MissingPackage: as `Dehazer`.
    """
    cv2.setNumThreads(settings.threads or -1)  # the image library's threads follow --threads
    made = now()
    start = time.perf_counter()
    bundle = where if isinstance(where, Bundle) else Bundle.read(where)
    read_ms = (time.perf_counter() - start) * 1e3
    dehazer = Dehazer(bundle, device=settings.device, threads=settings.threads)
    start = time.perf_counter()
    dehazer(settings.frames[0])
    first_ms = (time.perf_counter() - start) * 1e3
    startup = Startup(read_ms + dehazer.load_ms, dehazer.compile_ms, first_ms, from_cache=dehazer.from_cache)
    here = this_machine()
    slow = pace.mark(bundle.manifest.notes, here.processor, here.instructions)
    runs_on = targets.load(bundle.manifest.target).distributions
    return Opened(subject_of(bundle), dehazer, dehazer.device, dehazer.precision, startup, made, slow, runs_on)


def subject_of(bundle: Bundle) -> Subject:
    m = bundle.manifest
    return Subject(
        name=m.name,
        digest=bundle.digest,
        kind=m.kind,
        model=dict(m.model),
        target=m.target,
        precision=m.precision,
        bytes=sum(map(len, bundle.files.values())),
        accuracy=m.accuracy,
        calibration=m.calibration,
    )


def run(opened: Sequence[Opened], settings: Settings, progress: Progress) -> list[Measurement]:
    """Time what was opened; several take turns, and all have the same conditions.

    Returns:
        A measurement each, without quality and memory.
    """
    warmed = [loop.warm_up(o.dehaze, settings.frames, settings.plan) for o in opened]
    meter, missing = energy.find_meter()
    if meter is not None and len(opened) > 1 and not meter.at_once:
        missing = f"{meter.source} is read too seldom to tell bundles apart that take turns"
        meter.close()
        meter = None
    monitor = conditions.Monitor(meter=meter)
    used = energy.Split(meter, len(opened))

    def between(share: float, index: int) -> None:
        monitor.sample()
        used.turn(index)
        progress(share)

    series = loop.measure([o.dehaze for o in opened], settings.frames, settings.plan, between, used.begin)
    seen = monitor.finish()
    energies = used.finish([(s.in_frames_s, s.runs) for s in series])
    return [
        Measurement(
            subject=o.subject,
            run=Run(
                made=o.made,
                command=settings.command,
                device_asked=settings.device,
                device=o.device,
                precision=o.precision,
                threads=settings.threads,
                width=settings.frames[0].shape[1],
                height=settings.frames[0].shape[0],
                quick=settings.quick,
                versions=versions(o.distributions),
            ),
            machine=settings.machine,
            startup=o.startup,
            latency=latency(s, warmup_runs),
            conditions=seen,
            energy=spent,
            energy_missing=missing if meter is None or spent else f"{meter.source} gave no reading",
            ratios=ratios_to(series[0], s, opened[0].subject) if s is not series[0] else (),
            marks=(*_marks_of_run(o, settings), *conditions.marks(seen)),
        )
        for o, s, warmup_runs, spent in zip(opened, series, warmed, energies, strict=True)
    ]


def _marks_of_run(opened: Opened, settings: Settings) -> tuple[str, ...]:
    built, ran = opened.subject.precision, opened.precision
    return (
        *(("quick run",) if settings.quick else ()),
        *((f"ran in {ran}: built for {built}",) if ran != built else ()),
        *((opened.mark,) if opened.mark else ()),
    )


def ratios_to(first: loop.Series, other: loop.Series, subject: Subject) -> tuple[Ratio, ...]:
    """How long `other` takes next to the first, with which it took turns."""
    both = min(len(first.rounds), len(other.rounds))
    ratio, interval = statistics.ratio_of_medians(
        [r[:, 0] for r in first.rounds[:both]], [r[:, 0] for r in other.rounds[:both]]
    )
    return (Ratio(subject.name, subject.digest, ratio, interval),)


def latency(series: loop.Series, warmup_runs: int) -> Latency:
    """The figures of a series of frames."""
    total = series.times_ms()
    intervals = statistics.percentile_intervals(total, (50, 90))
    stages = {name: series.times_ms(column) for column, name in enumerate(STAGES, 1)}
    return Latency(
        warmup_runs=warmup_runs,
        runs=series.runs,
        seconds=series.seconds,
        total_ms=statistics.summarise(total),
        p50_interval_ms=intervals[50],
        p90_interval_ms=intervals[90],
        stages_ms={name: statistics.summarise(times) for name, times in stages.items()},
        fps=series.runs / series.in_frames_s,
        samples={"total": samples.pack(total), **{name: samples.pack(times) for name, times in stages.items()}},
        overhead_share=max(0.0, 1 - series.in_frames_s / series.seconds),
    )


def sustain(
    opened: Opened, settings: Settings, minutes: float, progress: Progress, before: Sustained | None = None
) -> Iterator[Sustained]:
    """What a long run looks like: after every ten seconds all of it so far, marked as cut until it is whole.

    Args:
        before: what was seen of it until it was cut; its time counts.
    """
    moments = list(before.moments) if before else []
    passed = moments[-1].at_s if moments else 0.0
    seconds = max(0.0, 60 * minutes - passed)
    meter, _ = energy.find_meter()
    monitor = conditions.Monitor(meter=meter)

    def between(share: float) -> None:
        monitor.sample()
        progress(share)

    try:
        for window in loop.sustain(opened.dehaze, settings.frames, seconds, WINDOW_S, between):
            moments.append(
                Moment(
                    at_s=passed + window.at_s,
                    fps=window.fps,
                    p50_ms=statistics.percentile(window.times_ms, 50),
                    p90_ms=statistics.percentile(window.times_ms, 90),
                    temperature_c=monitor.temperature_c,
                    frequency_mhz=monitor.frequency_mhz,
                    watts=meter.watts() if meter is not None else None,
                )
            )
            seen = monitor.finish()
            if before and before.conditions:
                seen = conditions.merged(before.conditions, seen)
            yield Sustained(minutes, tuple(moments), window.at_s < seconds, seen)
    finally:
        if meter is not None:
            meter.close()


def with_sustained(measured: Measurement, sustained: Sustained) -> Measurement:
    """With a long run, and the marks that it asks for in the place of those that it asked for so far."""
    kept = [mark for mark in measured.marks if not mark.startswith(WHILE_SUSTAINED)]
    new = [WHILE_SUSTAINED + mark for mark in (conditions.marks(sustained.conditions) if sustained.conditions else ())]
    return replace(measured, sustained=sustained, marks=(*kept, *new))


def layers(path: str | Path, settings: Settings) -> tuple[Layer, ...]:
    """What each layer takes, where the target's runtime tells; empty elsewhere."""
    bundle = Bundle.read(path)
    size = (bundle.manifest.input["width"], bundle.manifest.input["height"])
    picture = np.ascontiguousarray(_fitted(settings.frames[0], size))
    times = targets.load(bundle.manifest.target).layer_times(bundle, settings.device, settings.threads, picture)
    return tuple(Layer(*one) for one in times)


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


def new_file(folder: Path, measured: Measurement) -> Path:
    """A file whose name says what was measured, and that is not there yet."""
    threads = f"-{measured.run.threads}t" if measured.run.threads else ""
    stamp = re.sub(r"[^0-9]", "", measured.run.made.split("+")[0])
    digest = f"-{measured.subject.digest[:6]}" if measured.subject.digest else ""
    name = f"{measured.subject.name}{digest}-{measured.run.device}{threads}-{measured.machine.id[:4]}-{stamp}"
    stem = re.sub(r"[^\w.-]+", "_", name)
    stems = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
    return next(file for s in stems if not (file := folder / f"{s}.json").exists())


def summary_line(m: Measurement) -> str:
    """One line for the terminal."""
    total = m.latency.total_ms
    line = (
        f"{m.subject.name}: {total.p50:.2f} ms median, {total.p90:.2f} ms p90, {m.latency.fps:.0f} frames/s at "
        f"{m.run.width}x{m.run.height} on {m.run.device} in {m.run.precision}"
    )
    if m.quality is not None:
        line += f"; {m.quality.psnr_db:.2f} dB, SSIM {m.quality.ssim:.3f} (hazy: {m.quality.hazy_psnr_db:.2f} dB)"
    if m.energy is not None:
        line += f"; {m.energy.mj_per_frame:.1f} mJ a frame"
    for r in m.ratios:
        line += f"; {r.ratio:.2f} times as long as {r.against} ({r.interval.low:.2f} to {r.interval.high:.2f})"
    return line + "".join(f" [{mark}]" for mark in m.marks)


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


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
