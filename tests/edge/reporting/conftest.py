"""Measurements to report on: the recorded one, with figures of the test's choice."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.measure import samples, statistics, store
from edge.measure.record import Measurement, PictureScore, Quality
from edge.measure.statistics import Interval

RECORDED = Path(__file__).parents[1] / "measure" / "data" / "version-1.json"
Make = Callable[..., Measurement]


@pytest.fixture(scope="session")
def make() -> Make:
    """A measurement with chosen figures, such as `make("a", times_ms=[4.0, 4.1], psnr_db=20.0, board="Pi 5")`."""
    recorded = store.read(RECORDED)

    def build(name="edge-m-openvino-int8", times_ms=None, psnr_db=None, precision="int8", board="Board", **change):
        times = np.full(200, 4.0) if times_ms is None else np.asarray(times_ms, float)
        intervals = statistics.percentile_intervals(times, (50, 90))
        latency = replace(
            recorded.latency,
            runs=times.size,
            total_ms=statistics.summarise(times),
            p50_interval_ms=intervals[50],
            p90_interval_ms=intervals[90],
            samples={"total": samples.pack(times)},
        )
        quality = None
        if psnr_db is not None:
            scores = tuple(PictureScore(f"{i}.png", psnr_db + d, 0.9, 12.0, 0.6) for i, d in enumerate((-1, 0, 1)))
            quality = Quality("pairs", "d" * 64, psnr_db, 0.9, Interval(psnr_db - 1, psnr_db + 1), 12.0, 0.6, scores)
        model = {"name": change.pop("model", "edge-m"), "parameters": 1000, "checkpoint_sha256": "c" * 64}
        subject = replace(recorded.subject, name=name, precision=precision, model=model, digest=name)
        machine = replace(recorded.machine, board=board, id=f"{board:.<12}")
        run = replace(recorded.run, precision=precision, made=change.pop("made", recorded.run.made))
        change.setdefault("marks", ())
        return replace(recorded, subject=subject, latency=latency, quality=quality, machine=machine, run=run, **change)

    return build


@pytest.fixture
def folder(tmp_path) -> Callable[..., Path]:
    """A folder of measurement files: `folder(m1, m2, name="old")`."""

    def write(*measurements: Measurement, name="measurements") -> Path:
        for number, measurement in enumerate(measurements):
            store.write(measurement, tmp_path / name / f"{number}.json")
        return tmp_path / name

    return write
