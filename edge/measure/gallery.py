"""Pictures of a call: which to show, the same for every bundle, and how INT8's differ from float32's."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.measure import accuracy
from edge.measure.accuracy import Before, PairedData
from edge.measure.loop import Timed
from edge.measure.record import Measurement, Subject

FLOAT = "fp32"


@dataclass
class Gallery:
    """Scores bundles on the data, and keeps the pictures shown until their counterpart comes by.

    Args:
        data: pairs; None for none: then a frame that was timed is shown, without scores.
    """

    data: PairedData | None
    _chosen: list[tuple[str, str]] = field(default_factory=list)
    _pictures: dict[str, list[Before]] = field(default_factory=dict)  # of the bundle with that digest
    _seen: list[tuple[Path, Measurement]] = field(default_factory=list)

    def add(self, dehaze: Timed, measured: Measurement, frame: Before) -> Measurement:
        """The measurement with quality and pictures.

        Args:
            frame: shown where there is no data; its `dehazed` is filled in here.
        """
        if self.data is None:
            pictures = [replace(frame, dehazed=dehaze(frame.hazy))]
        else:
            quality = accuracy.score(dehaze, self.data, measured.subject.name)
            self._chosen = self._chosen or accuracy.choose([quality])
            pictures = accuracy.dehaze_chosen(dehaze, self.data, self._chosen)
            measured = replace(measured, quality=quality)
        self._pictures[measured.subject.digest] = pictures
        return replace(measured, shown=accuracy.show(pictures))

    def compare_with_float(self, measured: Measurement, file: Path) -> list[tuple[Path, Measurement]]:
        """Measurements, this one or earlier ones, that can now be put next to float32 of their model.

        One of the same target is preferred: where it comes by later, it takes the other's place.
        """
        self._seen.append((file, measured))
        found = []
        for index, (path, low) in enumerate(self._seen):
            floats = [high.subject for _, high in self._seen if _is_float_of(high.subject, low.subject)]
            if not floats:
                continue
            best = min(floats, key=lambda subject: subject.target != low.subject.target)
            if low.against_float is None or low.against_float.against_digest != best.digest:
                mine, exact = self._pictures[low.subject.digest], self._pictures[best.digest]
                low = replace(low, against_float=accuracy.against_float(mine, exact, best))
                self._seen[index] = (path, low)
                found.append((path, low))
        return found


def _is_float_of(high: Subject, low: Subject) -> bool:
    """Whether one is float32 of the other: made from the same checkpoint, and looking at a frame as often."""
    checkpoint = low.model.get("checkpoint_sha256")
    return (
        bool(checkpoint)
        and (high.precision == FLOAT != low.precision)
        and high.model.get("checkpoint_sha256") == checkpoint
        and bool(high.model.get("mirrored")) == bool(low.model.get("mirrored"))
    )
