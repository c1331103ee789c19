"""uint8 NHWC at the border of an ONNX graph that computes on float NCHW in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge import command
from quantization.levels import prelude

INPUT = "picture_u8"
MOST_BESIDE = 0.1  # of a level: where an INT8 input may lie beside the picture's levels and still be taken for them


def with_uint8_border(model: Any, kind: str, cast_first: bool = False) -> Any:
    """The same model, taking uint8 RGB (1, H, W, 3).

    Outputs of four dimensions become NHWC, float32 for a grid model's coefficients and uint8 for a frame model's
    picture; others stay as they are.

    Args:
        model: an `onnx.ModelProto` with one float input (1, 3, H, W); it is changed in place.
        kind: ``grid`` or ``frame``.
        cast_first: go to float before turning to NCHW; slower on a processor, but TensorRT takes uint8 no further.
            Otherwise the picture is INT8's own input as it is, where each of its levels is one of INT8's.
    """
    onnx = command.require("onnx", "export")
    make, numbers, kinds = onnx.helper.make_node, onnx.numpy_helper.from_array, onnx.TensorProto
    graph = model.graph
    inner = graph.input[0]
    _, channels, height, width = (d.dim_value for d in inner.type.tensor_type.shape.dim)
    before, inside = _entrance(model, cast_first)
    after, outputs = [], []
    for output in graph.output:
        sizes = [d.dim_value for d in output.type.tensor_type.shape.dim]
        if len(sizes) != 4:
            outputs.append(output)
            continue
        name, last, dtype = output.name, output.name, kinds.FLOAT
        if kind == "frame":
            graph.initializer.append(numbers(np.float32(255), f"border/{name}/levels"))
            graph.initializer.append(numbers(np.float32(0), f"border/{name}/lowest"))
            after += [
                make("Mul", [last, f"border/{name}/levels"], [f"border/{name}/scaled"], f"border/{name}/scale"),
                make("Round", [f"border/{name}/scaled"], [f"border/{name}/rounded"], f"border/{name}/round"),
                make(
                    "Clip",
                    [f"border/{name}/rounded", f"border/{name}/lowest", f"border/{name}/levels"],
                    [f"border/{name}/clipped"],
                    f"border/{name}/clip",
                ),
                make("Cast", [f"border/{name}/clipped"], [f"border/{name}/u8"], f"border/{name}/cast", to=kinds.UINT8),
            ]
            last, dtype = f"border/{name}/u8", kinds.UINT8
        after.append(make("Transpose", [last], [f"{name}_nhwc"], f"border/{name}/to_nhwc", perm=[0, 2, 3, 1]))
        outputs.append(
            onnx.helper.make_tensor_value_info(f"{name}_nhwc", dtype, [sizes[0], sizes[2], sizes[3], sizes[1]])
        )
    nodes = [*before, *inside, *after]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(onnx.helper.make_tensor_value_info(INPUT, kinds.UINT8, [1, height, width, channels]))
    graph.output.extend(outputs)
    return model


def _entrance(model: Any, cast_first: bool) -> tuple[list[Any], list[Any]]:
    """The nodes that bring a uint8 NHWC picture in, and those of the graph that are left behind them."""
    onnx = command.require("onnx", "export")
    make, graph = onnx.helper.make_node, model.graph
    turn: tuple[str, str, dict[str, Any]] = ("Transpose", "border/to_nchw", {"perm": [0, 3, 1, 2]})
    cast: tuple[str, str, dict[str, Any]] = ("Cast", "border/to_float", {"to": onnx.TensorProto.FLOAT})
    first = None if cast_first else _takes_levels(model)
    if first is not None:
        name, how, then = turn
        done = {*prelude(model).nodes, first.name}
        return [make(name, [INPUT], [first.output[0]], how, **then)], [n for n in graph.node if n.name not in done]
    steps = (cast, turn) if cast_first else (turn, cast)
    wires = INPUT, "border/half_way", "border/float"
    nodes = [
        make(name, [before], [after], how, **then)
        for (name, how, then), before, after in zip(steps, wires[:2], wires[1:], strict=True)
    ]
    graph.initializer.append(onnx.numpy_helper.from_array(np.float32(1 / 255), "border/scale"))
    nodes.append(make("Mul", [wires[-1], "border/scale"], [graph.input[0].name], "border/to_unit"))
    return nodes, list(graph.node)


def _takes_levels(model: Any) -> Any:
    """The QuantizeLinear that makes of each of the picture's 256 levels just that number; None if there is none."""
    from onnx import numpy_helper

    graph, first = model.graph, prelude(model)
    users = [node for node in graph.node if first.tensor in node.input]
    if len(users) != 1 or users[0].op_type != "QuantizeLinear":
        return None
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    scale, zero = (constants.get(name) for name in users[0].input[1:3])
    if scale is None or zero is None or zero.dtype != np.uint8:
        return None
    stored = np.linspace(first.black, first.white, 256) / scale + zero
    return users[0] if np.abs(stored - np.arange(256)).max() < MOST_BESIDE else None
