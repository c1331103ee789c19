"""`python -m edge.export`: what lies there afterwards, what its manifest says, and what a wrong call is told."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import edge
from edge import export
from edge.bundle import Bundle
from edge.errors import EdgeError
from edge.exporting import measured, pictures
from edge.exporting.models import SHIPPED, source_model
from edge.pictures import read_picture, write_picture

WATCH_SOCKETS = """
import sys
def watch(event, arguments):
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        sys.stderr.write(f"SOCKET {event} {arguments}\\n")
sys.addaudithook(watch)
from edge import command
import importlib
name, *arguments = sys.argv[1:]
sys.exit(command.run(importlib.import_module(name).main, arguments))
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Sixteen pictures to calibrate on."""
    from quantization.calibration import synthetic_pair

    folder = tmp_path_factory.mktemp("photos")
    for number in range(16):
        write_picture(folder / f"{number:02}.jpg", synthetic_pair(number, 5)[0])
    return folder


@pytest.fixture(scope="module", params=["openvino", "onnx"])
def int8(request, grid_source, photos, pairs, tmp_path_factory, python):
    """An INT8 bundle made by the command in a process of its own, in a home without any file."""
    home = tmp_path_factory.mktemp("home")
    path = home / f"{request.param}-int8"
    arguments = ["--target", request.param, "--model", grid_source.onnx, "--calibration", photos, "--data", pairs]
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    done = python("-c", WATCH_SOCKETS, "edge.export", *arguments, "--out", path, env=environment)
    assert done.returncode == 0, done.stderr
    return path, done


def test_the_last_line_is_the_path_and_the_one_before_says_what_it_cost(int8):
    path, done = int8
    summary, last = done.stdout.splitlines()
    assert last == str(path)
    assert "MB" in summary and "dB PSNR" in summary and "against float32" in summary
    agreement = Bundle.read(path).manifest.accuracy["agreement_db"]
    assert f"frames agree to {agreement:.1f} dB" in summary


def test_export_opens_no_connection(int8):
    _, done = int8
    assert "SOCKET" not in done.stderr


def test_running_it_opens_no_connection(int8, python, tmp_path):
    path, _ = int8
    write_picture(tmp_path / "hazy.png", np.full((50, 60, 3), 200, np.uint8))
    arguments = [path, "--source", tmp_path / "hazy.png", "--sink", tmp_path / "clear"]
    done = python("-c", WATCH_SOCKETS, "edge.run", *arguments, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clear" / "hazy.png").exists()
    assert "SOCKET" not in done.stderr


def test_the_watch_would_have_seen_a_connection(python):
    watch, _, _ = WATCH_SOCKETS.partition("from edge")
    code = watch + "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    assert "SOCKET socket.connect" in python("-c", code).stderr


def test_the_manifest_tells_what_the_bundle_is(int8, grid_source, photos):
    path, _ = int8
    bundle = Bundle.read(path)
    manifest = bundle.manifest
    assert (manifest.kind, manifest.precision, manifest.target) == ("grid", "int8", path.name.removesuffix("-int8"))
    assert manifest.model["name"] == "test-grid" and manifest.model["checkpoint_sha256"] == "0" * 64
    assert manifest.input == {
        "width": 40,
        "height": 30,
        "colour": "RGB",
        "layout": "NHWC",
        "dtype": "uint8",
        "range": [0, 255],
    }
    assert [(o["name"], o["shape"]) for o in manifest.outputs] == [("cell", [30, 40, 7]), ("airlight", [3])]
    assert manifest.calibration["pictures"] == 16 and manifest.calibration["source"] == f"folder {photos.name}"
    assert manifest.tools["draco-edge"] == edge.__version__ and manifest.target in " ".join(manifest.tools)
    assert len(manifest.golden) == 2


def test_the_accuracy_it_tells_is_what_one_measures_oneself(int8, grid_bundle, pairs):
    """The figures again, from files, with scikit-image's measures."""
    from skimage.io import imread
    from skimage.metrics import peak_signal_noise_ratio

    path, _ = int8
    told = Bundle.read(path).manifest.accuracy
    with edge.Dehazer(path) as ours, edge.Dehazer(grid_bundle) as float32:
        rows = []
        for hazy in sorted((pairs / "hazy").iterdir()):
            frame, clear = imread(hazy), imread(pairs / "clear" / hazy.name)
            a, b = ours(frame), float32(frame)
            rows.append([peak_signal_noise_ratio(clear, a), peak_signal_noise_ratio(clear, b)])
            assert np.abs(a.astype(int) - b).max() <= told["largest_error"]
        mean = np.mean(rows, axis=0)
    assert told["pictures"] == 2
    assert told["psnr_db"] == pytest.approx(mean[0], abs=0.002)
    assert told["psnr_drop_db"] == pytest.approx(mean[1] - mean[0], abs=0.002)
    assert told["psnr_drop_db"] < 0.5


def test_golden_frames_come_out_here_as_told(int8):
    with edge.Dehazer(int8[0]) as dehazer:
        assert dehazer.verify() == 0


def test_golden_frames_allow_what_another_rounding_of_the_same_model_may_give(int8):
    bundle = Bundle.read(int8[0])
    allowed = [golden.tolerance for golden in bundle.manifest.golden]
    assert min(allowed) >= 10
    assert max(allowed) == max(10, 2 * bundle.manifest.accuracy["golden_largest_error"])


def test_the_same_pictures_give_the_same_bytes(int8, grid_source, photos, pairs, tmp_path):
    path, _ = int8
    first = Bundle.read(path)
    again = tmp_path / "again"
    arguments = ["--target", first.manifest.target, "--model", grid_source.onnx, "--calibration", photos]
    assert export.main([str(a) for a in (*arguments, "--data", pairs, "--out", again)]) == 0
    assert Bundle.read(again).files == first.files


def test_the_manifest_tells_which_kernels_run_in_int8(int8):
    kernels = Bundle.read(int8[0]).manifest.notes["kernels"]

    def convolutions(precision):
        return sum(count for name, count in kernels[precision].items() if "Conv" in name)

    # All but the layers that the outputs come from and, with OpenVINO, the first to see the picture.
    first = Bundle.read(int8[0]).manifest.target == "openvino"
    assert (convolutions("int8"), convolutions("fp32")) == ((1, 3) if first else (2, 2))


def test_the_manifest_and_the_terminal_tell_whether_int8_is_faster(int8):
    path, done = int8
    pace = Bundle.read(path).manifest.notes["pace"]

    assert pace["low"] <= pace["to_fp32"] <= pace["high"]
    faster = "int8" if pace["high"] < 1 else "fp32"
    assert pace["recommended"] == (None if pace["marks"] else faster)
    assert all(mark in done.stderr for mark in pace["marks"])
    assert f"INT8 takes {pace['to_fp32']:.2f}" in done.stderr
    assert ("take --precision fp32" in done.stderr) == (pace["recommended"] == "fp32")


def test_the_manifest_tells_how_far_the_golden_frames_are_from_the_float_model(int8, grid_bundle):
    manifest = Bundle.read(int8[0]).manifest
    worst = 0
    with edge.Dehazer(grid_bundle, "CPU") as reference:
        for golden in manifest.golden:
            frame, clear = (read_picture(int8[0] / name)[0] for name in (golden.frame, golden.clear))
            worst = max(worst, int(np.abs(reference(frame).astype(int) - clear).max()))
    assert manifest.accuracy["golden_largest_error"] == worst


def test_one_zip_instead_of_a_folder(grid_source, pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["--target", "onnx", "--precision", "fp32", "--model", grid_source.onnx, "--data", pairs, "--zip"]
    assert export.main([str(a) for a in arguments]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "test-grid-onnx-fp32.zip"
    assert Bundle.read("test-grid-onnx-fp32.zip").manifest.name == "test-grid-onnx-fp32"
    assert [p.name for p in tmp_path.iterdir()] == ["test-grid-onnx-fp32.zip"]


@pytest.mark.parametrize("target", ["openvino", "onnx"])
def test_half_precision_is_smaller_and_close(grid_source, pairs, tmp_path, target):
    out = tmp_path / "b"
    arguments = ["--target", target, "--precision", "fp16", "--model", grid_source.onnx, "--data", pairs, "--out", out]
    assert export.main([str(a) for a in arguments]) == 0
    assert Bundle.read(out).manifest.accuracy["largest_error"] <= 3


def test_a_frame_model_is_exported_too(frame_bundle):
    manifest = Bundle.read(frame_bundle).manifest
    assert manifest.kind == "frame"
    assert [o["name"] for o in manifest.outputs] == ["clear"]
    assert manifest.outputs[0]["shape"] == [48, 64, 3] and manifest.outputs[0]["dtype"] == "uint8"


def test_a_frame_model_in_int8(frame_source, photos, pairs, tmp_path):
    arguments = ["--model", frame_source.onnx, "--calibration", photos, "--data", pairs, "--out", tmp_path / "b"]
    assert export.main([str(a) for a in arguments]) == 0
    assert Bundle.read(tmp_path / "b").manifest.accuracy["psnr_drop_db"] < 0.5


def test_a_loss_above_max_drop_is_refused_and_nothing_is_written(grid_source, pairs, tmp_path, monkeypatch):
    from edge.exporting import fidelity

    real = fidelity.compare
    monkeypatch.setattr(fidelity, "compare", lambda *a: replace(real(*a), psnr_drop_db=0.4))
    arguments = ["--precision", "fp32", "--model", grid_source.onnx, "--data", pairs, "--out", tmp_path / "b"]
    with pytest.raises(EdgeError, match=r"0\.400 dB .* --max-drop 0\.1"):
        export.main([str(a) for a in (*arguments, "--max-drop", "0.1")])
    assert not (tmp_path / "b").exists()


def test_clear_pictures_that_are_spoilt_are_told_and_with_a_limit_refused(
    grid_source, pairs, tmp_path, monkeypatch, capsys
):
    from edge.exporting import fidelity

    real = fidelity.compare
    monkeypatch.setattr(fidelity, "compare", lambda *a: replace(real(*a), kept_psnr_drop_db=1.4))
    arguments = ["--precision", "fp32", "--model", grid_source.onnx, "--data", pairs, "--out", tmp_path / "b"]
    with pytest.raises(EdgeError, match=r"clear pictures 1\.40 dB worse .* --max-drop 0\.1"):
        export.main([str(a) for a in (*arguments, "--max-drop", "0.1")])
    assert not (tmp_path / "b").exists()
    assert export.main([str(a) for a in arguments]) == 0
    assert "clear pictures are kept 1.40 dB worse" in capsys.readouterr().err


@pytest.mark.parametrize(("looked_at", "says"), [(True, "does not follow"), (False, "it may be of another model")])
def test_an_artefact_in_float_that_is_of_another_model_is_refused(
    grid_source, pairs, tmp_path, monkeypatch, looked_at, says
):
    """Its frames are some 30 dB from the model's: for INT8 that may be rounding, in float it is not."""
    from edge.exporting import soundness
    from targets.openvino.network import OpenVINONetwork

    if not looked_at:  # by its answers' channels; its frames tell too
        monkeypatch.setattr(soundness, "refuse_broken", lambda *_: None)

    real = OpenVINONetwork.__call__

    def other(self, picture):
        cell, light = real(self, picture)
        return cell + np.float32(0.5), light

    monkeypatch.setattr(OpenVINONetwork, "__call__", other)
    arguments = ["--precision", "fp32", "--model", grid_source.onnx, "--data", pairs, "--out", tmp_path / "b"]
    with pytest.raises(EdgeError, match=says):
        export.main([str(a) for a in arguments])
    assert not (tmp_path / "b").exists()


def test_a_broken_artefact_is_refused(grid_source, pairs, tmp_path, monkeypatch):
    """One that gives the same answer for every picture."""
    from targets.openvino.network import OpenVINONetwork

    stuck = np.full((30, 40, 7), 3, np.float32), np.ones(3, np.float32)
    monkeypatch.setattr(OpenVINONetwork, "__call__", lambda self, picture: stuck)
    arguments = ["--precision", "fp32", "--model", grid_source.onnx, "--data", pairs, "--out", tmp_path / "b"]
    with pytest.raises(EdgeError, match="broken"):
        export.main([str(a) for a in arguments])
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--model", "nothing.onnx"], 1, "there is no model nothing.onnx"),
        (["--model", "README.md"], 1, "not a model of this project"),
        (["--size", "640x480"], 1, "leave --size out"),
        (["--precision", "fp32", "--calibration", "."], 2, "--calibration is for --precision int8"),
        (["--calibration", "tests"], 1, "no pictures"),
        (["--quantizer", "magic"], 2, "no quantizer 'magic'; choose inc, or leave --quantizer out"),
        (["--target", "jetson", "--quantizer", "inc"], 2, "no quantizer 'inc'; leave --quantizer out"),
        (["--precision", "fp32", "--quantizer", "inc"], 2, "--quantizer is for --precision int8 only"),
        (["--precision", "fp16", "--ranges", "minmax"], 2, "--ranges is for --precision int8 only"),
        (["--quantizer", "inc", "--max-drop", "0.1"], 2, "leave it or --max-drop out"),
        (["--quantizer", "inc", "--ranges", "minmax"], 2, "leave --ranges out"),
        (["--data", "nowhere"], 1, "nowhere does not exist"),
        (["--target", "toaster"], 2, "toaster"),
        (["--precision", "int4"], 2, "int4"),
        (["--size", "wide"], 2, "640x480"),
        (["--max-drop", "-1"], 2, "not a number from 0 to 100"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(python, tmp_path, arguments, status, says):
    done = python("-m", "edge.export", "--out", tmp_path / "b", *arguments)
    assert done.returncode == status
    assert says in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--quantizer", "magic"],
        ["--quantizer", "inc", "--max-drop", "0.1"],
        ["--quantizer", "inc", "--ranges", "minmax"],
        ["--precision", "fp32", "--quantizer", "inc"],
        ["--precision", "fp16", "--ranges", "minmax"],
        ["--target", "openvino", "--ranges", "entropy"],
        ["--target", "rpi", "--ranges", "minmax"],
    ],
)
def test_what_does_not_go_together_is_told_before_any_work(monkeypatch, arguments):
    monkeypatch.setattr(pictures, "measured_pairs", lambda *_: pytest.fail("the work began"))
    with pytest.raises(EdgeError, match=r"leave .* out$"):
        export.main(arguments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--target", "openvino", "--quantizer", "inc"], "neural-compressor starts from the checkpoint"),
        (["--target", "onnx", "--quantizer", "inc"], "neural-compressor starts from the checkpoint"),
        (["--target", "rpi"], "the rpi target starts from the checkpoint"),
    ],
)
def test_a_model_that_a_target_cannot_build_is_told_before_pictures_are_made(
    monkeypatch, grid_source, tmp_path, arguments, told
):
    monkeypatch.setattr(pictures, "calibration_set", lambda *_: pytest.fail("the work began"))
    monkeypatch.setattr(measured, "measured_bundle", lambda *_: pytest.fail("the long work began"))
    with pytest.raises(EdgeError, match=told):
        export.main(["--model", str(grid_source.onnx), "--out", str(tmp_path / "b"), *arguments])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "blob"}, "kind is 'blob', not grid or frame"),
        ({"width": 0}, "width is 0, not 1 to 16384"),
        ({"height": "30"}, "height is '30', not a whole number"),
        ({"macs": None}, "macs is None, not a whole number"),
        ({"layers": 3}, "'layers' is not known"),
        ({"coefficients": "gain-bias/1"}, "its coefficients have the form 'gain-bias/1'"),
    ],
)
def test_a_model_whose_card_is_wrong_is_told_with_the_command_that_makes_it_again(
    grid_source, tmp_path, monkeypatch, change, told
):
    import onnx

    from targets.source import METADATA_KEY

    model = onnx.load(grid_source.onnx)
    card = json.loads(grid_source.card.to_json()) | change
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(card)})
    onnx.save(model, tmp_path / "mine.onnx")
    monkeypatch.setattr(measured, "measured_bundle", lambda *_: pytest.fail("the long work began"))
    with pytest.raises(EdgeError) as error:
        export.main(["--model", str(tmp_path / "mine.onnx"), "--out", str(tmp_path / "b")])
    assert str(error.value).startswith(f"{tmp_path / 'mine.onnx'}: ") and told in str(error.value)
    assert "python -m training.export_onnx makes the file again" in str(error.value)


def test_a_folder_that_is_no_bundle_is_left_alone(grid_source, pairs, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.jpg").write_bytes(b"dear to me")
    arguments = ["--precision", "fp32", "--model", grid_source.onnx, "--data", pairs, "--out", tmp_path / "photos"]
    with pytest.raises(EdgeError, match="not a bundle"):
        export.main([str(a) for a in arguments])
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["mine.jpg"]


def test_a_place_in_the_way_is_told_before_the_long_work(grid_source, tmp_path, monkeypatch):
    (tmp_path / "afile").write_bytes(b"dear to me")
    monkeypatch.setattr(measured, "measured_bundle", lambda *_: pytest.fail("the long work began"))
    arguments = ["--precision", "fp32", "--model", grid_source.onnx, "--out", tmp_path / "afile"]
    with pytest.raises(EdgeError, match="not a bundle"):
        export.main([str(a) for a in arguments])


def test_the_shipped_model_says_what_it_is_and_where_it_came_from():
    from targets.source import SourceModel

    model = SourceModel.read(SHIPPED["edge"])
    assert model.card.name == "edge-m" and model.card.kind == "grid"
    checkpoint = SHIPPED["edge"].with_suffix(".safetensors")
    assert hashlib.sha256(checkpoint.read_bytes()).hexdigest() == model.card.checkpoint_sha256
    assert model.card.parameters < 1_000_000


@pytest.mark.parametrize("name", ["edge-s", "edge-m", "edge-l", "full"])
def test_a_shipped_model_comes_with_the_checkpoint_it_was_made_from(name, tmp_path):
    model = source_model(name, None, tmp_path)
    assert model.checkpoint == SHIPPED[name].with_suffix(".safetensors")


def test_a_checkpoint_of_another_model_beside_it_is_not_used(tmp_path, capsys):
    shutil.copy(SHIPPED["edge-m"], tmp_path / "x.onnx")
    shutil.copy(SHIPPED["edge-s"].with_suffix(".safetensors"), tmp_path / "x.safetensors")
    assert source_model(str(tmp_path / "x.onnx"), None, tmp_path).checkpoint is None
    assert "x.safetensors is not the checkpoint that x.onnx was made from" in capsys.readouterr().err


def test_a_manifest_is_plain_json_that_others_can_read(int8):
    raw = json.loads((int8[0] / "manifest.json").read_text())
    assert raw["schema"] == 1 and raw["accuracy"]["data"].startswith("2 pairs")
