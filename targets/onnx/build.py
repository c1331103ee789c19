"""From a float ONNX file to one with uint8 RGB at its border, in float32, float16 or INT8 (QDQ)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edge import command
from edge.errors import EdgeError
from targets import Artefact, BuildOptions
from targets.onnx.border import with_uint8_border
from targets.source import SourceModel

FILE = "model.onnx"


def build(model: SourceModel, options: BuildOptions) -> Artefact:
    """See `targets.Target.build`."""
    onnx = command.require("onnx", "export")
    tools = {"onnx": version("onnx")}
    notes: dict[str, Any] = {}
    graph = onnx.load(model.onnx)
    if options.precision == "int8":
        graph, notes = _quantized(graph, model, options)
        tools["onnxruntime"] = version("onnxruntime")
    elif options.precision == "fp16":
        command.require("onnxruntime", "onnx")
        from onnxruntime.transformers.float16 import convert_float_to_float16

        graph = convert_float_to_float16(graph, keep_io_types=True)
        _sort(graph.graph)  # it puts its casts at the end, whatever needs them
        tools["onnxruntime"] = version("onnxruntime")
    options.say("uint8 RGB at the border")
    graph = with_uint8_border(graph, model.card.kind)
    onnx.checker.check_model(graph, full_check=True)
    return Artefact({FILE: graph.SerializeToString()}, tools, notes | {"nodes": len(graph.graph.node)})


class _Pictures:
    """What ONNX Runtime's calibrator reads: one float picture at a time."""

    def __init__(self, pictures: Any, name: str) -> None:
        self._pictures, self._name = pictures, name
        self.rewind()

    def rewind(self) -> None:
        self._left: Iterator[np.ndarray] = iter(self._pictures)

    def get_next(self) -> dict[str, np.ndarray] | None:
        picture = next(self._left, None)
        return None if picture is None else {self._name: (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)}


def calibration_reader(pictures: Any, name: str) -> Any:
    """The pictures (uint8 RGB) as ONNX Runtime's quantizer reads them, for the input of that name."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(_Pictures, CalibrationDataReader):
        pass

    return Reader(pictures, name)


def _quantized(graph: Any, model: SourceModel, options: BuildOptions) -> tuple[Any, dict[str, Any]]:
    """uint8 activations, int8 weights per channel: ONNX Runtime's accurate choice on processors."""
    if options.quantizer != "default":
        raise EdgeError(f"the onnx target has no quantizer {options.quantizer!r}; leave --quantizer out")
    onnx = command.require("onnx", "export")
    command.require("onnxruntime", "onnx")
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    # As in the openvino target: the last layers put out logarithms of gains, and cost next to nothing in float.
    kept = last_convolutions(graph) if model.card.kind == "grid" else []
    options.say(f"INT8 by ONNX Runtime from {len(options.calibration)} pictures; {len(kept)} last layers stay float")
    with tempfile.TemporaryDirectory() as folder:
        prepared, quantized = Path(folder, "prepared.onnx"), Path(folder, "quantized.onnx")
        quant_pre_process(model.onnx, prepared, skip_symbolic_shape=True)
        kept = last_convolutions(onnx.load(prepared)) if kept else []
        quantize_static(
            prepared,
            quantized,
            calibration_reader(options.calibration, graph.graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=kept,
        )
        return onnx.load(quantized), {"float_layers": kept}


def _sort(graph: Any) -> None:
    """Put nodes behind those whose outputs they take, and otherwise leave them in their order."""
    made = {node_output for node in graph.node for node_output in node.output}
    ready = {""}
    waiting, ordered = list(graph.node), []
    while waiting:
        node = next(n for n in waiting if all(i in ready or i not in made for i in n.input))
        waiting.remove(node)
        ordered.append(node)
        ready.update(node.output)
    del graph.node[:]
    graph.node.extend(ordered)


def last_convolutions(graph: Any) -> list[str]:
    """Names of the convolutions nearest to each output."""
    makers = {output: node for node in graph.graph.node for output in node.output}
    names = []
    for output in graph.graph.output:
        node = makers[output.name]
        while node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            node = makers[node.input[0]]
        names.append(node.name)
    return names
