"""What a call that was cut has already measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.measure import store
from edge.measure.record import KIND, Measurement, Moment


@dataclass(frozen=True)
class Wanted:
    """What a call would measure; `minutes` of a sustained run, None for none."""

    bundle: str
    machine: str
    data: str | None
    device: str
    threads: int | None
    size: tuple[int, int]
    quick: bool
    minutes: float | None

    def timed(self, m: Measurement) -> bool:
        """Whether a measurement holds all of it, a sustained run apart."""
        return m.subject.digest == self.bundle and self == Wanted(
            bundle=m.subject.digest,
            machine=m.machine.id,
            data=m.quality.digest if m.quality else None,
            device=m.run.device_asked,
            threads=m.run.threads,
            size=(m.run.width, m.run.height),
            quick=m.run.quick,
            minutes=self.minutes,
        )

    def answered(self, m: Measurement) -> bool:
        """Whether a measurement holds all of it."""
        long = m.sustained
        return self.timed(m) and (self.minutes is None or bool(long and long.minutes >= self.minutes and not long.cut))

    def begun(self, m: Measurement) -> tuple[Moment, ...] | None:
        """What it holds of the sustained run that was cut; None where that run was another."""
        if not self.timed(m) or self.minutes is None or (m.sustained and m.sustained.minutes != self.minutes):
            return None
        return m.sustained.moments if m.sustained else ()


def found(folder: Path) -> Iterator[tuple[Path, Measurement]]:
    """Measurements in a folder, newest last; unvalidated, since a board has no need of the validator."""
    files = []
    for path in folder.glob("*.json"):
        try:
            raw = json.loads(path.read_bytes())
            if isinstance(raw, dict) and raw.get("kind") == KIND:
                files.append((path, store.build(raw)))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            continue  # damaged, or of a newer version: measured again
    yield from sorted(files, key=lambda file: str(file[1].run.made))


def in_turns(measured: Sequence[Measurement | None]) -> bool:
    """Whether all were measured, and took turns with the first."""
    first, *others = measured
    return first is not None and all(
        m is not None and any(r.against_digest == first.subject.digest for r in m.ratios) for m in others
    )
