"""Measurement files: what is written is read, and what is not whole is named."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.measure import record, schema, store
from edge.measure.store import MeasurementError

OLD = Path(__file__).parent / "data" / "version-1.json"


@pytest.fixture(scope="module")
def measured():
    return store.read(OLD)


def test_the_schema_in_the_package_is_that_of_the_classes():
    assert schema.FILE.read_text() == schema.to_text(), "run: python -m edge.measure.schema"


def test_a_file_of_version_1_is_still_read(measured):
    assert json.loads(OLD.read_text())["schema"] == 1
    assert measured.subject.target == "openvino"
    assert measured.latency.times_ms().size == measured.latency.runs
    assert measured.energy is None and measured.conditions is None


def test_what_version_2_measured_wrongly_is_left_out(measured, tmp_path):
    raw = json.loads(measured.to_json()) | {"schema": 2, "memory": {"before_mb": 1.0, "peak_mb": 9.0}}
    for source, kept in (("tegrastats, VDD_IN", False), ("RAPL, package-0", True)):
        told = {"source": source, "joules": 1.0, "seconds": 1.0, "frames": 1, "mj_per_frame": 1000.0}
        (tmp_path / "old.json").write_text(json.dumps(raw | {"energy": told}))
        old = store.read(tmp_path / "old.json")
        assert old.memory is None
        assert (old.energy is not None) == kept and bool(old.energy_missing) != kept


def test_of_a_machine_of_version_3_no_instruction_sets_are_known(measured, tmp_path):
    raw = json.loads(measured.to_json()) | {"schema": 3}
    del raw["machine"]["instructions"]
    (tmp_path / "old.json").write_text(json.dumps(raw))
    assert store.read(tmp_path / "old.json").machine.instructions == ()
    raw["machine"] = "AMD EPYC"
    (tmp_path / "old.json").write_text(json.dumps(raw))
    with pytest.raises(MeasurementError, match="machine: "):
        store.read(tmp_path / "old.json")


def test_an_interval_over_few_pictures_of_version_2_is_taken_anew(scored, tmp_path):
    raw = json.loads(scored.to_json()) | {"schema": 2}
    raw["quality"]["psnr_interval_db"] = {"low": 20.4, "high": 21.6}
    (tmp_path / "old.json").write_text(json.dumps(raw))
    assert store.read(tmp_path / "old.json").quality.psnr_interval_db.low == pytest.approx(21 - 4.3027 / 3**0.5)
    raw["quality"]["pictures"] = "none"
    (tmp_path / "old.json").write_text(json.dumps(raw))
    with pytest.raises(MeasurementError, match="quality: "):
        store.read(tmp_path / "old.json")


def test_what_is_written_is_read(measured, tmp_path):
    sustained = record.Sustained(30, (record.Moment(10.0, 99.5, 1.0, 1.25),), cut=True)
    full = replace(measured, sustained=sustained, marks=("quick run",), layers=(record.Layer("a", "Conv", "i8", 0.1),))
    path = store.write(full, tmp_path / "deep" / "m.json")
    assert store.read(path) == full
    assert json.loads(path.read_text())["schema"] == record.SCHEMA


@pytest.fixture(scope="module")
def scored(measured):
    pictures = tuple(record.PictureScore(f"{n}.png", 20.0 + n, 0.8 + n / 100, 12.0, 0.6) for n in range(3))
    quality = record.Quality("pairs", "d" * 64, 21.0, 0.81, record.Interval(20.0, 22.0), 12.0, 0.6, pictures)
    return replace(measured, quality=quality)


def test_scores_that_fit_are_read(scored, tmp_path):
    assert store.read(store.write(scored, tmp_path / "m.json")) == scored


def damaged(text):
    return text[: len(text) // 2]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (damaged, "not readable as JSON"),
        (lambda t: "[]", "not a measurement of edge.bench"),
        (lambda t: '{"kind": "grafana dashboard"}', "not a measurement of edge.bench"),
        (lambda t: t.replace('"schema": 1', '"schema": 99'), "made by a newer version"),
        (lambda t: t.replace('"schema": 1', '"schema": "1"'), "does not say its schema version"),
        (lambda t: t.replace('"fps"', '"fsp"'), "fps"),
        (lambda t: re.sub(r'"p90": [0-9.]+', '"p90": "fast"', t, count=1), 'is not of type "number"'),
        (lambda t: re.sub(r'"runs": [0-9]+', '"runs": 3', t), "not as many as runs"),
        (lambda t: re.sub(r'"p90": [0-9.]+', '"p90": 0.5', t, count=1), "p90 is not that of the frame times"),
        (lambda t: re.sub(r'"p90": [0-9.]+', '"p90": NaN', t, count=1), "NaN is not JSON"),
        (lambda t: re.sub(r'"runs": [0-9]+', '"runs": ' + "9" * 400, t), "has 400 digits"),
        (lambda t: re.sub(r'"fps": [0-9.]+', '"fps": 1e999', t), "1e999 is beyond what a number holds"),
        (lambda t: re.sub(r'"name": "[^"]+"', r'"name": "\\ud800"', t, count=1), "surrogates"),
        (lambda t: t.replace('"model": {', f'"model": {{"deep": {9000 * "["}{9000 * "]"},', 1), "readable as JSON"),
        (lambda t: t.replace('"capture": {', '"captured": {'), "capture is missing"),
        (lambda t: re.sub(r'"total": "[^"]+"', '"total": "AAAA"', t), "frame times"),
    ],
)
def test_a_file_that_is_not_a_whole_measurement_is_named(tmp_path, change, says):
    path = tmp_path / "broken.json"
    path.write_text(change(OLD.read_text()))
    with pytest.raises(MeasurementError, match=says) as caught:
        store.read(path)
    assert str(path) in str(caught.value)


def altered(measured, figure, value):
    """The measurement with one figure changed, of latency, of a summary in it, or of quality."""
    part, _, name = figure.partition(".")
    latency, quality = measured.latency, measured.quality
    if part == "quality":
        return replace(measured, quality=replace(quality, **{name: value}))
    if part == "latency":
        return replace(measured, latency=replace(latency, **{name: value}))
    if part == "total":
        return replace(measured, latency=replace(latency, total_ms=replace(latency.total_ms, **{name: value})))
    stages = {**latency.stages_ms, part: replace(latency.stages_ms[part], **{name: value})}
    return replace(measured, latency=replace(latency, stages_ms=stages))


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        ("total.p99", 0.1),
        ("total.mean", 0.1),
        ("total.std", 9.0),
        ("total.max", 0.2),
        ("infer.p50", 0.01),
        ("capture.p90", 7.0),
        ("latency.fps", 50_000.0),
        ("latency.overhead_share", 0.5),
        ("latency.p90_interval_ms", record.Interval(0.0, 0.01)),
        ("quality.psnr_db", 40.0),
        ("quality.ssim", 0.99),
        ("quality.hazy_psnr_db", 1.0),
        ("quality.psnr_interval_db", record.Interval(90.0, 91.0)),
        ("quality.pictures", ()),
    ],
)
def test_a_figure_that_was_altered_is_seen(scored, tmp_path, figure, value):
    path = store.write(altered(scored, figure, value), tmp_path / "m.json")
    with pytest.raises(MeasurementError, match=r"altered|no pictures"):
        store.read(path)


def test_published_measurements_are_read():
    published = sorted((Path(__file__).parents[3] / "docs" / "report" / "measurements").glob("*.json"))
    assert published and all(store.read(path).latency.runs for path in published)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("foreign") / "x.json"
    path.write_bytes(data)
    with pytest.raises(MeasurementError):
        store.read(path)


def test_a_picture_can_only_be_a_picture(measured, tmp_path):
    shown = record.Shown("a", "worst", 'data:image/jpeg;base64,AA" onerror="alert(1)', "", "")
    path = store.write(replace(measured, shown=(shown,)), tmp_path / "m.json")
    with pytest.raises(MeasurementError, match="shown/0/hazy"):
        store.read(path)
