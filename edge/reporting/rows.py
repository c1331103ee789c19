"""One row for each measurement: the figures under the names that the table, the CSV and ``--fail-if`` use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from edge import command
from edge.errors import EdgeError
from edge.measure.record import Measurement, Quality
from edge.measure.store import MeasurementError, read


@dataclass(frozen=True)
class Row:
    """A measurement's figures; None where a figure was not measured.

    `psnr_drop_db` and `ssim_drop` are what the precision costs: against the float row of the same model on the
    same pictures where that is among the measurements, else what export measured, as `drop_from` then says.
    `data` names the pictures, and tells two folders of one name apart. `memory_mb` is the peak of a process of its
    own less what that held before it imported the runtime. `sustained_fps` is the rate at the end of a sustained
    run, and `sustained_share` that over the rate at its beginning.
    """

    bundle: str
    model: str
    target: str
    precision: str
    ran: str
    board: str
    device: str
    threads: int | None
    width: int
    height: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    min_ms: float
    max_ms: float
    std_ms: float
    p90_low_ms: float
    p90_high_ms: float
    fps: float
    import_ms: float | None
    load_ms: float
    compile_ms: float
    first_ms: float
    from_cache: str | None
    capture_ms: float
    pre_ms: float
    infer_ms: float
    post_ms: float
    psnr_db: float | None
    psnr_low_db: float | None
    psnr_high_db: float | None
    ssim: float | None
    hazy_psnr_db: float | None
    psnr_gain_db: float | None
    psnr_drop_db: float | None
    ssim_drop: float | None
    drop_from: str
    data: str | None
    agreement_db: float | None
    energy_mj: float | None
    memory_mb: float | None
    temperature_c: float | None
    sustained_fps: float | None
    sustained_share: float | None
    overhead_share: float
    size_mb: float
    parameters: int | None
    macs: int | None
    runs: int
    made: str
    marks: str

    @property
    def frame(self) -> str:
        """The frame size, for example ``640x480``."""
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Entry:
    """A measurement with the file it came from and its row."""

    path: Path
    measurement: Measurement
    row: Row

    @property
    def machine(self) -> tuple[str, str]:
        return self.measurement.machine.board, self.measurement.machine.id

    @property
    def data_digest(self) -> str:
        return self.measurement.quality.digest if self.measurement.quality else ""


NAMES = tuple(f.name for f in fields(Row))


def collect(places: Sequence[Path]) -> tuple[list[Entry], list[str]]:
    """Read every measurement in folders (and below) and files.

    Returns:
        Entries, those that compare together, of these clearest first and then fastest first; and one line for each
        file that was left out.

    Raises:
        EdgeError: a place does not exist.
    """
    measurements, left_out = [], []
    for path in _files(places):
        try:
            measurements.append((path, read(path)))
        except MeasurementError as error:
            left_out.append(str(error))
            command.say(f"left out: {error}")
    entries = [Entry(path, m, _row(m, [other for _, other in measurements])) for path, m in measurements]
    return sorted(entries, key=_order), left_out


def _order(entry: Entry) -> tuple:
    r = entry.row
    return r.width * r.height, r.width, r.threads or 0, r.data is None, r.data or "", -(r.psnr_db or 0), r.p90_ms


def _files(places: Sequence[Path]) -> Iterable[Path]:
    for place in places:
        if place.is_dir():
            yield from sorted(
                p for p in place.rglob("*.json") if not any(part.startswith(".") for part in p.parts[-2:])
            )
        elif place.exists():
            yield place
        else:
            raise EdgeError(
                f"{place} does not exist; make measurements with: python -m edge.bench BUNDLE --out {place}"
            )


def _row(m: Measurement, others: Sequence[Measurement]) -> Row:
    total, quality = m.latency.total_ms, m.quality
    psnr_drop, ssim_drop, drop_from = _drop(m, others)
    interval = quality.psnr_interval_db if quality else None
    first, last = _first_and_last_fps(m)
    stages = {name: summary.p50 for name, summary in m.latency.stages_ms.items()}
    return Row(
        bundle=m.subject.name,
        model=str(m.subject.model.get("name", m.subject.name)),
        target=m.subject.target,
        precision=m.subject.precision,
        ran=m.run.precision,
        board=m.machine.board,
        device=m.run.device,
        threads=m.run.threads,
        width=m.run.width,
        height=m.run.height,
        p50_ms=total.p50,
        p90_ms=total.p90,
        p95_ms=total.p95,
        p99_ms=total.p99,
        min_ms=total.min,
        max_ms=total.max,
        std_ms=total.std,
        p90_low_ms=m.latency.p90_interval_ms.low,
        p90_high_ms=m.latency.p90_interval_ms.high,
        fps=m.latency.fps,
        import_ms=m.startup.import_ms,
        load_ms=m.startup.load_ms,
        compile_ms=m.startup.compile_ms,
        first_ms=m.startup.first_ms,
        from_cache=None if m.startup.from_cache is None else "yes" if m.startup.from_cache else "no",
        capture_ms=stages["capture"],
        pre_ms=stages["pre"],
        infer_ms=stages["infer"],
        post_ms=stages["post"],
        psnr_db=quality.psnr_db if quality else None,
        psnr_low_db=interval.low if interval else None,
        psnr_high_db=interval.high if interval else None,
        ssim=quality.ssim if quality else None,
        hazy_psnr_db=quality.hazy_psnr_db if quality else None,
        psnr_gain_db=quality.psnr_db - quality.hazy_psnr_db if quality else None,
        psnr_drop_db=psnr_drop,
        ssim_drop=ssim_drop,
        drop_from=drop_from,
        data=_data(quality, others) if quality else None,
        agreement_db=m.against_float.agreement_db if m.against_float else None,
        energy_mj=m.energy.mj_per_frame if m.energy else None,
        memory_mb=m.memory.peak_mb - m.memory.before_mb if m.memory else None,
        temperature_c=_highest_c(m),
        sustained_fps=last,
        sustained_share=last / first if first and last is not None else None,
        overhead_share=m.latency.overhead_share,
        size_mb=m.subject.bytes / 1e6,
        parameters=m.subject.model.get("parameters"),
        macs=m.subject.model.get("macs"),
        runs=m.latency.runs,
        made=m.run.made,
        marks="; ".join(m.marks),
    )


def _data(quality: Quality, others: Sequence[Measurement]) -> str:
    """The name of the pictures' folder, the first where one set has several; with a digest where sets share it."""
    names: dict[str, str] = {}
    for q in (*(o.quality for o in others if o.quality), quality):
        names.setdefault(q.digest, q.data)
    name = names[quality.digest]
    return f"{name} ({quality.digest[:6]})" if list(names.values()).count(name) > 1 else name


def _drop(m: Measurement, others: Sequence[Measurement]) -> tuple[float | None, float | None, str]:
    """In PSNR and SSIM; and what it is from where that is not the float row here."""
    checkpoint = m.subject.model.get("checkpoint_sha256")
    if m.quality and checkpoint and m.subject.precision != "fp32":
        floats = [
            o
            for o in others
            if o.quality
            and o.subject.precision == o.run.precision == "fp32"
            and o.quality.digest == m.quality.digest
            and o.subject.model.get("checkpoint_sha256") == checkpoint
            and bool(o.subject.model.get("mirrored")) == bool(m.subject.model.get("mirrored"))
        ]
        floats.sort(key=lambda o: (o.machine.id != m.machine.id, o.subject.target != m.subject.target))
        if floats and floats[0].quality:
            return floats[0].quality.psnr_db - m.quality.psnr_db, floats[0].quality.ssim - m.quality.ssim, ""
    if m.quality and checkpoint and m.subject.precision == m.run.precision == "fp32":
        return 0.0, 0.0, ""
    exported = m.subject.accuracy or {}
    drop = exported.get("psnr_drop_db"), exported.get("ssim_drop")
    return *drop, "" if drop == (None, None) else f"export, {exported.get('data', 'pictures of its own')}"


def _highest_c(m: Measurement) -> float | None:
    every = (m.conditions, m.sustained.conditions if m.sustained else None)
    return max((t for c in every if c and (t := c.temperature_c.highest) is not None), default=None)


def _first_and_last_fps(m: Measurement) -> tuple[float | None, float | None]:
    moments = m.sustained.moments if m.sustained else ()
    return (moments[0].fps, moments[-1].fps) if moments else (None, None)
