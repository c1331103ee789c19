"""What every target promises, and that one of another package can join."""

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import edge
import targets
from edge.bundle import Bundle
from edge.errors import DeviceUnavailable, EdgeError, MissingPackage
from quantization.calibration import made_set
from targets.source import SourceModel

OWN_HERE = ("openvino", "onnx")


@pytest.mark.parametrize("name", OWN_HERE)
def test_a_target_keeps_the_contract(name):
    target = targets.load(name)
    assert isinstance(target, targets.Target) and target.name == name
    check = target.check()
    assert check.builds and check.runs and not check.missing
    assert "CPU" in [d.name for d in check.devices]


def test_an_unknown_target_is_told_with_those_that_are_there():
    with pytest.raises(EdgeError, match="openvino, onnx"):
        targets.load("toaster")


def test_what_is_missing_comes_with_the_command_that_installs_it():
    versions, missing = targets.found_versions({"numpy": "openvino", "no-such-package": "openvino"})
    assert list(versions) == ["numpy"]
    assert missing == ("no-such-package: pip install 'draco-edge[openvino]'",)


@pytest.mark.parametrize("bundle", ["grid_bundle", "openvino_bundle"])
def test_both_runtimes_give_the_graphs_own_answer(request, bundle, grid_source):
    """Against onnx's reference evaluator, on the network's outputs themselves."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    picture = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    read = Bundle.read(request.getfixturevalue(bundle))
    network = targets.load(read.manifest.target).open(read, "CPU", 1)
    cell, airlight = network(picture)
    evaluator = ReferenceEvaluator(onnx.load(grid_source.onnx))
    expected = evaluator.run(None, {"picture": (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)})
    assert cell.shape == (30, 40, 7) and airlight.shape == (3,)
    np.testing.assert_allclose(cell, expected[0][0].transpose(1, 2, 0), atol=2e-5)
    np.testing.assert_allclose(airlight, expected[1][0], atol=2e-5)
    assert network.load_ms >= 0 and network.compile_ms > 0
    network.close()


def test_a_frame_network_rounds_to_the_nearest_grey_level(frame_bundle, frame_source):
    import onnx
    from onnx.reference import ReferenceEvaluator

    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    read = Bundle.read(frame_bundle)
    (clear,) = targets.load("openvino").open(read, "CPU", 1)(picture)
    inputs = {"picture": (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)}
    (expected,) = ReferenceEvaluator(onnx.load(frame_source.onnx)).run(None, inputs)
    assert clear.dtype == np.uint8
    assert np.abs(clear - 255 * expected[0].transpose(1, 2, 0)).max() <= 0.501


@pytest.fixture(scope="module")
def int8(grid_source):
    calibration = made_set(grid_source.card.width, grid_source.card.height, "grid", pictures=4)
    return targets.load("openvino").build(grid_source, targets.BuildOptions("int8", calibration))


def test_all_but_the_first_layer_and_those_before_the_coefficients_are_quantized(int8):
    assert [name.split("/")[0] for name in int8.notes["float_layers"]] == ["last", "airlight_conv", "first"]
    assert b'precision="I8"' in int8.files["model.xml"] or b'element_type="i8"' in int8.files["model.xml"]


def test_what_is_told_of_the_whole_picture_stays_float_in_the_shipped_model():
    import onnx

    from edge.exporting.models import SHIPPED
    from quantization.layers import pooled

    edge = SourceModel.read(SHIPPED["edge"])
    names = pooled(onnx.load(edge.onnx))
    assert names == ("first.0.0", "first.1.0", "whole.0.0", "whole.1.0", "airlight")
    calibration = made_set(edge.card.width, edge.card.height, "grid", pictures=2)
    for target in ("openvino", "onnx", "jetson"):
        built = targets.load(target).build(edge, targets.BuildOptions("int8", calibration))
        assert set(names) <= set(built.notes["float_layers"])


def test_the_picture_is_int8s_own_input_as_it_is():
    """Nothing is computed before the first convolution, and it sees what the quantized graph alone would see."""
    import onnx
    import onnxruntime

    from edge.exporting.models import SHIPPED
    from quantization import qdq

    source = SourceModel.read(SHIPPED["edge"])
    calibration = made_set(source.card.width, source.card.height, "grid", pictures=2)
    built = targets.load("onnx").build(source, targets.BuildOptions("int8", calibration))
    graph = onnx.load_from_string(built.files["model.onnx"]).graph
    taken, steps = graph.input[0].name, []
    while not steps or steps[-1] != "Conv":
        (node,) = (node for node in graph.node if taken in node.input)
        steps.append(node.op_type)
        taken = node.output[0]
    assert steps == ["Transpose", "DequantizeLinear", "Conv"]

    alone = qdq.quantized(source, calibration, qdq.PROCESSOR, "percentile", built.notes["float_layers"])
    picture = np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)
    (cell, _) = onnxruntime.InferenceSession(built.files["model.onnx"]).run(None, {"picture_u8": picture[None]})
    given = (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    (expected, _) = onnxruntime.InferenceSession(alone.SerializeToString()).run(None, {"picture": given})
    np.testing.assert_array_equal(cell[0], expected[0].transpose(1, 2, 0))


def test_int8_really_runs_in_int8(int8, openvino_bundle):
    """As the compiled model tells, not as it was asked for."""
    float32 = Bundle.read(openvino_bundle)
    bundle = Bundle.assemble(replace(float32.manifest, precision="int8"), {**float32.files, **int8.files})
    with edge.Dehazer(bundle) as dehazer:
        assert dehazer.precision == "int8"
    pretended = Bundle.assemble(replace(float32.manifest, precision="int8"), float32.files)
    with edge.Dehazer(pretended) as dehazer:
        assert dehazer.precision == "fp32"


@pytest.mark.parametrize("bundle", ["grid_bundle", "openvino_bundle"])
@pytest.mark.parametrize("device", ["NPU", "GPU", "CUDA", "toaster"])
def test_a_device_that_is_not_here_is_refused(request, bundle, device):
    read = Bundle.read(request.getfixturevalue(bundle))
    with pytest.raises(DeviceUnavailable, match=device):
        targets.load(read.manifest.target).open(read, device, None)


@pytest.fixture
def built_with_more(monkeypatch):
    """ONNX Runtime as its GPU package is where there is no GPU: all providers are named, and one starts."""
    import onnxruntime

    real = onnxruntime.InferenceSession

    def session(model, options, providers, **others):
        if providers[0][0] != "CPUExecutionProvider":
            raise RuntimeError("fallback to CPU EP has been explicitly disabled\nsomewhere in its source")
        return real(model, options, providers, **others)

    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: names)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)


def test_onnx_takes_the_first_device_that_starts(built_with_more, grid_bundle, capsys):
    with edge.Dehazer(grid_bundle) as dehazer:
        assert dehazer.device == "CPU"
    assert capsys.readouterr() == ("", "")


def test_operators_are_timed_on_the_device_that_starts(built_with_more, grid_bundle):
    picture = np.zeros((30, 40, 3), np.uint8)
    assert targets.load("onnx").layer_times(Bundle.read(grid_bundle), "auto", 1, picture)


def test_a_device_that_was_asked_for_and_does_not_start_is_told(built_with_more, grid_bundle):
    with pytest.raises(DeviceUnavailable, match=r"^CUDA does not start here with .*explicitly disabled \(.*doctor.*$"):
        edge.Dehazer(grid_bundle, device="cuda")


def test_jetson_tells_of_each_device_that_does_not_start(built_with_more, grid_bundle):
    with pytest.raises(DeviceUnavailable, match=r"TENSORRT-ORT does not start.*CUDA does not start.*--device CPU"):
        targets.load("jetson").open(Bundle.read(grid_bundle), "auto", None)


@pytest.mark.parametrize("bundle", ["grid_bundle", "openvino_bundle"])
@pytest.mark.parametrize("asked", ["auto", "AUTO", "cpu", "CPU"])
def test_where_it_really_runs_is_told(request, bundle, asked):
    with edge.Dehazer(request.getfixturevalue(bundle), device=asked) as dehazer:
        assert dehazer.device == "CPU"


@pytest.mark.parametrize(("bundle", "file"), [("grid_bundle", "model.onnx"), ("openvino_bundle", "model.xml")])
def test_a_model_file_that_is_no_model_is_told_in_one_line(request, bundle, file):
    read = Bundle.read(request.getfixturevalue(bundle))
    forged = Bundle.assemble(read.manifest, {**read.files, file: b"nonsense"})
    with pytest.raises(EdgeError) as told:
        targets.load(read.manifest.target).open(forged, "CPU", None)
    assert "\n" not in str(told.value)


def test_a_runtime_that_is_not_installed_is_named_with_its_extra(openvino_bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingPackage, match=r"draco-edge\[openvino\]"):
        edge.Dehazer(openvino_bundle)


FOREIGN = """
from targets import Check, Target
class Mirror(Target):
    name, precisions = "mirror", ("fp32",)
    def check(self): return Check("mirror", True, True, {}, (), ())
    def build(self, model, options): raise SystemExit("not today")
    def open(self, bundle, device, threads): raise SystemExit("not today")
TARGET = Mirror()
"""


@pytest.fixture
def foreign(tmp_path):
    """Run Python where another package's target is installed: `foreign(its source, code)`."""

    def run(source: str, code: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "mirror_target.py").write_text(source)
        info = tmp_path / "mirror_target-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mirror-target\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[draco_edge.targets]\nmirror = mirror_target:TARGET\n")
        path = f"import sys; sys.path.append(sys.argv[1]); import targets\n{code}"
        return subprocess.run([sys.executable, "-c", path, str(tmp_path)], capture_output=True, text=True, check=False)

    return run


def test_a_target_of_another_package_is_found_by_its_entry_point(foreign):
    done = foreign(FOREIGN, "print(targets.names()[-1], targets.load('mirror').name)")
    assert done.stdout.split() == ["mirror", "mirror"], done.stderr


def test_what_a_target_does_not_define_has_a_default(foreign):
    done = foreign(
        FOREIGN,
        "t = targets.load('mirror')\n"
        "print(t.kernels(None, 'CPU'), t.layer_times(None, 'CPU', None, None), t.distributions, t.export_device)\n"
        "print(t.built_on_board, t.mixes_precisions, t.keeps_ranges)\n"
        "t.ahead_of_time('NPU')",
    )
    assert done.stdout.splitlines() == ["{} [] () auto", "False False False"]
    assert "the mirror target compiles for no device ahead of time" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (FOREIGN.replace("(Target)", ""), "target mirror of mirror_target:TARGET is not derived from targets.Target"),
        (FOREIGN.replace("def build", "def make"), "does not load: .*abstract.*build"),
        (FOREIGN.replace("name, precisions", "name, _"), "does not load: .*abstract.*precisions"),
        (
            FOREIGN.replace('"mirror", ("fp32"', '"miror", ("fp32"'),
            "target mirror of mirror_target:TARGET calls itself 'miror': its package has to give .* one name",
        ),
        ("import no_such_runtime", "does not load: No module named 'no_such_runtime'"),
    ],
)
def test_a_target_that_does_not_keep_the_contract_is_told_in_one_line(foreign, source, says):
    done = foreign(
        source,
        "from edge.errors import EdgeError\ntry: targets.load('mirror')\nexcept EdgeError as error: print(error)",
    )
    (line,) = done.stdout.splitlines()
    assert re.search(says, line), line
