"""The same network in the form that OpenVINO computes fastest on an x86 processor, made when a model is loaded.

Two operations take there several times what their arithmetic costs: enlarging bilinearly, and a pixel shuffle on few
channels. Other devices have kernels of their own for both, so what a bundle holds stays as it was exported.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np

TAPS = np.array([0.25, 0.75, 0.75, 0.25], np.float32)


def reform(model: Any, place: str) -> None:
    """Replace in an `openvino.Model` what a processor computes faster otherwise; the answers stay the same.

    Args:
        place: the device that it is compiled for; for others than an x86 processor nothing changes.
    """
    if place != "CPU" or platform.machine() not in ("x86_64", "AMD64"):
        return
    for operation in model.get_ordered_ops():
        if operation.get_type_name() == "Interpolate":
            _enlarge_by_convolution(operation)
        elif operation.get_type_name() == "DepthToSpace":
            _shuffle_row_by_row(operation)


def _enlarge_by_convolution(enlargement: Any) -> None:
    """Bilinear enlargement to twice the size as a transposed convolution of each channel, where it is one."""
    from openvino import opset13 as ops

    told, source = enlargement.get_attributes(), enlargement.input_value(0)
    before, after = (tuple(end.get_shape()) for end in (source, enlargement.output(0)))
    if (
        len(before) != 4
        or after != (*before[:2], 2 * before[2], 2 * before[3])
        or (told["mode"], told["coordinate_transformation_mode"]) != ("linear_onnx", "half_pixel")
        or told["antialias"]
        or any((*told["pads_begin"], *told["pads_end"]))
    ):
        return
    kernels = np.tile(np.outer(TAPS, TAPS), (before[1], 1, 1, 1, 1)).astype(np.float32)
    border = np.array([0, 0, 1, 1])
    wider = ops.pad(source, border, border, "edge")  # edges are repeated
    wider.set_friendly_name(f"{enlargement.get_friendly_name()}/border")
    made = ops.group_convolution_backprop_data(wider, ops.constant(kernels), [2, 2], None, [3, 3], [3, 3], [1, 1])
    _put_in_place(made, enlargement)


def _shuffle_row_by_row(shuffle: Any) -> None:
    """A 1x1 convolution, its pixel shuffle, and the way to NHWC: as one convolution for each of the rows that a row
    becomes, laid beside each other, where it is such a chain.
    """
    from openvino import opset13 as ops

    told, sum_ = shuffle.get_attributes(), shuffle.input_value(0).get_node()
    users = list(shuffle.output(0).get_target_inputs())
    if told["mode"] != "depth_first" or len(users) != 1 or sum_.get_type_name() != "Add":
        return
    turned, convolution = users[0].get_node(), sum_.input_value(0).get_node()
    weights, bias = (_constant(value) for value in (convolution.input_value(1), sum_.input_value(1)))
    if (
        turned.get_type_name() != "Transpose"
        or not np.array_equal(_constant(turned.input_value(1)), [0, 2, 3, 1])
        or convolution.get_type_name() != "Convolution"
        or weights is None
        or bias is None
        or weights.shape[2:] != (1, 1)
        or bias.size != len(weights)
    ):
        return
    times = int(told["block_size"])
    _, height, width, channels = turned.output(0).get_shape()
    # Channel c of place (y, x) in a block stands at (c * times + y) * times + x; in a row of NHWC it stands at x, c.
    order = np.arange(len(weights)).reshape(channels, times, times).transpose(1, 2, 0).reshape(times, -1)
    rows = []
    for number, of_row in enumerate(order):
        row = ops.convolution(convolution.input_value(0), ops.constant(weights[of_row]), [1, 1], [0, 0], [0, 0], [1, 1])
        row.set_friendly_name(f"{sum_.get_friendly_name()}/{number}")
        row = ops.add(row, ops.constant(bias.reshape(-1)[of_row].reshape(1, -1, 1, 1)))
        row = ops.transpose(row, np.array([0, 2, 3, 1]))
        rows.append(ops.reshape(row, np.array([1, height // times, 1, width * channels]), False))
    made = ops.reshape(ops.concat(rows, 2), np.array([1, height, width, channels]), False)
    _put_in_place(made, turned)


def _constant(value: Any) -> Any:
    """The array, None where it is not a constant."""
    node = value.get_node()
    return np.array(node.data) if node.get_type_name() == "Constant" else None


def _put_in_place(made: Any, old: Any) -> None:
    """`made` for `old`, under its name and that of its tensor."""
    made.set_friendly_name(old.get_friendly_name())
    made.output(0).set_names(old.output(0).get_names())
    for target in list(old.output(0).get_target_inputs()):
        target.replace_source_output(made.output(0))
