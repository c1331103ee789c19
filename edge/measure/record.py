"""The measurement: one JSON file for one bundle, device and run.

`measurement.schema.json` beside this file says what a file holds; the classes here are the same in Python. A file of
an older schema version is brought up to date when it is read (`edge.measure.store.UPGRADES`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge.measure import samples
from edge.measure.conditions import Conditions
from edge.measure.energy import Energy
from edge.measure.machine import Machine
from edge.measure.statistics import Interval, Summary

SCHEMA = 4
KIND = "draco-edge measurement"
STAGES = ("capture", "pre", "infer", "post")


@dataclass(frozen=True)
class Subject:
    """What was measured: a bundle, or a peer that it is compared with.

    Attributes:
        name: for people.
        digest: of the bundle's manifest (see `edge.bundle.Bundle`); empty for a peer.
        kind, model, target, precision, accuracy, calibration: as the bundle's manifest says.
        bytes: of all its files.
    """

    name: str
    digest: str
    kind: str
    model: Mapping[str, Any]
    target: str
    precision: str
    bytes: int
    accuracy: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Run:
    """How it was measured.

    Attributes:
        made: when it began, UTC, ISO 8601.
        command: as typed.
        device_asked, device: as `--device` said, and where it really ran.
        precision: in which it really ran, as the runtime says.
        threads: asked for; None for the target's own choice.
        width, height: of the frames, in pixels.
        quick: a short run, good for a look.
    """

    made: str
    command: str
    device_asked: str
    device: str
    precision: str
    threads: int | None
    width: int
    height: int
    quick: bool
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Startup:
    """From nothing to the first clear frame, in milliseconds.

    Attributes:
        load_ms, compile_ms, first_ms: reading the model, compiling it, and the first frame.
        import_ms: the program and the runtime, in a process of their own (`edge.measure.fresh`); None where it was not
            measured.
        from_cache: whether the compiled model was taken from the runtime's cache; None where that does not tell.
    """

    load_ms: float
    compile_ms: float
    first_ms: float
    import_ms: float | None = None
    from_cache: bool | None = None


@dataclass(frozen=True)
class Latency:
    """Steady state, one frame after the other.

    Attributes:
        warmup_runs: frames before, which do not count.
        runs, seconds: frames, and how long they took with all around them.
        total_ms: of one frame, from the frame in memory to the clear frame in memory.
        p50_interval_ms, p90_interval_ms: 95 %, by block bootstrap within the run.
        stages_ms: of capture (copying the frame out of its source), pre, infer, post; capture is not in the total.
        fps: frames a second, end to end, capture included.
        samples: of the total and of each stage, packed (`edge.measure.samples`).
        overhead_share: the part of `seconds` that measuring itself took.
    """

    warmup_runs: int
    runs: int
    seconds: float
    total_ms: Summary
    p50_interval_ms: Interval
    p90_interval_ms: Interval
    stages_ms: Mapping[str, Summary]
    fps: float
    samples: Mapping[str, str]
    overhead_share: float

    def times_ms(self, which: str = "total") -> np.ndarray:
        """Every frame's time, float64 (n,), of the total or of a stage."""
        return samples.unpack(self.samples[which])


@dataclass(frozen=True)
class PictureScore:
    """One pair's scores, of the hazy picture as it is and of the dehazed one.

    Attributes:
        name, scene: of the hazy and of the clear picture; several hazy pictures may be of one scene.
    """

    name: str
    psnr_db: float
    ssim: float
    hazy_psnr_db: float
    hazy_ssim: float
    scene: str = ""


@dataclass(frozen=True)
class Quality:
    """How clear its pictures are, by the same artefact on the same runtime that was timed.

    Attributes:
        data: the folder's name.
        digest: of the names and contents of all its pairs.
        psnr_db, ssim, hazy_psnr_db, hazy_ssim: means over the pictures.
        psnr_interval_db: 95 %, Student's, over scenes; None for a single one.
    """

    data: str
    digest: str
    psnr_db: float
    ssim: float
    psnr_interval_db: Interval | None
    hazy_psnr_db: float
    hazy_ssim: float
    pictures: tuple[PictureScore, ...]


@dataclass(frozen=True)
class Shown:
    """A picture for the report: data URIs of JPEG pictures, at most 560 pixels wide.

    Attributes:
        why: why this one was chosen, for example ``worst``.
        clear: empty where there is no ground truth.
    """

    name: str
    why: str
    hazy: str
    dehazed: str
    clear: str = ""


@dataclass(frozen=True)
class Memory:
    """Of a process of the bundle's own, in MB: before its runtime was imported, and the most while it ran.

    See `edge.measure.fresh`.
    """

    before_mb: float
    peak_mb: float


@dataclass(frozen=True)
class Layer:
    """One step of the network, as its runtime reports it; milliseconds of a frame, median over some."""

    name: str
    kind: str
    precision: str
    median_ms: float


@dataclass(frozen=True)
class Moment:
    """A few seconds of a sustained run; `at_s` is their end, from the run's beginning. None where not available."""

    at_s: float
    fps: float
    p50_ms: float
    p90_ms: float
    temperature_c: float | None = None
    frequency_mhz: float | None = None
    watts: float | None = None


@dataclass(frozen=True)
class Sustained:
    """A long run without pause, after the one that `Latency` tells of; what `minutes` asked for may have been cut.

    Attributes:
        conditions: of this run alone, all its parts where it was cut and went on.
    """

    minutes: float
    moments: tuple[Moment, ...]
    cut: bool = False
    conditions: Conditions | None = None


@dataclass(frozen=True)
class Ratio:
    """How many times as long a frame takes as with another bundle that took turns in the same run; by medians."""

    against: str
    against_digest: str
    ratio: float
    interval: Interval


@dataclass(frozen=True)
class ErrorMap:
    """Where a picture differs from float32's: data URI, grey for equal, 16 times enlarged."""

    name: str
    picture: str
    largest: int


@dataclass(frozen=True)
class AgainstFloat:
    """This bundle's pictures next to those of a float32 bundle of the same checkpoint, here and now.

    Attributes:
        agreement_db: PSNR between the two, mean over the pictures shown.
    """

    against: str
    against_digest: str
    agreement_db: float
    maps: tuple[ErrorMap, ...]


@dataclass(frozen=True)
class Measurement:
    """See the classes of its parts. What is None or empty was not measured.

    Attributes:
        energy_missing: why there is no energy.
        marks: what a reader must know before trusting a figure, in plain words.
    """

    subject: Subject
    run: Run
    machine: Machine
    startup: Startup
    latency: Latency
    quality: Quality | None = None
    shown: tuple[Shown, ...] = ()
    conditions: Conditions | None = None
    energy: Energy | None = None
    energy_missing: str = ""
    memory: Memory | None = None
    layers: tuple[Layer, ...] = ()
    sustained: Sustained | None = None
    ratios: tuple[Ratio, ...] = ()
    against_float: AgainstFloat | None = None
    marks: tuple[str, ...] = ()

    def to_json(self) -> str:
        return json.dumps({"kind": KIND, "schema": SCHEMA, **asdict(self)}, indent=1, allow_nan=False) + "\n"
