"""AOD-Net (Li et al., ICCV 2017) as an ONNX file, with random weights: a peer for speed, not for quality."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from targets.source import METADATA_KEY, ModelCard, SourceModel

# Kernel size, and which earlier feature maps go in; each layer gives 3 channels (section 3.2 and figure 3).
LAYERS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (1, ("picture",)),
    (3, ("x1",)),
    (5, ("x1", "x2")),
    (7, ("x2", "x3")),
    (3, ("x1", "x2", "x3", "x4")),
)
PARAMETERS = 1761


def write_aod_net(path: Path, width: int, height: int, seed: int = 0) -> SourceModel:
    """J = K(I) I - K(I) + b with b = 1 (equation 8), for one fixed frame size."""
    rng = np.random.default_rng(seed)
    nodes, tensors, parameters, macs = [], {}, 0, 0
    for number, (kernel, inputs) in enumerate(LAYERS, 1):
        weight = rng.normal(0, 0.02, (3, 3 * len(inputs), kernel, kernel)).astype(np.float32)
        tensors |= {f"w{number}": weight, f"b{number}": np.zeros(3, np.float32)}
        parameters += weight.size + 3
        macs += weight.size * width * height
        joined = inputs[0]
        if len(inputs) > 1:
            joined = f"joined{number}"
            nodes.append(helper.make_node("Concat", list(inputs), [joined], axis=1))
        pads = [kernel // 2] * 4
        nodes += [
            helper.make_node("Conv", [joined, f"w{number}", f"b{number}"], [f"conv{number}"], pads=pads),
            helper.make_node("Relu", [f"conv{number}"], [f"x{number}"]),
        ]
    tensors |= {"one": np.float32(1), "zero": np.float32(0)}
    nodes += [
        helper.make_node("Mul", ["x5", "picture"], ["product"]),
        helper.make_node("Sub", ["product", "x5"], ["difference"]),
        helper.make_node("Add", ["difference", "one"], ["restored"]),
        helper.make_node("Clip", ["restored", "zero", "one"], ["clear"]),
    ]
    shape = [1, 3, height, width]
    graph = helper.make_graph(
        nodes,
        "aod-net",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("clear", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    card = ModelCard("aod-net", "frame", width, height, parameters, macs, "")
    helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    onnx.save(model, path)
    return SourceModel.read(path)
