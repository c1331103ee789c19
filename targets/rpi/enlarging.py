"""Transposed convolutions of a .tflite file in a form that LiteRT computes quickly.

XNNPACK has no fast INT8 kernel for a transposed convolution: the edge model's last layer, a tenth of its arithmetic,
took three fifths of its time. Where the stride is the kernel's size no two places of the input meet in the output, so
the same sums come out of a 1x1 convolution with all places of the kernel as channels, and DEPTH_TO_SPACE puts them
side by side. It is done in the finished file, since the quantizer does not know DEPTH_TO_SPACE; the answers are the
same to the last bit.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np


def with_depth_to_space(model: bytes) -> bytes:
    """The .tflite file with each transposed convolution whose stride is its kernel's size as 1x1 convolution.

    Args:
        model: weights in float32, or in INT8 by output channel; other transposed convolutions are left as they are.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    content = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytes(model), 0))
    graph = content.subgraphs[0]
    operators: list[Any] = []
    for op in graph.operators:
        code = content.operatorCodes[op.opcodeIndex]
        fits = max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.TRANSPOSE_CONV
        operators += _split(schema, content, graph, op) if fits and _stride_is_kernel(graph, op) else [op]
    if len(operators) == len(graph.operators):
        return model
    graph.operators = operators
    builder = flatbuffers.Builder(len(model))
    builder.Finish(content.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _stride_is_kernel(graph: Any, op: Any) -> bool:
    _, weights, source, *bias = op.inputs
    _, height, width, _ = graph.tensors[weights].shape
    stride = op.builtinOptions.strideH, op.builtinOptions.strideW
    enlarged = [n * height for n in graph.tensors[source].shape[1:3]]
    whole = list(graph.tensors[op.outputs[0]].shape[1:3]) == enlarged
    return bool(bias) and height == width and stride == (height, width) and whole


def _split(schema: Any, content: Any, graph: Any, op: Any) -> tuple[Any, Any]:
    """A 1x1 convolution and DEPTH_TO_SPACE that together do what the operator did; its weights are put in order."""
    _, weights, source, bias = op.inputs
    channels, size, _, depth = graph.tensors[weights].shape
    places = size * size
    # DEPTH_TO_SPACE takes the place within the block first, then the channel.
    values = _values(schema, content, graph.tensors[weights]).reshape(channels, places, depth).transpose(1, 0, 2)
    _store(content, graph.tensors[weights], values, (places * channels, 1, 1, depth))
    once = _values(schema, content, graph.tensors[bias])
    _store(content, graph.tensors[bias], np.tile(once, places), (places * channels,))
    for tensor in (graph.tensors[weights], graph.tensors[bias]):
        scheme = tensor.quantization
        if scheme is not None and scheme.scale is not None and len(scheme.scale) == channels:
            scheme.scale, scheme.zeroPoint = np.tile(scheme.scale, places), np.tile(scheme.zeroPoint, places)
            scheme.quantizedDimension = 0

    packed = copy.deepcopy(graph.tensors[op.outputs[0]])
    packed.name = b"packed_" + packed.name
    packed.shape = np.array([*graph.tensors[source].shape[:3], places * channels], np.int32)
    packed.shapeSignature = None
    graph.tensors.append(packed)

    convolution, enlargement = schema.OperatorT(), schema.OperatorT()
    convolution.opcodeIndex = _code(schema, content, schema.BuiltinOperator.CONV_2D, version=3)
    convolution.inputs, convolution.outputs = [source, weights, bias], [len(graph.tensors) - 1]
    convolution.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
    convolution.builtinOptions = schema.Conv2DOptionsT()
    convolution.builtinOptions.padding = schema.Padding.VALID
    convolution.builtinOptions.strideH = convolution.builtinOptions.strideW = 1
    convolution.builtinOptions.dilationHFactor = convolution.builtinOptions.dilationWFactor = 1
    convolution.builtinOptions.fusedActivationFunction = op.builtinOptions.fusedActivationFunction
    enlargement.opcodeIndex = _code(schema, content, schema.BuiltinOperator.DEPTH_TO_SPACE, version=1)
    enlargement.inputs, enlargement.outputs = convolution.outputs, op.outputs
    enlargement.builtinOptionsType = schema.BuiltinOptions.DepthToSpaceOptions
    enlargement.builtinOptions = schema.DepthToSpaceOptionsT()
    enlargement.builtinOptions.blockSize = int(size)
    return convolution, enlargement


def _values(schema: Any, content: Any, tensor: Any) -> np.ndarray:
    types = {
        schema.TensorType.FLOAT32: np.float32,
        schema.TensorType.INT8: np.int8,
        schema.TensorType.INT32: np.int32,
    }
    return np.frombuffer(bytes(content.buffers[tensor.buffer].data), types[tensor.type])


def _store(content: Any, tensor: Any, values: np.ndarray, shape: tuple[int, ...]) -> None:
    content.buffers[tensor.buffer].data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    tensor.shape, tensor.shapeSignature = np.array(shape, np.int32), None


def _code(schema: Any, content: Any, builtin: int, version: int) -> int:
    """Index of an operator code, which is put into the file."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = version
    content.operatorCodes.append(code)
    return len(content.operatorCodes) - 1
