"""From a float ONNX file to one whose quantization TensorRT accepts.

TensorRT's rules for explicit quantization: symmetric INT8 with zero point 0 for weights (by channel) and activations
(by tensor), a Q/DQ pair on each, no integer bias, and Q/DQ on both branches of a residual addition so that the sum
stays in INT8. See "Working with Quantized Types" in NVIDIA's TensorRT documentation.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from edge import command
from edge.errors import EdgeError
from quantization import qdq
from quantization.layers import fine, grouped_reductions, heads, pooled
from quantization.ranges import BEST
from targets import Artefact, BuildOptions
from targets.jetson.files import MODEL
from targets.onnx.border import with_uint8_border
from targets.source import SourceModel


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
    return Artefact({MODEL: graph.SerializeToString()}, tools, notes | {"nodes": len(graph.graph.node)})


def _quantized(graph: Any, model: SourceModel, options: BuildOptions) -> tuple[Any, dict[str, Any]]:
    # The last layers put out logarithms of gains, and symmetric ranges have half the steps where nothing is negative:
    # in INT8 the fine layers, which see the picture's own detail, cost more than half precision does.
    parts = (heads, fine, grouped_reductions, pooled) if model.card.kind == "grid" else ()
    own = [name for part in parts for name in part(graph)]
    kept = tuple(dict.fromkeys((*own, *options.float_layers)))
    options.say(f"symmetric INT8 from {len(options.calibration)} pictures; in float: {', '.join(kept) or 'none'}")
    method = options.ranges or BEST[model.card.kind]
    made = qdq.quantized(model, options.calibration, qdq.TENSORRT, method, kept)
    return made, {"float_layers": list(kept), "ranges": method}
