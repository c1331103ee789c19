"""What tests of all parts share: small models and bundles, made without torch."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]

collect_ignore = []
if importlib.util.find_spec("torch") is None:
    needing_torch = ("ablation", "distill", "finetune", "inc")
    collect_ignore += ["training", *(f"quantization/test_{name}.py" for name in needing_torch)]


def pytest_report_header():
    return f"without torch, left out: {', '.join(collect_ignore)}" if collect_ignore else None


os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before tests import ONNX Runtime themselves


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """What runtimes compile is kept in a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRACO_EDGE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python in the project's folder: `python("-m", "edge.run", "--help")`."""

    def call(*arguments: str | Path, **keywords) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, **keywords)

    return call


@pytest.fixture(scope="session")
def grid_source(tmp_path_factory):
    """A grid model of three convolutions, with random weights that give gains about 1 to 2."""
    from edge import coefficients
    from targets.source import SourceModel

    rng = np.random.default_rng(0)
    channels = coefficients.CHANNELS
    weight = rng.normal(0, 0.15, (channels, 3, 3, 3)).astype(np.float32)
    bias = np.concatenate([[1.0], rng.normal(0, 0.2, channels - 1)]).astype(np.float32)
    light = rng.normal(0, 0.5, (3, 3, 1, 1)).astype(np.float32)
    path = tmp_path_factory.mktemp("source") / "grid.onnx"
    _write_model(path, "grid", 40, 30, weight, bias, light, coefficients.FORM)
    return SourceModel.read(path)


@pytest.fixture(scope="session")
def frame_source(tmp_path_factory):
    """A frame model whose every pixel depends on its neighbours only: a 3x3 blur, brightened by a tenth."""
    from targets.source import SourceModel

    weight = np.zeros((3, 3, 3, 3), np.float32)
    for channel in range(3):
        weight[channel, channel] = np.outer([1, 2, 1], [1, 2, 1]) / 16
    path = tmp_path_factory.mktemp("source") / "frame.onnx"
    _write_model(path, "frame", 64, 48, weight, np.full(3, 0.1, np.float32), None, "")
    return SourceModel.read(path)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory) -> Path:
    """A folder with hazy/ and clear/: two small drawn scenes."""
    from edge.pictures import write_picture
    from quantization.calibration import hazy_pairs

    folder = tmp_path_factory.mktemp("data") / "pairs"
    for number, pair in enumerate(hazy_pairs(2, seed=9)):
        for kind, picture in zip(("hazy", "clear"), pair, strict=True):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            write_picture(folder / kind / f"{number}.png", picture[:120, :160])
    return folder


@pytest.fixture(scope="session")
def grid_bundle(grid_source, pairs, tmp_path_factory) -> Path:
    """The grid model as a float32 bundle folder for ONNX Runtime, golden frames included."""
    return _bundle(grid_source, pairs, tmp_path_factory.mktemp("bundle") / "grid-onnx-fp32", "onnx")


@pytest.fixture(scope="session")
def openvino_bundle(grid_source, pairs, tmp_path_factory) -> Path:
    """The grid model as a float32 bundle folder for OpenVINO, golden frames included."""
    return _bundle(grid_source, pairs, tmp_path_factory.mktemp("bundle") / "grid-openvino-fp32", "openvino")


@pytest.fixture(scope="session")
def frame_bundle(frame_source, pairs, tmp_path_factory) -> Path:
    """The frame model as a float32 bundle folder for OpenVINO, golden frames included."""
    return _bundle(frame_source, pairs, tmp_path_factory.mktemp("bundle") / "frame-openvino-fp32", "openvino")


def _bundle(source, pairs: Path, folder: Path, target: str) -> Path:
    from edge import export

    arguments = ["--target", target, "--precision", "fp32", "--data", pairs, "--model", source.onnx, "--out", folder]
    assert export.main([str(a) for a in arguments]) == 0
    return folder


def _write_model(path: Path, kind: str, width: int, height: int, weight, bias, light, form: str) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from targets.source import METADATA_KEY, ModelCard

    tensors = {"weight": weight, "bias": bias}
    inner = "features" if kind == "grid" else "picture"
    nodes = [helper.make_node("Conv", [inner, "weight", "bias"], ["raw"], "last", pads=[1, 1, 1, 1])]
    main = "cell" if kind == "grid" else "clear"
    outputs = [helper.make_tensor_value_info(main, TensorProto.FLOAT, [1, len(bias), height, width])]
    if kind == "grid":
        first_weight = np.random.default_rng(1).normal(0, 0.3, (3, 3, 3, 3)).astype(np.float32)
        middle_weight = np.zeros((3, 3, 3, 3), np.float32)
        middle_weight[range(3), range(3), 1, 1] = 1
        tensors |= {"light": light, "flat": np.array([1, 3], np.int64), "first": first_weight, "middle": middle_weight}
        nodes = [
            helper.make_node("Conv", ["picture", "first"], ["filtered"], "first", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["filtered"], ["bright"], "relu"),
            helper.make_node("Conv", ["bright", "middle"], ["features"], "middle", pads=[1, 1, 1, 1]),
            *nodes,
            helper.make_node("Identity", ["raw"], ["cell"], "cell"),
            helper.make_node("GlobalAveragePool", ["picture"], ["mean"], "pool"),
            helper.make_node("Conv", ["mean", "light"], ["tint"], "airlight_conv"),
            helper.make_node("Reshape", ["tint", "flat"], ["airlight"], "airlight"),
        ]
        outputs.append(helper.make_tensor_value_info("airlight", TensorProto.FLOAT, [1, 3]))
    else:
        tensors |= {"zero": np.float32(0), "one": np.float32(1)}
        nodes.append(helper.make_node("Clip", ["raw", "zero", "one"], ["clear"], "clip"))
    graph = helper.make_graph(
        nodes,
        kind,
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, height, width])],
        outputs,
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    parameters = sum(
        np.asarray(v).size for n, v in tensors.items() if n in ("weight", "bias", "light", "first", "middle")
    )
    card = ModelCard(f"test-{kind}", kind, width, height, parameters, weight.size * width * height, "0" * 64, form)
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.save(model, path)
