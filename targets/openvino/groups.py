"""Grouped convolutions that a processor with AMX gets wrong in INT8, in a form that it gets right.

oneDNN's kernel for such processors (Sapphire Rapids and later) takes 64 input channels at a time. In a 1x1 convolution
with groups it miscounts those that are left over: with 96 in each of two groups, outputs are off by as much as they
are large (OpenVINO 2026.4.1 and a layer of random weights, against float64), with 64 or fewer by rounding alone. One
convolution of all channels, with zeros where a group does not see, takes hardly longer on the small maps of this
project, and NNCF corrects biases by what the processor computes, so it is built in and not put in on the board.
"""

from __future__ import annotations

from typing import Any

import numpy as np

AT_A_TIME = 64  # input channels


def without_left_over(ir: Any) -> None:
    """Turn the 1x1 convolutions of an `openvino.Model` whose groups leave channels over into ones without groups."""
    from openvino import opset13 as ops

    for layer in ir.get_ops():
        if layer.get_type_name() != "GroupConvolution":
            continue
        source, weights = layer.input_value(0), layer.input_value(1).get_node()
        if weights.get_type_name() != "Constant":
            continue
        groups, out, seen, *kernel = weights.data.shape
        if kernel != [1, 1] or seen <= AT_A_TIME or seen % AT_A_TIME == 0:
            continue
        dense = np.zeros((groups, out, groups, seen, 1, 1), weights.data.dtype)
        for group, own in enumerate(weights.data):
            dense[group, :, group] = own
        told = layer.get_attributes()
        made = ops.convolution(
            source,
            ops.constant(dense.reshape(groups * out, groups * seen, 1, 1)),
            *(told[name] for name in ("strides", "pads_begin", "pads_end", "dilations")),
        )
        made.set_friendly_name(layer.get_friendly_name())
        made.output(0).set_names(layer.output(0).get_names())
        for target in list(layer.output(0).get_target_inputs()):
            target.replace_source_output(made.output(0))
