"""uint8 NHWC at the border of an ONNX graph that computes on float NCHW in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge import command

INPUT = "picture_u8"


def with_uint8_border(model: Any, kind: str, cast_first: bool = False) -> Any:
    """The same model, taking uint8 RGB (1, H, W, 3).

    Outputs of four dimensions become NHWC, float32 for a grid model's coefficients and uint8 for a frame model's
    picture; others stay as they are.

    Args:
        model: an `onnx.ModelProto` with one float input (1, 3, H, W); it is changed in place.
        kind: ``grid`` or ``frame``.
        cast_first: go to float before turning to NCHW; slower on a processor, but TensorRT takes uint8 no further.
    """
    onnx = command.require("onnx", "export")
    make, numbers, kinds = onnx.helper.make_node, onnx.numpy_helper.from_array, onnx.TensorProto
    graph = model.graph
    inner = graph.input[0]
    _, channels, height, width = (d.dim_value for d in inner.type.tensor_type.shape.dim)
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("Transpose", "border/to_nchw", {"perm": [0, 3, 1, 2]}),
        ("Cast", "border/to_float", {"to": kinds.FLOAT}),
    ]
    (first, first_name, how), (second, second_name, then) = reversed(steps) if cast_first else steps
    before = [
        make(first, [INPUT], ["border/half_way"], first_name, **how),
        make(second, ["border/half_way"], ["border/float"], second_name, **then),
        make("Mul", ["border/float", "border/scale"], [inner.name], "border/to_unit"),
    ]
    graph.initializer.append(numbers(np.float32(1 / 255), "border/scale"))
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
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(onnx.helper.make_tensor_value_info(INPUT, kinds.UINT8, [1, height, width, channels]))
    graph.output.extend(outputs)
    return model
