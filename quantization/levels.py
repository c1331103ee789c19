"""How the picture enters a model: what scales and shifts it first, and how INT8 holds each of its 256 levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Prelude:
    """What only scales and shifts the picture before any layer sees it.

    Attributes:
        nodes: names of the ONNX nodes that do it; none where a layer takes the picture as it is.
        tensor: name of what comes out.
        black, white: what it is for 0 and for 1.
    """

    nodes: tuple[str, ...]
    tensor: str
    black: float
    white: float


def on_levels(black: float, white: float) -> tuple[float, float, float]:
    """Black and white moved together, by half a level at most, so that 0 is one of a picture's 256 levels.

    8 bits around a zero that lies half-way between two levels cannot tell each level from the next; a network that
    takes -1 to 1 has its zero there.

    Returns:
        black and white as they are to be, and by how much what a layer now takes lies below what it took.
    """
    step = (white - black) / 255
    moved = black + round(-black / step) * step
    return black - moved, white - moved, moved


def prelude(model: Any) -> Prelude:
    """Of an `onnx.ModelProto` that takes a picture in [0, 1]."""
    from onnx import numpy_helper

    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    nodes, tensor, black, white = [], model.graph.input[0].name, 0.0, 1.0
    while True:
        users = [node for node in model.graph.node if tensor in node.input]
        if len(users) != 1 or users[0].op_type not in ("Mul", "Sub") or users[0].input[0] != tensor:
            break
        (node,) = users
        number = constants.get(node.input[1])
        if number is None or number.size != 1:
            break
        by = float(number.reshape(()))
        black, white = (black * by, white * by) if node.op_type == "Mul" else (black - by, white - by)
        nodes.append(node.name)
        tensor = node.output[0]
    return Prelude(tuple(nodes), tensor, black, white)


def put_on_levels(model: Any) -> None:
    """Move what an `onnx.ModelProto` makes of the picture `on_levels`, and with it the biases of what takes it.

    Only beyond the picture's border, where zeros stand for what is not there, does the model answer otherwise than
    before: as if they were half a level lighter. A model whose picture other operators take stays as it is.
    """
    from onnx import numpy_helper

    first = prelude(model)
    stored = {i.name: i for i in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    users = [node for node in model.graph.node if first.tensor in node.input]
    shift = makers.get(first.tensor)
    inner = [
        node for node in users if node.op_type == "Conv" and len(node.input) > 2 and {*node.input[1:]} <= {*stored}
    ]
    if shift is None or shift.op_type != "Sub" or len(inner) != len(users):
        return
    _, _, moved = on_levels(first.black, first.white)

    def move(node: Any, place: int, by: Any) -> None:
        """Under a name of its own: others may take the same constant."""
        array = numpy_helper.to_array(stored[node.input[place]])
        node.input[place] = f"{node.name}/on_levels"
        model.graph.initializer.append(numpy_helper.from_array((array + by).astype(array.dtype), node.input[place]))

    move(shift, 1, moved)
    for node in inner:
        move(node, 2, moved * numpy_helper.to_array(stored[node.input[1]]).sum((1, 2, 3)))
    taken = {name for node in model.graph.node for name in node.input}
    for name in stored.keys() - taken:  # runtimes warn of constants that nothing takes
        model.graph.initializer.remove(stored[name])
