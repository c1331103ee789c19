"""edge.bench as its users call it: one file for each bundle, with figures that agree with a loop of one's own."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from edge import bench
from edge.dehazer import Dehazer
from edge.measure import store
from edge.measure.quality import psnr_db
from edge.pictures import read_picture


@pytest.fixture(scope="module")
def measured(grid_bundle, openvino_bundle, pairs, tmp_path_factory):
    """Two bundles of one model measured in turns, quick, with data."""
    out = tmp_path_factory.mktemp("measured")
    arguments = [str(grid_bundle), str(openvino_bundle), "--compare", "--quick", "--threads", "1"]
    assert bench.main([*arguments, "--data", str(pairs), "--out", str(out), "--board", "Test board"]) == 0
    return {m.subject.target: m for m in map(store.read, sorted(out.glob("*.json")))}


def test_a_file_for_each_bundle_says_what_was_measured_and_how(measured, grid_bundle):
    from edge.bundle import Bundle

    m = measured["onnx"]
    assert m.subject.digest == Bundle.read(grid_bundle).digest
    assert (m.run.device, m.run.precision, m.run.threads, m.machine.board) == ("CPU", "fp32", 1, "Test board")
    assert m.run.command.startswith("python -m edge.bench") and "--compare" in m.run.command
    assert {"draco-edge", "numpy", "onnxruntime"} <= set(m.run.versions)
    assert "quick run" in m.marks
    assert m.startup.compile_ms > 0 and m.startup.first_ms > 0


def test_every_frame_is_in_the_file(measured):
    latency = measured["openvino"].latency
    times = latency.times_ms()
    assert times.size == latency.runs >= 100
    assert times.max() == pytest.approx(latency.total_ms.max, abs=1e-3)
    assert np.sort(times)[int(np.ceil(0.9 * times.size)) - 1] == pytest.approx(latency.total_ms.p90, abs=1e-3)
    assert latency.p90_interval_ms.low <= latency.total_ms.p90 <= latency.p90_interval_ms.high


def test_memory_and_imports_are_each_bundle_s_own_whatever_came_before(openvino_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("DRACO_EDGE_CACHE", str(tmp_path / "cache"))
    same = ["--quick", "--threads", "1", "--size", "160x120", "--out", str(tmp_path)]
    assert bench.main([str(openvino_bundle), str(openvino_bundle), *same]) == 0
    both = sorted(map(store.read, tmp_path.glob("*.json")), key=lambda m: m.startup.from_cache)
    assert [m.startup.from_cache for m in both] == [False, True]
    assert all(m.startup.import_ms > 50 for m in both)
    first, second = (m.memory for m in both)
    assert first.peak_mb - first.before_mb > 20, "with the runtime"
    assert second.peak_mb - second.before_mb == pytest.approx(first.peak_mb - first.before_mb, rel=0.2)


def test_stages_add_up_to_the_frame(measured):
    latency = measured["openvino"].latency
    parts = sum(latency.times_ms(stage) for stage in ("pre", "infer", "post"))
    assert np.median(parts / latency.times_ms()) == pytest.approx(1, abs=0.1)


def test_pictures_are_scored_by_what_was_timed(measured, openvino_bundle, pairs):
    with Dehazer(openvino_bundle, device="CPU", threads=1) as dehazer:
        expected = [
            psnr_db(dehazer(read_picture(hazy)[0]), read_picture(pairs / "clear" / hazy.name)[0])
            for hazy in sorted((pairs / "hazy").iterdir())
        ]
    quality = measured["openvino"].quality
    assert [p.psnr_db for p in quality.pictures] == pytest.approx(expected)
    assert quality.psnr_db == pytest.approx(np.mean(expected))
    assert measured["onnx"].quality.digest == quality.digest


def test_bundles_that_took_turns_have_a_ratio_to_the_first(measured):
    (ratio,) = measured["openvino"].ratios
    assert ratio.against_digest == measured["onnx"].subject.digest
    assert ratio.interval.low <= ratio.ratio <= ratio.interval.high
    assert measured["onnx"].ratios == ()


def test_energy_is_missing_with_a_reason_never_zero(measured):
    for m in measured.values():
        assert m.energy is None or m.energy.joules > 0
        assert m.energy is not None or m.energy_missing


def test_the_worst_pictures_are_kept_to_look_at(measured):
    shown = measured["onnx"].shown
    worst = min(measured["onnx"].quality.pictures, key=lambda p: p.psnr_db)
    assert (shown[0].name, shown[0].why) == (worst.name, "worst")
    assert all(s.hazy.startswith("data:image/jpeg;base64,") and s.clear for s in shown)


def test_two_exports_of_one_model_measured_in_one_second_have_a_file_each(grid_bundle, tmp_path, monkeypatch):
    from edge.bundle import Bundle, write_bundle
    from edge.measure import session

    monkeypatch.setattr(session, "now", lambda: "2026-01-02T03:04:05+00:00")
    first = Bundle.read(grid_bundle)
    other = write_bundle(tmp_path / "b", replace(first.manifest, notes={"export": "again"}), first.files)
    paths = [str(grid_bundle), str(other), str(grid_bundle)]
    common = ["--compare", "--quick", "--threads", "1", "--size", "160x120"]
    assert bench.main([*paths, *common, "--out", str(tmp_path / "out")]) == 0
    files = {file.name: store.read(file).subject.digest for file in (tmp_path / "out").glob("*.json")}
    assert sorted(files.values()) == sorted([first.digest, Bundle.read(other).digest, first.digest])
    assert all(digest[:6] in name for name, digest in files.items())
    assert sum(name.endswith("-20260102030405-2.json") for name in files) == 1


def test_a_second_call_with_resume_measures_only_what_is_missing(grid_bundle, openvino_bundle, tmp_path, capsys):
    common = ["--quick", "--threads", "1", "--size", "160x120", "--out", str(tmp_path)]
    assert bench.main([str(grid_bundle), *common]) == 0
    capsys.readouterr()
    assert bench.main([str(grid_bundle), str(openvino_bundle), "--resume", *common]) == 0
    out, err = capsys.readouterr()
    assert "already measured" in err and str(grid_bundle) in err
    assert len(list(tmp_path.glob("*.json"))) == 2
    assert out.splitlines()[-1] == str(tmp_path)


def test_bundles_in_turns_are_measured_again_together(grid_bundle, openvino_bundle, tmp_path, capsys):
    """A ratio needs both in one run: one that was measured alone does not answer the call."""
    common = ["--quick", "--threads", "1", "--size", "160x120", "--out", str(tmp_path)]
    both = [str(grid_bundle), str(openvino_bundle), "--compare", "--resume", *common]
    assert bench.main([str(grid_bundle), *common]) == 0
    assert bench.main(both) == 0
    assert len(list(tmp_path.glob("*.json"))) == 3
    capsys.readouterr()
    assert bench.main(both) == 0
    assert capsys.readouterr().err.count("already measured") == 2
    assert len(list(tmp_path.glob("*.json"))) == 3


def test_a_sustained_run_that_is_cut_keeps_what_it_has_and_goes_on(openvino_bundle, tmp_path, capsys):
    arguments = [str(openvino_bundle), "--quick", "--threads", "1", "--sustained", "0.5", "--out", str(tmp_path)]
    (tmp_path / "torn.json").write_text('{"kind": "draco-edge measurement", "schema": 2, "run": []}')
    process = subprocess.Popen([sys.executable, "-m", "edge.bench", *arguments], stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        if list(tmp_path.glob("*openvino*.json")):
            break
        time.sleep(0.1)
    time.sleep(15)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    (file,) = tmp_path.glob("*openvino*.json")
    cut = store.read(file)
    assert cut.sustained.cut and cut.sustained.minutes == 0.5
    assert 9 < cut.sustained.moments[0].at_s < 20

    start = time.monotonic()
    assert bench.main([*arguments, "--resume"]) == 0
    assert time.monotonic() - start < 28, "the seconds that it had count"
    (file,) = tmp_path.glob("*openvino*.json")
    whole = store.read(file)
    assert not whole.sustained.cut
    assert whole.latency == cut.latency, "what was timed is not timed again"
    seen = len(cut.sustained.moments)
    assert whole.sustained.moments[:seen] == cut.sustained.moments
    times = [m.at_s for m in whole.sustained.moments]
    assert times == sorted(times) and times[-1] == pytest.approx(30, abs=1)
    assert any(mark.startswith("the sustained run paused at minute 0.") for mark in whole.marks)
    capsys.readouterr()
    assert bench.main([*arguments, "--resume"]) == 0
    assert "already measured" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "nowhere does not exist; make a bundle"),
        (["BUNDLE", "--data", "nowhere"], "nowhere does not exist; pairs are"),
        (["BUNDLE", "--device", "TPU", "--quick"], "TPU"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(python, grid_bundle, tmp_path, arguments, says):
    given = [str(grid_bundle) if a == "BUNDLE" else a for a in arguments]
    done = python("-m", "edge.bench", *given, "--out", tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and says in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [[], ["b", "--size", "huge"], ["b", "--threads", "0"], ["b", "--compare"], ["a", "b", "--sustained", "-1"]],
)
def test_a_wrong_call_is_told(python, arguments):
    done = python("-m", "edge.bench", *arguments)
    assert done.returncode == 2 and "usage:" in done.stderr


def test_help_is_quick_and_teaches(python):
    done = python("-X", "importtime", "-m", "edge.bench", "--help")
    assert done.returncode == 0 and "examples:" in done.stdout
    assert not any(f"| {name}\n" in done.stderr for name in ("cv2", "numpy", "torch", "openvino", "onnxruntime"))


def test_files_are_small_enough_to_keep(measured, tmp_path):
    for m in measured.values():
        without_pictures = json.dumps({**json.loads(m.to_json()), "shown": []})
        assert len(without_pictures) < 60_000 + 12 * m.latency.runs
