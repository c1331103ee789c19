"""The Jetson target: quantization by TensorRT's rules, engines that are built once, and no silent fallback."""

import multiprocessing
import time
from pathlib import Path

import numpy as np
import pytest

from edge.bundle import Bundle
from edge.dehazer import Dehazer
from edge.errors import BundleError, DeviceUnavailable, EdgeError
from quantization.calibration import made_set
from targets import BuildOptions
from targets.jetson import TARGET
from targets.jetson.cache import cached_engine, forget, key
from targets.jetson.files import MODEL
from targets.jetson.ort_network import OnnxRuntimeNetwork

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def residual_source(tmp_path_factory):
    """A grid model: a convolution down to a quarter, and one with an addition around it, as the edge model's blocks."""
    from onnx import TensorProto, helper, numpy_helper

    from edge import coefficients
    from targets.source import METADATA_KEY, ModelCard, SourceModel

    rng = np.random.default_rng(1)
    tensors = {
        "w0": rng.normal(0, 0.3, (8, 3, 3, 3)), "b0": rng.normal(0, 0.1, 8),
        "w1": rng.normal(0, 0.2, (8, 8, 3, 3)), "b1": rng.normal(0, 0.1, 8),
        "w2": rng.normal(0, 0.2, (coefficients.CHANNELS, 8, 1, 1)), "b2": rng.normal(0, 0.2, coefficients.CHANNELS),
        "w3": rng.normal(0, 0.3, (3, 8, 1, 1)), "b3": rng.normal(0, 0.3, 3),
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Conv", ["picture", "w0", "b0"], ["c0"], "c0", pads=[1, 1, 1, 1], strides=[4, 4]),
        node("Relu", ["c0"], ["r0"], "r0"),
        node("Conv", ["r0", "w1", "b1"], ["c1"], "c1", pads=[1, 1, 1, 1]),
        node("Add", ["r0", "c1"], ["sum"], "sum"),
        node("Conv", ["sum", "w2", "b2"], ["cell"], "last"),
        node("GlobalAveragePool", ["sum"], ["mean"], "mean"),
        node("Conv", ["mean", "w3", "b3"], ["tint"], "light"),
        node("Flatten", ["tint"], ["airlight"], "flat"),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "residual", [info("picture", TensorProto.FLOAT, [1, 3, 30, 40])],
        [info("cell", TensorProto.FLOAT, [1, coefficients.CHANNELS, 8, 10]),
         info("airlight", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(v.astype(np.float32), n) for n, v in tensors.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    card = ModelCard("residual", "grid", 40, 30, 1, 1, "0" * 64, coefficients.FORM)
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    path = tmp_path_factory.mktemp("source") / "residual.onnx"
    onnx.save(model, path)
    return SourceModel.read(path)


@pytest.fixture(scope="module")
def int8_bundle(residual_source, tmp_path_factory):
    from edge import export

    place = tmp_path_factory.mktemp("bundle") / "jetson"
    assert export.main(["--target", "jetson", "--model", str(residual_source.onnx), "--out", str(place)]) == 0
    return place


@pytest.fixture(scope="module")
def graph(int8_bundle):
    return onnx.load_from_string(Bundle.read(int8_bundle).files[MODEL]).graph


def test_every_zero_point_is_zero_and_int8(graph):
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    quantizers = [n for n in graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(quantizers) >= 8
    for node in quantizers:
        zero = constants[node.input[2]]
        assert zero.dtype == np.int8 and not zero.any()


def test_weights_have_a_scale_for_each_channel_and_a_pair_of_their_own(graph):
    constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    makers = {n.output[0]: n for n in graph.node}
    convolutions = {n.name: n for n in graph.node if n.op_type == "Conv"}
    quantized = [n for n in convolutions.values() if n.input[1] in makers]
    # The last one before each output stays float, and the one that sees the picture at its full size.
    assert len(quantized) == 1 and len(convolutions) == 4
    for node in quantized:
        dequantize = makers[node.input[1]]
        quantize = makers[dequantize.input[0]]
        assert (dequantize.op_type, quantize.op_type) == ("DequantizeLinear", "QuantizeLinear")
        assert constants[quantize.input[0]].dtype == np.float32
        assert constants[quantize.input[1]].shape == (8,)
        assert constants[node.input[2]].dtype == np.float32  # the bias


def test_both_branches_of_an_addition_are_quantized(graph):
    makers = {n.output[0]: n for n in graph.node}
    (addition,) = [n for n in graph.node if n.op_type == "Add"]
    assert [makers[name].op_type for name in addition.input] == ["DequantizeLinear"] * 2


def test_uint8_is_cast_before_anything_else(graph):
    first = [n for n in graph.node if graph.input[0].name in n.input]
    assert [n.op_type for n in first] == ["Cast"]
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_float_artefacts_are_the_float_model(residual_source, precision):
    """Against ONNX's own reference implementation, not ours."""
    from onnx.reference import ReferenceEvaluator

    artefact = TARGET.build(residual_source, BuildOptions(precision))
    picture = next(iter(made_set(40, 30, "grid", 1)))
    ours = ReferenceEvaluator(onnx.load_from_string(artefact.files[MODEL])).run(None, {"picture_u8": picture[None]})
    unit = (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    cell, airlight = ReferenceEvaluator(str(residual_source.onnx)).run(None, {"picture": unit})
    assert np.allclose(ours[0], cell.transpose(0, 2, 3, 1), atol=1e-4)
    assert np.allclose(ours[1], airlight, atol=1e-4)


def test_int8_loses_little(int8_bundle):
    manifest = Bundle.read(int8_bundle).manifest
    assert manifest.accuracy["agreement_db"] > 35
    assert manifest.notes["float_layers"] == ["last", "light", "c0"]


def test_without_a_gpu_nothing_runs_unless_the_processor_is_asked_for(int8_bundle):
    if any(device.name != "CPU" for device in TARGET.check().devices):
        pytest.skip("this machine has an NVIDIA GPU with its runtime")
    with pytest.raises(DeviceUnavailable, match="--device CPU"):
        Dehazer(int8_bundle)
    with Dehazer(int8_bundle, device="CPU", threads=1) as dehazer:
        assert (dehazer.device, dehazer.precision) == ("CPU", "int8")
        assert dehazer.verify() == 0


def test_an_unknown_device_is_named(int8_bundle):
    with pytest.raises(DeviceUnavailable, match="no DLA"):
        Dehazer(int8_bundle, device="DLA")


def test_a_bundle_of_another_target_is_refused(openvino_bundle):
    with pytest.raises(BundleError, match="not made for the jetson target"):
        TARGET.open(Bundle.read(openvino_bundle), "CPU", None)


def test_an_engines_name_changes_with_model_gpu_version_and_precision():
    names = {key(*parts) for parts in [
        (b"m", "Orin", "10.3", "int8"), (b"n", "Orin", "10.3", "int8"), (b"m", "Xavier", "10.3", "int8"),
        (b"m", "Orin", "10.4", "int8"), (b"m", "Orin", "10.3", "fp16"), (b"m", "Orin1", "0.3", "int8"),
    ]}  # fmt: skip
    assert len(names) == 6


def test_an_engine_is_built_once_and_then_read(tmp_path):
    built = []
    for expected_from_disk in (False, True):
        content, from_disk = cached_engine("e", lambda: built.append(1) or b"engine", tmp_path)
        assert (content, from_disk) == (b"engine", expected_from_disk)
    assert len(built) == 1
    forget("e", tmp_path)
    assert cached_engine("e", lambda: b"again", tmp_path) == (b"again", False)


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-1], lambda c: c[:20], lambda c: b"", lambda c: c[:40] + b"x" + c[41:]]
)
def test_a_damaged_engine_is_built_again(tmp_path, damage):
    cached_engine("e", lambda: b"engine" * 10, tmp_path)
    place = tmp_path / "e.engine"
    place.write_bytes(damage(place.read_bytes()))
    assert cached_engine("e", lambda: b"new", tmp_path) == (b"new", False)
    assert cached_engine("e", lambda: b"never", tmp_path) == (b"new", True)


def test_a_build_that_fails_leaves_nothing_behind(tmp_path):
    def fails():
        raise DeviceUnavailable("no")

    with pytest.raises(DeviceUnavailable):
        cached_engine("e", fails, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["e.lock"]
    assert cached_engine("e", lambda: b"engine", tmp_path) == (b"engine", False)


def _slow_build(folder: Path) -> bool:
    return cached_engine("e", lambda: time.sleep(0.5) or b"engine", folder)[1]


def test_processes_that_start_together_build_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        from_disk = pool.map(_slow_build, [tmp_path] * 3)
    assert sorted(from_disk) == [False, True, True]


def test_a_cache_that_cannot_be_written_says_which_variable_moves_it(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EdgeError, match="DRACO_EDGE_CACHE"):
        cached_engine("e", lambda: b"engine", tmp_path / "file" / "cache")


def test_so_does_one_where_onnx_runtime_cannot_keep_its_engines(tmp_path, monkeypatch, int8_bundle):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DRACO_EDGE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(EdgeError, match="DRACO_EDGE_CACHE"):
        OnnxRuntimeNetwork(Bundle.read(int8_bundle), "TENSORRT-ORT", "TensorrtExecutionProvider", None)
