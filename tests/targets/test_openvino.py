"""The OpenVINO target: what is compiled once or ahead of time, static shapes, and devices that are not there."""

from dataclasses import replace

import numpy as np
import pytest

from edge import command, export
from edge.bundle import Bundle
from edge.dehazer import Dehazer
from edge.errors import BundleError, DeviceUnavailable, EdgeError
from targets.openvino import TARGET, ahead
from targets.openvino.files import WEIGHTS, XML
from targets.openvino.runtime import own_core

PICTURE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


@pytest.fixture(scope="module")
def core():
    return own_core()


@pytest.fixture
def bundle(openvino_bundle):
    return Bundle.read(openvino_bundle)


@pytest.fixture
def compiled_for_the_processor(bundle, core):
    """A file as OpenVINO exports it; the processor stands for an NPU, which this machine may not have."""
    model = core.read_model(bundle.files[XML], bundle.files[WEIGHTS])
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(model, "CPU", settings).export_model().getvalue()


def with_file(bundle, generation, content, **files):
    """The bundle with a compiled model in it, and other files instead of its own."""
    manifest = replace(bundle.manifest, notes={"compiled": {f"CPU.{generation}": "ahead.blob"}})
    return Bundle.assemble(manifest, {**bundle.files, "ahead.blob": content, **files})


def answers(bundle):
    network = TARGET.open(bundle, "CPU", 1)
    result = [answer.copy() for answer in network(PICTURE)]
    network.close()
    return result


def test_a_model_compiled_for_this_device_is_taken_as_it_is(bundle, core, compiled_for_the_processor):
    here = core.get_property("CPU", "DEVICE_ARCHITECTURE")
    unreadable = {XML: b"not a model"}  # so that nothing can be compiled from it
    imported = with_file(bundle, here, compiled_for_the_processor, **unreadable)
    for ours, expected in zip(answers(imported), answers(bundle), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_one_for_another_generation_is_left_alone(bundle, compiled_for_the_processor):
    other = with_file(bundle, "another", b"would not load")
    for ours, expected in zip(answers(other), answers(bundle), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_one_that_the_device_does_not_take_is_said_and_the_model_compiled(bundle, core, capsys):
    here = core.get_property("CPU", "DEVICE_ARCHITECTURE")
    refused = with_file(bundle, here, b"made by another driver" * 100)
    for ours, expected in zip(answers(refused), answers(bundle), strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert "CPU does not take ahead.blob" in capsys.readouterr().err


@pytest.mark.parametrize("names", [["ahead.blob"], {"CPU.any": 7}])
def test_compiled_models_that_are_named_in_another_way_are_told_by_their_key(bundle, names):
    forged = Bundle.assemble(replace(bundle.manifest, notes={"compiled": names}), bundle.files, "forged")
    with pytest.raises(BundleError, match=r"^forged: manifest\.json is malformed \(notes\.compiled"):
        TARGET.open(forged, "CPU", 1)


def test_shapes_are_static_as_an_npu_wants_them(bundle, frame_bundle, core):
    for made in (bundle, Bundle.read(frame_bundle)):
        assert not core.read_model(made.files[XML], made.files[WEIGHTS]).is_dynamic()


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """A program in the place of Intel's compiler, which is on few machines."""

    def put(script):
        program = tmp_path / "compiler"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv(ahead.PROGRAM_VARIABLE, str(program))

    return put


def exported(source, place, pairs, *more):
    call = ["--precision", "fp32", "--model", source.onnx, "--data", pairs, "--out", place, *more]
    return command.run(export.main, [str(word) for word in call])


def test_a_bundle_holds_what_was_compiled_for_each_generation(grid_source, pairs, tmp_path, compiler):
    compiler('test -s "$1" && test -s "${1%.xml}.bin" && echo "compiled for $3" >"$2"')
    assert exported(grid_source, tmp_path / "npu", pairs, "--device", "NPU") == 0
    made = Bundle.read(tmp_path / "npu")
    names = made.manifest.notes["compiled"]
    assert list(names) == ["NPU.3720", "NPU.4000", "NPU.5010"]
    assert [made.files[name] for name in names.values()] == [
        b"compiled for 3720\n", b"compiled for 4000\n", b"compiled for 5010\n",
    ]  # fmt: skip
    with Dehazer(made) as dehazer:  # and runs elsewhere as ever
        assert dehazer.device == "CPU" and dehazer.verify() == 0


def test_a_model_that_the_compiler_refuses_is_told_in_one_line_and_nothing_is_written(
    grid_source, pairs, tmp_path, compiler, capsys
):
    compiler("echo 'it is too large' >&2; exit 3")
    assert exported(grid_source, tmp_path / "npu", pairs, "--device", "NPU.4000") == 1
    assert "refuses the model for 4000: it is too large" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "npu").exists()


def test_without_a_compiler_export_says_so_before_the_work(grid_source, pairs, tmp_path, core, monkeypatch, capsys):
    monkeypatch.delenv(ahead.PROGRAM_VARIABLE, raising=False)
    if "NPU" in core.available_devices:
        pytest.skip("this machine has an NPU, with its compiler")
    assert exported(grid_source, tmp_path / "npu", pairs, "--device", "NPU") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no NPU compiler on this machine" in line and ahead.PROGRAM_VARIABLE in line


@pytest.mark.parametrize("device", ["GPU", "NPU.1234", "toaster"])
def test_there_is_no_compiling_ahead_for_other_devices(device):
    with pytest.raises(EdgeError, match=r"NPU\.4000 \(Lunar Lake\)"):
        TARGET.ahead_of_time(device)


def test_other_targets_say_that_they_do_not_compile_ahead(grid_source, pairs, tmp_path, capsys):
    assert exported(grid_source, tmp_path / "b", pairs, "--target", "onnx", "--device", "NPU") == 1
    assert "the onnx target compiles for no device ahead of time" in capsys.readouterr().err


def test_a_missing_npu_is_told_with_what_is_missing(bundle, core):
    if "NPU" in core.available_devices:
        pytest.skip("this machine has an NPU")
    with pytest.raises(DeviceUnavailable, match=r"no Intel NPU in this machine|driver|permission|/dev/accel"):
        TARGET.open(bundle, "NPU", None)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DRACO_EDGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "openvino"


def test_what_was_compiled_is_kept_and_read_at_the_next_start(bundle, cache):
    first = answers(bundle)
    (kept,) = cache.glob("*.blob")
    written = kept.stat().st_mtime_ns
    for ours, expected in zip(answers(bundle), first, strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert kept.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "damage", [lambda c: c[: len(c) // 2], lambda c: b"", lambda c: c[:200] + b"?" * 500 + c[700:]]
)
def test_a_damaged_cache_is_compiled_again(bundle, cache, damage):
    first = answers(bundle)
    (kept,) = cache.glob("*.blob")
    kept.write_bytes(damage(kept.read_bytes()))
    for ours, expected in zip(answers(bundle), first, strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_a_cache_that_cannot_be_written_keeps_nothing_from_running(bundle, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DRACO_EDGE_CACHE", str(tmp_path / "file"))
    assert len(answers(bundle)) == 2
