"""From a float ONNX file to one whose quantization TensorRT accepts.

TensorRT's rules for explicit quantization: symmetric INT8 with zero point 0 for weights (by channel) and activations
(by tensor), a Q/DQ pair on each, no integer bias, and Q/DQ on both branches of a residual addition so that the sum
stays in INT8. See "Working with Quantized Types" in NVIDIA's TensorRT documentation.
"""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edge import command
from edge.errors import EdgeError
from targets import Artefact, BuildOptions
from targets.jetson.devices import FILE
from targets.onnx.border import with_uint8_border
from targets.onnx.build import calibration_reader, last_convolutions
from targets.source import SourceModel

QUANTIZED = ("Conv", "ConvTranspose", "Add", "MaxPool", "GlobalAveragePool", "Resize")


def build(model: SourceModel, options: BuildOptions) -> Artefact:
    """See `targets.Target.build`. fp16 is the same file as fp32: TensorRT chooses half precision when it builds."""
    onnx = command.require("onnx", "export")
    if options.quantizer != "default":
        raise EdgeError(f"the jetson target has no quantizer {options.quantizer!r}; leave --quantizer out")
    tools = {"onnx": version("onnx")}
    notes: dict[str, Any] = {}
    graph = onnx.load(model.onnx)
    if options.precision == "int8":
        graph, notes = _quantized(graph, model, options)
        tools["onnxruntime"] = version("onnxruntime")
    options.say("uint8 RGB at the border")
    # TensorRT takes uint8 at its border only, and wants it cast before anything else.
    graph = with_uint8_border(graph, model.card.kind, cast_first=True)
    onnx.checker.check_model(graph, full_check=True)
    return Artefact({FILE: graph.SerializeToString()}, tools, notes | {"nodes": len(graph.graph.node)})


def _quantized(graph: Any, model: SourceModel, options: BuildOptions) -> tuple[Any, dict[str, Any]]:
    onnx = command.require("onnx", "export")
    command.require("onnxruntime", "export")
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        prepared, quantized = Path(folder, "prepared.onnx"), Path(folder, "quantized.onnx")
        quant_pre_process(model.onnx, prepared, skip_symbolic_shape=True)
        # As on the other targets: the last layers put out logarithms of gains, and cost next to nothing in half.
        kept = last_convolutions(onnx.load(prepared)) if model.card.kind == "grid" else []
        options.say(f"symmetric INT8 from {len(options.calibration)} pictures; {len(kept)} last layers stay float")
        quantize_static(
            prepared,
            quantized,
            calibration_reader(options.calibration, graph.graph.input[0].name),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=kept,
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "AddQDQPairToWeight": True,
                "QuantizeBias": False,
            },
        )
        return onnx.load(quantized), {"float_layers": kept}
