"""INT8 for ONNX: a float graph gets pairs of QuantizeLinear and DequantizeLinear by ONNX Runtime's own quantizer.

One set of such pairs does not suit every runtime: a `Scheme` says what the one in question takes.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge import command
from quantization import ranges
from quantization.bias import Raw, mean_errors
from quantization.layers import heads, left_out, nodes_of
from quantization.levels import prelude, put_on_levels
from targets.onnx.runtime import import_onnxruntime

if TYPE_CHECKING:
    from targets.source import SourceModel

PASSING = ("Identity", "Reshape", "Flatten", "Squeeze")


@dataclass(frozen=True)
class Scheme:
    """How a runtime wants its INT8.

    Attributes:
        symmetric: int8 activations around zero point 0 instead of uint8 with a zero point of their own.
        pairs_on_weights: weights stand as float with a Q/DQ pair, instead of being stored as int8.
        integer_bias: the bias is int32 too.
        operators: ONNX operators to put into INT8; none for all that ONNX Runtime can.
    """

    symmetric: bool
    pairs_on_weights: bool
    integer_bias: bool
    operators: tuple[str, ...] = ()


# ONNX Runtime on processors: uint8 activations; symmetric int8 ones leave many operators unfused.
PROCESSOR = Scheme(symmetric=False, pairs_on_weights=False, integer_bias=True)
# TensorRT refuses another zero point than 0 and an integer bias, and wants Q/DQ on both branches of an addition.
TENSORRT = Scheme(
    symmetric=True,
    pairs_on_weights=True,
    integer_bias=False,
    operators=("Conv", "ConvTranspose", "Add", "MaxPool", "GlobalAveragePool", "Resize"),
)


def quantized(
    source: SourceModel, pictures: Any, scheme: Scheme, method: str = "minmax", float_layers: Collection[str] = ()
) -> Any:
    """An `onnx.ModelProto` with INT8 weights by channel and activations by tensor.

    Where the last layers of a grid model are float, their biases make up for what INT8 moves its answers by. The
    ranges of the last models and sets are remembered, so that trying layers in float costs little.

    Args:
        source: the float32 model.
        pictures: `quantization.calibration.CalibrationSet`.
        method: see `quantization.ranges.collected`.
        float_layers: names of layers (`quantization.layers`) to leave as they are.

    Raises:
        EdgeError: an unknown method or layer, or no picture.
        MissingPackage: onnx or onnxruntime is not installed.
    """
    onnx = command.require("onnx", "export")
    kinds = import_onnxruntime("quantization", "export").QuantType
    registry = import_onnxruntime("quantization.registry", "export")
    qdq_quantizer = import_onnxruntime("quantization.qdq_quantizer", "export")
    # It writes to the root logger about each tensor that it takes as it is.
    logging.getLogger().addFilter(_quiet)
    try:
        content, tensors = _prepared(source.onnx, pictures, method, scheme.symmetric)
        model = onnx.load_from_string(content)
        operators = scheme.operators or sorted({*registry.QDQRegistry, *registry.QLinearOpsRegistry})
        quantizer = qdq_quantizer.QDQQuantizer(
            model,
            per_channel=True,
            reduce_range=False,
            weight_qType=kinds.QInt8,
            activation_qType=kinds.QInt8 if scheme.symmetric else kinds.QUInt8,
            tensors_range=tensors,
            nodes_to_quantize=[],
            nodes_to_exclude=[*prelude(model).nodes, *left_out(model, float_layers)],
            op_types_to_quantize=list(operators),
            extra_options={
                "ActivationSymmetric": scheme.symmetric,
                "WeightSymmetric": True,
                "AddQDQPairToWeight": scheme.pairs_on_weights,
                "QuantizeBias": scheme.integer_bias,
            },
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
    finally:
        logging.getLogger().removeFilter(_quiet)
    made = quantizer.model.model
    return _corrected(made, source.onnx, pictures, float_layers) if source.card.kind == "grid" else made


def _corrected(model: Any, source: Path, pictures: Any, float_layers: Collection[str]) -> Any:
    """Where the last layers of a grid model are float, take the mean error that INT8 leaves in what they put out off
    their biases."""
    import onnx

    graph = model.graph
    biases = {}
    for name in heads(model):
        node = next(n for n in graph.node if n.name in nodes_of(model, [name]))
        stored = [i for i in graph.initializer if len(node.input) > 2 and i.name == node.input[2]]
        if name in float_layers and stored:
            biases[node.output[0]] = stored[0]
    if not biases:
        return model
    makers = {output: node for node in graph.node for output in node.output}
    errors = mean_errors(_answers(source, model, pictures))
    for output, error in zip(graph.output, errors, strict=True):
        name = output.name
        while name not in biases and name in makers and makers[name].op_type in PASSING:
            name = makers[name].input[0]
        if name in biases:
            bias = onnx.numpy_helper.to_array(biases[name])
            biases[name].CopyFrom(onnx.numpy_helper.from_array((bias - error).astype(bias.dtype), biases[name].name))
    return model


def _answers(source: Path, model: Any, pictures: Iterable[np.ndarray]) -> Iterator[tuple[Raw, Raw]]:
    """A grid model's answer to each picture in float, and in INT8."""
    onnxruntime = import_onnxruntime(extra="export")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.x64quantprecision", "1")  # as `targets.onnx.runtime.open_session`
    sessions = [
        onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        for file in (source, model.SerializeToString())
    ]
    name = sessions[0].get_inputs()[0].name
    for picture in pictures:
        given = {name: (picture.transpose(2, 0, 1)[None] / 255).astype(np.float32)}
        (cell, light), (rounded_cell, rounded_light) = (session.run(None, given) for session in sessions)
        yield (cell[0].transpose(1, 2, 0), light[0]), (rounded_cell[0].transpose(1, 2, 0), rounded_light[0])


@lru_cache(maxsize=2)
def _prepared(source: Path, pictures: Any, method: str, symmetric: bool) -> tuple[bytes, Any]:
    """The graph as the quantizer wants it, and its ranges."""
    import onnx

    shape_inference = import_onnxruntime("quantization.shape_inference", "export")
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, "prepared.onnx")
        shape_inference.quant_pre_process(source, prepared, skip_symbolic_shape=True)
        model = onnx.load(prepared)
        put_on_levels(model)
        onnx.save(model, prepared)
        return prepared.read_bytes(), ranges.collected(prepared, pictures, method, symmetric)


def _quiet(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
