"""A bundle whose effect is known exactly: it adds a number of grey levels to every pixel."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from edge import coefficients
from edge.bundle import Golden, Manifest, write_bundle
from targets.onnx.border import with_uint8_border

WIDTH, HEIGHT, CELLS = 32, 24, (6, 8)


def adding_bundle(path: Path, levels: int, poison: float | None = None) -> Path:
    """Write a grid bundle for the onnx target that gives `clip(frame + levels)`; with `poison` in its answers."""
    cell = np.zeros(coefficients.CHANNELS, np.float32)
    cell[0], cell[1:4] = 20, -2  # a thick veil that thins no colour: gain 1, and the whole shift
    cell[4:7] = levels / 255 / coefficients.SHIFT_SCALE
    if poison is not None:
        cell[4] = poison
    weights = np.zeros((coefficients.CHANNELS, 3, 1, 1), np.float32)
    nodes = [
        helper.make_node("AveragePool", ["picture"], ["pooled"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["pooled", "weights", "cell_bias"], ["cell"]),
        helper.make_node("GlobalAveragePool", ["picture"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["light"]),
        helper.make_node("Concat", ["light", "no_finesse"], ["airlight"], axis=1),  # detail is enlarged like the rest
    ]
    graph = helper.make_graph(
        nodes,
        "adding",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])],
        [
            helper.make_tensor_value_info("cell", TensorProto.FLOAT, [1, coefficients.CHANNELS, *CELLS]),
            helper.make_tensor_value_info("airlight", TensorProto.FLOAT, [1, 4]),
        ],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(cell, "cell_bias"),
            numpy_helper.from_array(np.full((1, 1), -50, np.float32), "no_finesse"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    model = with_uint8_border(model, "grid")
    frame = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    manifest = Manifest(
        name=f"adding-{levels}",
        kind="grid",
        model={
            "name": "adding",
            "parameters": 0,
            "macs": 0,
            "checkpoint_sha256": "",
            "coefficients": coefficients.FORM,
        },
        target="onnx",
        precision="fp32",
        input={
            "width": WIDTH,
            "height": HEIGHT,
            "colour": "RGB",
            "layout": "NHWC",
            "dtype": "uint8",
            "range": [0, 255],
        },
        outputs=({"name": "cell"}, {"name": "airlight"}),
        golden=(Golden("golden/0.png", "golden/0-clear.png", 1),),
    )
    files = {
        "model.onnx": model.SerializeToString(),
        "golden/0.png": _png(frame),
        "golden/0-clear.png": _png(np.clip(frame.astype(int) + levels, 0, 255).astype(np.uint8)),
    }
    return write_bundle(path, manifest, files)


def _png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()
