"""The same network in the form that OpenVINO computes best on an x86 processor, made when a model is loaded.

Three operations take there several times what their arithmetic costs: enlarging bilinearly, averaging few channels, and
a pixel shuffle of few channels. And some processors clip sums of INT8 products (`targets.openvino.saturation`). Other
devices have kernels of their own, so what a bundle holds stays as it was exported.
"""

from __future__ import annotations

import platform
from typing import Any

import numpy as np

from targets.openvino import saturation

TAPS = np.array([0.25, 0.75, 0.75, 0.25], np.float32)
FEW = 16  # channels, of which a convolution with all others costs nothing more


def reform(model: Any, place: str) -> None:
    """Replace in an `openvino.Model` what a processor computes faster otherwise, the answers staying the same, and
    INT8 weights whose products it would clip.

    Args:
        place: the device that it is compiled for; for others than an x86 processor nothing changes, nor does a model
            whose shapes are open.
    """
    if place != "CPU" or platform.machine() not in ("x86_64", "AMD64") or model.is_dynamic():
        return
    for kind, form in FORMS:
        for operation in model.get_ordered_ops():
            if operation.get_type_name() == kind:
                form(operation)
    if not saturation.has_vnni():
        saturation.fit(model)


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


def _average_by_convolution(pool: Any) -> None:
    """Means of areas that lie side by side, of few channels, as a convolution."""
    from openvino import opset13 as ops

    told, channels = pool.get_attributes(), pool.output(0).get_shape()[1]
    side = list(told["kernel"])
    if list(told["strides"]) != side or any((*told["pads_begin"], *told["pads_end"])) or channels > FEW:
        return
    if any(before % times for before, times in zip(tuple(pool.input(0).get_shape())[2:], side, strict=True)):
        return
    kernels = np.zeros((channels, channels, *side), np.float32)
    kernels[np.arange(channels), np.arange(channels)] = 1 / np.prod(side)
    _put_in_place(ops.convolution(pool.input_value(0), ops.constant(kernels), side, [0, 0], [0, 0], [1, 1]), pool)


def _shuffle_sum_once(sum_: Any) -> None:
    """The sum of two pixel shuffles as the shuffle of the sum."""
    from openvino import opset13 as ops

    shuffles = [value.get_node() for value in sum_.input_values()]
    if any(shuffle.get_type_name() != "DepthToSpace" for shuffle in shuffles):
        return
    one, other = shuffles
    if one.get_attributes() != other.get_attributes() or one.input(0).get_shape() != other.input(0).get_shape():
        return
    told = one.get_attributes()
    made = ops.depth_to_space(ops.add(one.input_value(0), other.input_value(0)), told["mode"], told["block_size"])
    _put_in_place(made, sum_)


def _shuffle_row_by_row(shuffle: Any) -> None:
    """1x1 convolutions, the pixel shuffle of their sum, and the way to NHWC: as convolutions of their own for each of
    the rows that a row becomes, laid beside each other, where it is such a chain.
    """
    from openvino import opset13 as ops

    told, users = shuffle.get_attributes(), list(shuffle.output(0).get_target_inputs())
    turned = users[0].get_node()
    if told["mode"] != "depth_first" or len(users) != 1 or turned.get_type_name() != "Transpose":
        return
    layers = _layers(shuffle.input_value(0).get_node())
    if not layers or not np.array_equal(_constant(turned.input_value(1)), [0, 2, 3, 1]):
        return
    times = int(told["block_size"])
    _, height, width, channels = turned.output(0).get_shape()
    # Channel c of place (y, x) in a block stands at (c * times + y) * times + x; in a row of NHWC it stands at x, c.
    order = np.arange(channels * times**2).reshape(channels, times, times).transpose(1, 2, 0).reshape(times, -1)
    rows = []
    for number, of_row in enumerate(order):
        row = None
        for name, source, weights, bias in layers:
            part = ops.convolution(source, ops.constant(weights[of_row]), [1, 1], [0, 0], [0, 0], [1, 1])
            part.set_friendly_name(f"{name}/{number}")
            part = ops.add(part, ops.constant(bias[of_row].reshape(1, -1, 1, 1)))
            row = part if row is None else ops.add(row, part)
        row = ops.transpose(row, np.array([0, 2, 3, 1]))
        rows.append(ops.reshape(row, np.array([1, height // times, 1, width * channels]), False))
    made = ops.reshape(ops.concat(rows, 2), np.array([1, height, width, channels]), False)
    _put_in_place(made, turned)


def _layers(sum_: Any) -> list[tuple[str, Any, np.ndarray, np.ndarray]]:
    """Name, input, weights and bias of the 1x1 convolutions whose sum this is; empty where it is none."""
    if sum_.get_type_name() != "Add":
        return []
    first, second = (value.get_node() for value in sum_.input_values())
    if first.get_type_name() == second.get_type_name() == "Add":
        parts = _layers(first), _layers(second)
        return [*parts[0], *parts[1]] if all(parts) else []
    bias = _constant(sum_.input_value(1))
    if first.get_type_name() != "Convolution" or bias is None:
        return []
    weights = _constant(first.input_value(1))
    if weights is None or weights.shape[2:] != (1, 1) or bias.size != len(weights):
        return []
    return [(sum_.get_friendly_name(), first.input_value(0), weights, bias.reshape(-1))]


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


FORMS = (  # in this order: one makes what another takes
    ("Interpolate", _enlarge_by_convolution),
    ("AvgPool", _average_by_convolution),
    ("Add", _shuffle_sum_once),
    ("DepthToSpace", _shuffle_row_by_row),
)
