"""The layers of a model by name: those with weights, which a quantizer can put into INT8 or leave in float."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from edge.errors import EdgeError

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
THIN = 0.1  # of a model's multiply-accumulates


@dataclass(frozen=True)
class Layer:
    """One layer of a float ONNX model.

    Attributes:
        name: where its weights stand in the model, for example ``at8.2.body.1.0``, else the node's name.
        node: name of its node in the ONNX graph.
        operator: ONNX operator.
        parameters: values in its weights.
        macs: multiply-accumulates of one call; 0 where the shapes are not known.
    """

    name: str
    node: str
    operator: str
    parameters: int
    macs: int


def layers(model: Any) -> tuple[Layer, ...]:
    """The layers of an `onnx.ModelProto`, in the order in which they are computed."""
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    weights = {w.name: tuple(w.dims) for w in graph.initializer}
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*graph.value_info, *graph.input, *graph.output)
    }
    found = []
    for node in graph.node:
        if node.op_type not in WEIGHTED:
            continue
        dims = weights.get(node.input[1], ())
        size = _product(dims)
        # A convolution uses every weight at every place of its output, a transposed one at every place of its input.
        here = shapes.get(node.input[0] if node.op_type == "ConvTranspose" else node.output[0], [])
        places = _product(here[2:]) if len(dims) > 2 and here else bool(here)
        found.append(Layer(_name(node), node.name, node.op_type, size, size * places))
    return tuple(found)


def heads(model: Any) -> tuple[str, ...]:
    """Names of the layers nearest to each output, by every way that leads there."""
    makers = {output: node for node in model.graph.node for output in node.output}
    names = []
    for output in model.graph.output:
        waiting = [output.name]
        while waiting:
            node = makers.get(waiting.pop(0))
            if node is None:  # the picture itself, or a constant
                continue
            if node.op_type in WEIGHTED:
                names.append(_name(node))
            else:
                waiting += node.input
    return tuple(dict.fromkeys(names))


def entrances(model: Any) -> tuple[str, ...]:
    """Names of the layers nearest to the input: the first to see the picture."""
    users: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    names, waiting = [], [model.graph.input[0].name]
    while waiting:
        for node in users.get(waiting.pop(0), []):
            if node.op_type in WEIGHTED:
                names.append(_name(node))
            else:
                waiting += node.output
    return tuple(dict.fromkeys(names))


def grouped_reductions(model: Any) -> tuple[str, ...]:
    """Names of the layers that halve the resolution and have groups of several channels: networks side by side.

    Such networks share the range of what they read, and near the input theirs differ by a factor of two.
    """
    names = []
    for node in model.graph.node:
        told = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type != "Conv" or not {"group", "strides"} <= told.keys() or max(told["strides"].ints) == 1:
            continue
        weights = next((i for i in model.graph.initializer if i.name == node.input[1]), None)
        if told["group"].i > 1 and weights is not None and weights.dims[1] > 1:
            names.append(_name(node))
    return tuple(names)


def exits(model: Any) -> tuple[str, ...]:
    """Names of the layers after the last enlargements, where they are a thin part of the model; the heads among them.

    What they round shows in the answer as it is: nothing comes after them that would even it out.
    """
    enlarged: set[str] = set()  # what follows an enlargement
    for node in model.graph.node:
        if node.op_type == "Resize" or enlarged & set(node.input):
            enlarged |= set(node.output)
    again: set[str] = set()  # what is enlarged afterwards
    for node in reversed(model.graph.node):
        if node.op_type == "Resize" or again & set(node.output):
            again |= set(node.input)
    nodes = {
        node.name
        for node in model.graph.node
        if node.op_type != "Resize" and enlarged & set(node.output) and not again & set(node.output)
    }
    every = layers(model)
    found = [layer for layer in every if layer.node in nodes]
    inner = set(heads(model))
    thin = sum(layer.macs for layer in found if layer.name not in inner) <= THIN * sum(layer.macs for layer in every)
    return tuple(layer.name for layer in found) if thin else ()


def pooled(model: Any) -> tuple[str, ...]:
    """Names of the layers that see the whole picture as one pixel: what it was pooled to.

    They cost next to nothing in float, and what they round every pixel feels.
    """
    return tuple(layer.name for layer in layers(model) if layer.parameters and layer.macs == layer.parameters)


def fine(model: Any) -> tuple[str, ...]:
    """Names of the layers with maps finer than a quarter of the picture's width, and at a quarter on the way out.

    They are few and thin: rounding is seen most there, and half precision costs least.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    widths = {
        v.name: v.type.tensor_type.shape.dim[3].dim_value
        for v in (*graph.value_info, *graph.input, *graph.output)
        if len(v.type.tensor_type.shape.dim) == 4
    }
    most = widths[graph.input[0].name] // 4
    found, way_out = [], False
    for node in graph.node:
        way_out = way_out or node.op_type == "Resize"
        width = max(widths.get(name, 0) for name in (node.input[0], node.output[0]) if name)
        if node.op_type in WEIGHTED and (width > most or (way_out and width == most)):
            found.append(_name(node))
    return tuple(found)


def nodes_of(model: Any, names: Iterable[str]) -> list[str]:
    """Names of the nodes of layers.

    Raises:
        EdgeError: there is no layer of that name; the message says which come near.
    """
    known = {layer.name: layer.node for layer in layers(model)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3, 0.4) or list(known)[:3]
            raise EdgeError(f"the model has no layer {name!r}; near it: {', '.join(near)}")
    return [known[name] for name in names]


def left_out(model: Any, float_layers: Collection[str]) -> list[str]:
    """Names of the nodes that a quantizer must leave alone, so that these layers stay float.

    An operator without weights (an addition, a pooling) goes with the layers whose results it takes: where all of
    them are float it is too, or its own rounding would be felt in their place. So does an addition whose sum only
    float layers take: rounding the sum would be felt as if they were rounded.

    Raises:
        EdgeError: there is no layer of that name; the message says which come near.
    """
    chosen = set(nodes_of(model, float_layers))
    makers = {output: node for node in model.graph.node for output in node.output}
    users: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    def nearest(node: Any, beside: Callable[[Any], list[Any]]) -> set[str]:
        """The first layers that come before, or after, an operator."""
        found: set[str] = set()
        for other in beside(node):
            found |= {other.name} if other.op_type in WEIGHTED else nearest(other, beside)
        return found

    def before(node: Any) -> list[Any]:
        return [makers[name] for name in node.input if name in makers]

    def after(node: Any) -> list[Any]:
        return [user for name in node.output for user in users.get(name, [])]

    names = []
    for node in model.graph.node:
        related = {node.name} if node.op_type in WEIGHTED else nearest(node, before) or nearest(node, after)
        joins = node.op_type not in WEIGHTED and len(before(node)) > 1
        taken_by = nearest(node, after) if joins else set()
        if (related and related <= chosen) or (taken_by and taken_by <= chosen):
            names.append(node.name)
    return names


def _name(node: Any) -> str:
    weight = node.input[1]
    return weight.removesuffix(".weight").removeprefix("model.") if weight.endswith(".weight") else node.name


def _product(numbers: Iterable[int]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result
